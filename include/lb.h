/*
 * lb.h - balance calls to LLM HTTP APIs, from any language.
 *
 * An engine owns sockets, timers, pools and policy state, and runs them on one
 * thread of its own.  You start a call with an HTTP request; the engine picks an
 * upstream, limits, retries and fails over; and events about the call arrive,
 * in batches, on a queue that you poll.
 *
 *     lb_engine *e; lb_queue *q; lb_call c; lb_event ev[64];
 *     lb_engine_open(NULL, json, json_len, &e, NULL);
 *     lb_queue_open(e, NULL, &q, NULL);
 *     lb_call_start(e, q, NULL, head, head_len, body, body_len, &c, NULL);
 *     for (int n; (n = lb_queue_poll(q, ev, 64, -1)) > 0;) { ... }
 *
 * Rules that hold for every function here
 *
 *   Threads   [any] may be called from any thread at any time.  [one] must not
 *             run at the same time as itself on the same object.  [blocks] may
 *             wait; nothing else does.  No function may be called from a wake or
 *             deliver function unless it is marked [cb].
 *   Memory    What you pass in is read before the function returns and never
 *             kept.  What you get back says who frees it; `char *` results are
 *             freed with lb_free.  Event data is lent until the next poll of the
 *             same queue.
 *   Strings   A pointer and a length, UTF-8, never assumed to end in NUL; every
 *             `const char *` that is returned does end in NUL.
 *   Errors    An lb_status, 0 for success.  `err` may be NULL.  There is no
 *             last-error state, thread-local or otherwise.
 *   Fork      In a child process the engines of the parent are LB_FORKED, or NULL or -1;
 *             freeing them there does nothing.  A child may open its own.
 *   Options   Begin with struct_size.  NULL, or zero in a field, is the default.
 *             A longer struct than this library knows is accepted while its
 *             unknown tail is zero, and is otherwise LB_UNSUPPORTED.
 *   Stability Everything in this header is ABI-stable within LB_ABI, except what
 *             is under LB_UNSTABLE.
 */
#ifndef LB_H
#define LB_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(LB_BUILD)
#define LB_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(LB_STATIC)
#define LB_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LB_API __attribute__((visibility("default")))
#else
#define LB_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ------------------------------------------------------------ */

#define LB_ABI 1
#define LB_VERSION_NUMBER 0x000100 /* 0.1.0 */

LB_API uint32_t lb_abi(void);                /* [any][cb] LB_ABI of the library that was linked. */
LB_API uint32_t lb_version_number(void);     /* [any][cb] Its LB_VERSION_NUMBER. */
LB_API const char *lb_build_info(void);      /* [any][cb] One line of JSON: version, dependencies, linkage. */

/* ---- Status ------------------------------------------------------------- */

#define LB_STATUS_MAP(X)                                                        \
  X(OK, 0, "success")                                                           \
  /* What a function returns at once: the caller's mistake, or the engine's. */ \
  X(INVALID, -1, "an argument is not valid")                                    \
  X(UNSUPPORTED, -2, "this build does not know that option")                    \
  X(CONFIG, -3, "the configuration is not valid")                               \
  X(CLOSED, -4, "the engine or queue is closed")                                \
  X(GONE, -5, "the call has already ended")                                     \
  X(FULL, -6, "calls_max calls are already in flight")                          \
  X(FORKED, -7, "the engine belongs to another process")                        \
  X(INTERNAL, -8, "a defect in lb; please report it")                           \
  /* How a call ended. */                                                       \
  X(CANCELLED, -32, "cancelled by the caller")                                  \
  X(DEADLINE, -33, "the deadline passed")                                       \
  X(NO_UPSTREAM, -34, "no upstream may take the call now")                      \
  X(LIMITED, -35, "a local limit refused the call")                             \
  X(CONNECT, -36, "no connection could be made")                                \
  X(TLS, -37, "the TLS handshake failed")                                       \
  X(PROTOCOL, -38, "the upstream broke its protocol")                           \
  X(UPSTREAM, -39, "the upstream answered with an error")                       \
  X(BROKEN, -40, "the stream broke after its head was delivered")               \
  X(TOO_LARGE, -41, "a configured size was exceeded")

typedef int32_t lb_status;
enum {
#define LB_STATUS_X(name, value, text) LB_##name = value,
  LB_STATUS_MAP(LB_STATUS_X)
#undef LB_STATUS_X
  LB_STATUS_RESERVED = -65536
};

LB_API const char *lb_status_name(lb_status status); /* [any][cb] "DEADLINE"; never NULL. */
LB_API const char *lb_status_text(lb_status status); /* [any][cb] "the deadline passed"; never NULL. */
LB_API int32_t lb_status_retryable(lb_status status); /* [any][cb] 1 when the same call may succeed later. */

typedef struct lb_error {
  uint32_t struct_size; /* Set it before the call. */
  lb_status status;
  char where[120];   /* JSON pointer into the configuration; of lb_translate_request "messages.3.content"; or "". */
  char message[384]; /* One sentence, always ends in NUL. */
} lb_error;

/* ---- Engine ------------------------------------------------------------- */

typedef struct lb_engine lb_engine;

enum {
  LB_ENGINE_DRIVEN = 1 << 0, /* No thread: the caller runs lb_engine_turn. */
  LB_ENGINE_SECRETS = 1 << 1, /* The configuration may name secrets as {"env": NAME} or {"file": PATH}, and files. */
  LB_ENGINE_NO_LISTEN = 1 << 2 /* What the configuration says under "listen" is not opened. */
};

/* A deployment that may take a call, as a selector of the host's own sees it.  Lent for the call of the selector. */
typedef struct lb_candidate {
  const char *deployment;  /* Its name. */
  const char *model;       /* "*" where it takes every model. */
  double weight;           /* As configured, less while it comes back from a fault. */
  double utilisation;      /* Used share of its tightest limit, 0 to 1; 0 without limits. */
  double tokens_left;      /* In its tightest window behind this call; 1e18 without limits. */
  double tokens_in_flight; /* Reserved by calls that have not ended. */
  uint64_t latency_ns;     /* Recent time to first content; 0: none known. */
  uint32_t in_flight;      /* Calls. */
  uint32_t reserved;
} lb_candidate;

/* [cb] Chooses for routes with `balance: host`: the index of one of `count` candidates, of which there are at least
   two; any other value leaves the choice to lb.  Called on the thread that picks; it must not call lb. */
typedef size_t (*lb_select)(void *ctx, const lb_candidate *candidates, size_t count);

typedef struct lb_engine_options {
  uint32_t struct_size;
  uint32_t flags;     /* LB_ENGINE_* */
  uint64_t seed;      /* Of every random choice; 0 takes one from the system. */
  uint32_t calls_max; /* Calls in flight; 0: 65536. */
  uint32_t log_level; /* LB_EVENT_LOG on the first queue: 0 none, 1 error, 2 warn, 3 info, 4 debug. */
  lb_select select;   /* NULL: none. */
  void *select_ctx;
} lb_engine_options;

/* [any] Checks `config` (JSON or YAML) without opening anything or reading a secret.  err->where is a JSON
   pointer to the fault, err->message says what to write instead. */
LB_API lb_status lb_config_check(const char *config, size_t config_len, lb_error *err);
/* [any][cb] The JSON Schema of the configuration, defaults included. */
LB_API const char *lb_config_schema(void);

/* [any] Opens an engine with its listeners and starts its thread.  Of the descriptors 0, 1 and 2 those that are closed
   are opened on /dev/null first, so that what the host prints cannot meet a connection. */
LB_API lb_status lb_engine_open(const lb_engine_options *options, const char *config, size_t config_len,
                                lb_engine **out, lb_error *err);
/* [any][blocks] Replaces the whole configuration, or changes nothing and says why: an address that cannot be
   bound, too.  Calls in flight keep the one they began with. */
LB_API lb_status lb_engine_configure(lb_engine *engine, const char *config, size_t config_len, lb_error *err);
/* [any] Stops taking calls; cancels what is left after `drain_ms`; then LB_EVENT_CLOSED on each queue.  Called
   again, the shorter drain holds. */
LB_API lb_status lb_engine_close(lb_engine *engine, uint32_t drain_ms);
/* [one][blocks][cb] Closes with no drain if need be, joins the thread, frees.  On the engine's own thread it
   detaches instead of joining.  Queues may be polled and closed afterwards.  NULL is fine. */
LB_API void lb_engine_free(lb_engine *engine);

/* LB_ENGINE_DRIVEN only: poll the fd for reading, at most that long, then turn. */
LB_API intptr_t lb_engine_fd(const lb_engine *engine);     /* [any] -1 where there is none. */
LB_API int32_t lb_engine_timeout_ms(lb_engine *engine);    /* [one] -1 is for ever. */
LB_API lb_status lb_engine_turn(lb_engine *engine);        /* [one] One turn, never waits. */

/* [any][cb] Where listener `name` ("" is the first) is bound, as "host:port"; the length, whether it fit or not;
   LB_GONE when there is none. */
LB_API int32_t lb_engine_address(lb_engine *engine, const char *name, size_t name_len, char *out, size_t cap);
/* [any][cb] A snapshot: format 0 is JSON, 1 is the Prometheus text format. Free with lb_free.  NULL for any other
   format, or when the engine is another process's. */
LB_API char *lb_engine_stats(lb_engine *engine, uint32_t format, size_t *len);

/* [any] Takes deployment `name` out for `ms`, or (0) back in at once with all that was held against it forgotten;
   `model` "" is all of its models.  LB_INVALID when nothing has these names.  It happens in the next turn. */
LB_API lb_status lb_engine_mark(lb_engine *engine, const char *name, size_t name_len, const char *model,
                                size_t model_len, uint64_t ms, lb_error *err);

/* ---- Queue and events --------------------------------------------------- */

typedef struct lb_queue lb_queue;
typedef uint64_t lb_call; /* Never 0, never reused within an engine. */

/*
 * The events of a call are  ATTEMPT* (HEAD (DATA | ATTEMPT)*)? DONE.  There is
 * exactly one DONE, and it is the last.  A call with LB_CALL_APPEND has ROOM
 * events anywhere before it.
 */
enum {
  LB_EVENT_ATTEMPT = 1, /* A try ended without ending the call; only if asked for. */
  LB_EVENT_HEAD = 2,    /* code: HTTP status; data: header lines, "name: value\r\n" each. */
  LB_EVENT_DATA = 3,    /* data: body bytes, or one SSE event, as `delivery` says. */
  LB_EVENT_DONE = 4,    /* status: how it ended; code, without a HEAD: as an HTTP status; user_data is yours again. */
  LB_EVENT_LOG = 5,     /* code: level; data: one line of JSON. */
  LB_EVENT_CLOSED = 6,  /* The engine has closed; nothing follows on this queue. */
  LB_EVENT_ROOM = 7     /* More of the request's body is welcome; see lb_call_append. */
};

typedef struct lb_event { /* 64 bytes on 64-bit targets, for ever. */
  lb_call call;
  uint64_t user_data;
  uint64_t time_ns; /* Monotonic, of the turn that made the event. */
  const void *data;
  uint64_t size;
  const void *detail; /* For lb_event_u64 and lb_event_text. */
  uint32_t kind;
  lb_status status;
  uint32_t code;
  uint32_t flags;
} lb_event;

#define LB_FIELD_MAP(X)                                                        \
  X(TOKENS_IN, 1) X(TOKENS_OUT, 2) X(TOKENS_CACHED, 3) X(ATTEMPTS, 4)          \
  X(QUEUED_NS, 5) X(FIRST_BYTE_NS, 6) X(TOTAL_NS, 7) X(RETRY_AFTER_MS, 8)      \
  X(WINDOW_BYTES, 9)                                                           \
  X(UPSTREAM, 64) X(MODEL, 65) X(MESSAGE, 66) X(REQUEST_ID, 67) X(TRACE, 68)

enum {
#define LB_FIELD_X(name, value) LB_FIELD_##name = value,
  LB_FIELD_MAP(LB_FIELD_X)
#undef LB_FIELD_X
  LB_FIELD_RESERVED = 65536
};

/* [any][cb] 1 and the value when the event has that field, else 0.  WINDOW_BYTES is how much may be delivered and not
   yet credited: give credit before half of it is read and nothing stops.  Of HEAD and DONE. */
LB_API int32_t lb_event_u64(const lb_event *event, uint32_t field, uint64_t *out);
/* [any][cb] The same for texts, which are lent like data. */
LB_API int32_t lb_event_text(const lb_event *event, uint32_t field, const char **out, size_t *len);

typedef struct lb_queue_options {
  uint32_t struct_size;
  uint32_t flags;
  /* Called on the engine's thread when events wait and no poll has seen them.  An engine with eight calls or more in
     flight, and a thread of its own, gathers events for up to 50 us while it has more to do. */
  void (*wake)(void *ctx);
  /* Instead of queueing: called on the engine's thread, once a turn, with a batch. */
  void (*deliver)(void *ctx, const lb_event *events, size_t count);
  void *ctx;
} lb_queue_options;

/* [any] Opens a queue; an engine may have several. */
LB_API lb_status lb_queue_open(lb_engine *engine, const lb_queue_options *options, lb_queue **out, lb_error *err);
/* [one][blocks if timeout_ms] Takes up to `cap` events; ends the loan of the last batch; a timeout of -1 is for
   ever.  Count, or a status: LB_CLOSED after LB_EVENT_CLOSED, LB_INVALID where `deliver` takes the events. */
LB_API int32_t lb_queue_poll(lb_queue *queue, lb_event *out, size_t cap, int32_t timeout_ms);
/* [any] Readable when events came after an empty poll, and seldom when a poll was quicker and has them
   already; the next poll clears it, and reading it too is harmless.  For epoll, kqueue, netpoll.  -1 where
   there is none. */
LB_API intptr_t lb_queue_fd(lb_queue *queue);
/* [one][blocks][cb] Cancels the queue's calls, which end without DONE, and the loan of the last batch.  Once it
   returns, wake and deliver never run again, but for the one it was called from. */
LB_API void lb_queue_close(lb_queue *queue);

/* ---- Calls -------------------------------------------------------------- */

enum {
  LB_DELIVER_BYTES = 0,  /* The body as it came, dechunked. */
  LB_DELIVER_EVENTS = 1, /* One DATA for each server-sent event. */
  LB_DELIVER_WHOLE = 2   /* One DATA with the whole body. */
};

enum {
  LB_CALL_ATTEMPTS = 1 << 0, /* ATTEMPT events too. */
  LB_CALL_APPEND = 1 << 1    /* `body` is a beginning, which may be empty: lb_call_append brings the rest. */
};

typedef struct lb_call_options { /* Scalars only, so that cgo can pass it. */
  uint32_t struct_size;
  uint32_t delivery;      /* LB_DELIVER_* */
  uint64_t user_data;     /* Comes back in every event of the call. */
  uint32_t deadline_ms;   /* 0: the route's. */
  uint32_t window_bytes;  /* Delivered and not yet credited; 0: the route's. */
  int32_t priority;       /* Higher is served first when the call has to wait. */
  uint32_t flags;         /* LB_CALL_* */
} lb_call_options;

/*
 * [any] Starts a call.  `head` is an HTTP/1.1 request head, "POST /v1/... " and
 * header lines, with or without the blank line; `x-lb-*` lines carry what the
 * gateway takes too: x-lb-route (a route by its model), x-lb-affinity (a session), x-lb-caller (who is counted),
 * x-lb-priority (a number), x-lb-trace (any value: say why, in an x-lb-trace field of the answer).
 */
LB_API lb_status lb_call_start(lb_engine *engine, lb_queue *queue, const lb_call_options *options,
                               const char *head, size_t head_len, const void *body, size_t body_len,
                               lb_call *out, lb_error *err);
/* [any][cb] More of the body of a call with LB_CALL_APPEND; `last`: 1 with the end of it, which may be empty.  An
   LB_EVENT_ROOM follows the start and each append that is not the last, once more is welcome; one may stand for several
   that did not wait for theirs, whose bytes are held in memory until then.  A content-length line in the head says
   how much there will be and must be true; without one the length is what came.  LB_GONE: the call has ended.
   LB_INVALID: its body was whole. */
LB_API lb_status lb_call_append(lb_engine *engine, lb_call call, const void *bytes, size_t len, int32_t last);
/* [any][cb] Says that `bytes` of delivered data were consumed; reading goes on. */
LB_API lb_status lb_call_credit(lb_engine *engine, lb_call call, uint64_t bytes);
/* [any][cb] Asks for an early DONE; harmless on a call that has ended. */
LB_API lb_status lb_call_cancel(lb_engine *engine, lb_call call);

/* ---- Balancer ----------------------------------------------------------- */

/*
 * For hosts with an HTTP client of their own.  Ask for a deployment, send the
 * request there, say how it ended, and learn what to do next:
 *
 *     for (;;) {
 *       if (lb_balancer_pick(b, &ask, now(), &pick) != LB_OK) { wait pick.wait_ns, or give up }
 *       ... send it to pick.url with pick.key ...
 *       lb_balancer_report(b, pick.pick, &outcome, now(), &next);
 *       if (next.kind == LB_NEXT_STOP) break;
 *       ... add pick.target to the tried ones ...
 *     }
 *
 * It has no thread, no socket and no clock: `now_ns` is any monotonic clock of
 * the host's.  One that goes back counts as standing still.  The configuration
 * is the engine's; what is about connections and listeners has no effect.
 */
typedef struct lb_balancer lb_balancer;

typedef struct lb_balancer_options {
  uint32_t struct_size;
  uint32_t flags;     /* LB_ENGINE_SECRETS */
  uint64_t seed;      /* Of every random choice; 0 takes one from the system. */
  uint64_t now_ns;    /* The host's clock. */
  uint64_t unix_ns;   /* Unix time at that moment, for windows by the wall clock and dates; 0: not at hand. */
  uint32_t picks_max; /* That have not been reported; 0: 65536. */
  uint32_t reserved;
  lb_select select;   /* NULL: none. */
  void *select_ctx;
} lb_balancer_options;

typedef struct lb_ask {
  uint32_t struct_size;
  uint32_t flags;           /* LB_ASK_* */
  const char *model;        /* Or the model of a route. */
  size_t model_len;
  const char *caller;       /* Who is counted; may be empty. */
  size_t caller_len;
  const char *affinity;     /* Session, or the part of the prompt that a cache would serve; may be empty. */
  size_t affinity_len;
  uint64_t characters;      /* Of the prompt, in Unicode code points: four make a token. */
  uint64_t tokens_in;       /* Of the prompt, where the host has counted them; then `characters` is not read. */
  uint64_t tokens_out_max;  /* That the call allows; 0: it does not say. */
  uint32_t choices;         /* Answers asked for; 0 is 1. */
  uint32_t images;          /* In the prompt. */
  const uint32_t *tried;    /* lb_pick.target of this call's attempts that must not be repeated. */
  size_t tried_count;
  uint32_t attempts;        /* Of this call so far; 0: tried_count. */
  uint32_t reserved;
  uint64_t deadline_ns;     /* On the host's clock; 0: from the route, counted from now. */
} lb_ask;

enum {
  LB_ASK_RETRY = 1 << 0 /* Not the first pick of its call, also where nothing is in `tried`. */
};

typedef struct lb_pick {     /* Texts are lent until the pick is reported. */
  uint32_t struct_size;
  uint32_t target;           /* For lb_ask.tried. */
  uint64_t pick;             /* For lb_balancer_report; never 0 after LB_OK, never reused. */
  uint64_t wait_ns; /* After LB_LIMITED and LB_NO_UPSTREAM: until it makes sense to ask again; UINT64_MAX: until
                       another pick is reported; 0: all have been tried, and that was it. */
  const char *deployment;    /* Its name. */
  const char *url;           /* As configured, without a slash at its end; "" for kind echo. */
  const char *key;           /* Its API key, or "".  A secret. */
  const char *model;         /* What it calls the model; NULL: as it was asked for, by whatever name. */
  uint32_t again;            /* 1: all have been tried; ask again after wait_ns, with none tried. */
  uint32_t reserved;
} lb_pick;

enum {
  LB_OUTCOME_OK = 0,        /* A whole answer with success. */
  LB_OUTCOME_ERROR = 1,     /* An answer with an error: http_status, head and body say which. */
  LB_OUTCOME_CONNECT = 2,   /* DNS, TCP or TLS failed; nothing was sent. */
  LB_OUTCOME_TIMEOUT = 3,   /* No answer in time. */
  LB_OUTCOME_BROKEN = 4,    /* The connection or the answer broke. */
  LB_OUTCOME_CANCELLED = 5, /* The host gave up. */
  LB_OUTCOME_NOT_SENT = 6   /* The pick was not used. */
};

enum { /* Which of its numbers an outcome knows: unknown is not zero. */
  LB_KNOWN_TOKENS_IN = 1 << 0,
  LB_KNOWN_TOKENS_OUT = 1 << 1,
  LB_KNOWN_TOKENS_CACHED = 1 << 2,
  LB_KNOWN_FIRST_CONTENT = 1 << 3
};

typedef struct lb_outcome {
  uint32_t struct_size;
  uint32_t kind;               /* LB_OUTCOME_* */
  uint32_t http_status;
  uint32_t known;              /* LB_KNOWN_* */
  const char *head;            /* Header lines of the answer: Retry-After and limits are read; may be empty. */
  size_t head_len;
  const char *body;            /* Of an error; its first kilobytes will do; may be empty. */
  size_t body_len;
  uint64_t tokens_in;
  uint64_t tokens_out;
  uint64_t tokens_cached;
  uint64_t first_content_ns;   /* From the pick to the first content. */
  uint32_t delivered;          /* 1: the host's caller has had some of the answer; there will be no other attempt. */
  uint32_t reserved;
} lb_outcome;

enum {
  LB_NEXT_STOP = 0,      /* It ended well, or no attempt may follow. */
  LB_NEXT_ELSEWHERE = 1  /* Pick again, with this target among the tried. */
};

typedef struct lb_next {
  uint32_t struct_size;
  uint32_t kind;      /* LB_NEXT_* */
  uint64_t out_ns;    /* For how long what failed is out of rotation; 0: it is not. */
} lb_next;

/* [any] Opens a balancer with a configuration (JSON or YAML). */
LB_API lb_status lb_balancer_open(const lb_balancer_options *options, const char *config, size_t config_len,
                                  lb_balancer **out, lb_error *err);
/* [any] Replaces the whole configuration, or changes nothing and says why.  Health, limits and open picks of
   deployments that are the same go on. */
LB_API lb_status lb_balancer_configure(lb_balancer *balancer, const char *config, size_t config_len,
                                       uint64_t now_ns, lb_error *err);
/* [any][cb] LB_OK: `out` names a target and holds a reservation until it is reported.  LB_LIMITED and
   LB_NO_UPSTREAM: nobody may take the call; out->wait_ns says how long.  LB_INVALID: no route serves the model.
   LB_FULL: picks_max picks have not been reported.  Allocates nothing once it has seen as many picks at a time. */
LB_API lb_status lb_balancer_pick(lb_balancer *balancer, const lb_ask *ask, uint64_t now_ns, lb_pick *out);
/* [any][cb] Settles the reservation and says what to do next.  LB_GONE: it has been reported before. */
LB_API lb_status lb_balancer_report(lb_balancer *balancer, uint64_t pick, const lb_outcome *outcome, uint64_t now_ns,
                                    lb_next *out);
/* [any] Why a pick would go where it goes, as one line of JSON; changes nothing.  Free with lb_free.  NULL when no
   route serves the model. */
LB_API char *lb_balancer_explain(lb_balancer *balancer, const lb_ask *ask, uint64_t now_ns, size_t *len);
/* [any] What is counted, as JSON.  Free with lb_free. */
LB_API char *lb_balancer_stats(lb_balancer *balancer, uint64_t now_ns, size_t *len);
/* [any] As lb_engine_mark, at once. */
LB_API lb_status lb_balancer_mark(lb_balancer *balancer, const char *name, size_t name_len, const char *model,
                                  size_t model_len, uint64_t ms, uint64_t now_ns, lb_error *err);
/* [one][cb] Frees it with its open picks.  NULL is fine. */
LB_API void lb_balancer_free(lb_balancer *balancer);

/* ---- Translation -------------------------------------------------------- */

/*
 * What was said in one dialect, in another, for hosts that send requests
 * themselves: no engine, no thread, no socket, no clock.
 *
 *     lb_translate_request(LB_DIALECT_ANTHROPIC, LB_DIALECT_OPENAI, body, len, &options, &request, &error);
 *     ... POST request.body to request.path at the target ...
 *     options.flags = request.flags;  options.model = request.model;  (what its answer needs to know)
 *     lb_translate_answer(LB_DIALECT_OPENAI, LB_DIALECT_ANTHROPIC, bytes, len, &options, &answer, &error);
 *
 * `from` and `to` are LB_DIALECT_*: `from` is that of the bytes that are given,
 * `to` that of the bytes that come back.  Where both are the same, bytes pass as
 * they are, but for the model of a request.  What becomes of each member is in
 * lib/wire/dialect/README.md.
 */
enum {
  LB_DIALECT_OPENAI = 1,    /* Chat completions. */
  LB_DIALECT_RESPONSES = 2, /* OpenAI's responses. */
  LB_DIALECT_ANTHROPIC = 3, /* Messages. */
  LB_DIALECT_GEMINI = 4     /* generateContent and streamGenerateContent. */
};

enum {
  LB_TRANSLATE_STREAM = 1 << 0, /* A stream is asked for.  Of Gemini's requests the path says so, of others the body. */
  LB_TRANSLATE_USAGE = 1 << 1,  /* Usage in a stream is asked for: OpenAI's stream_options.include_usage. */
  LB_TRANSLATE_MAX_TOKENS = 1 << 2, /* The target is OpenAI-style and knows max_tokens only. */
  LB_TRANSLATE_THINKING_BACK = 1 << 3, /* The target is OpenAI-style and wants to see again what it thought. */
  LB_TRANSLATE_THINKING_BUDGET = 1 << 4 /* The target is a Claude model that thinks by a budget of tokens. */
};

typedef struct lb_translate_options {
  uint32_t struct_size;
  uint32_t flags;       /* LB_TRANSLATE_* */
  const char *model;    /* Of a request: as the target calls it; empty: as the request does.  Of an answer: as the */
  size_t model_len;     /* caller called it; empty: as the answer does. */
  const char *id;       /* Of an answer: its id, without the prefix of a dialect, where it has none of `to`. */
  size_t id_len;        /* Empty: as the answer has it. */
  uint64_t created_s;   /* Of an answer: Unix time, where it does not say. */
  uint64_t output_max;  /* Tokens, for Anthropic, which has to be told, where the caller did not; 0: 4096. */
} lb_translate_options;

typedef struct lb_translated { /* `path`, `model` and `lost` end in NUL and live as long as `body`. */
  uint32_t struct_size;
  uint32_t flags;         /* Of a request: LB_TRANSLATE_STREAM and LB_TRANSLATE_USAGE, as its answer needs them. */
  char *body;             /* Free with lb_free; NULL after an error. */
  size_t body_len;
  const char *path;       /* Of a request: where to POST it, behind a base URL that ends as in lb_pick.url; or "". */
  const char *model;      /* Of a request: as it calls the model; "" of Gemini's, whose path does. */
  const char *lost;       /* What could not be said: "seed, logit_bias", in the words of `from`; or "". */
  uint32_t known;         /* LB_KNOWN_TOKENS_*: which of these an answer says. */
  uint32_t left_out;      /* Events of a stream that were no JSON. */
  uint64_t tokens_in;
  uint64_t tokens_out;
  uint64_t tokens_cached;
} lb_translated;

/* [any][cb] LB_INVALID with a place: it is no request of `from`, or asks for what `to` cannot do; then the message says
   what to change. */
LB_API lb_status lb_translate_request(uint32_t from, uint32_t to, const void *body, size_t body_len,
                                      const lb_translate_options *options, lb_translated *out, lb_error *err);
/* [any][cb] A whole answer that is a success.  LB_PROTOCOL: it is none of `from`. */
LB_API lb_status lb_translate_answer(uint32_t from, uint32_t to, const void *body, size_t body_len,
                                     const lb_translate_options *options, lb_translated *out, lb_error *err);
/* [any][cb] An answer that is an error, whatever its body is; its HTTP status stays. */
LB_API lb_status lb_translate_error(uint32_t from, uint32_t to, uint32_t http_status, const void *body,
                                    size_t body_len, lb_translated *out, lb_error *err);

typedef struct lb_translation lb_translation; /* A streamed answer on its way: server-sent events. */

/* [any][cb] Begins one; `options` as for lb_translate_answer, and LB_TRANSLATE_USAGE. */
LB_API lb_status lb_translate_open(uint32_t from, uint32_t to, const lb_translate_options *options,
                                   lb_translation **out, lb_error *err);
/* [one][cb] The next bytes of the answer, cut anywhere.  `out` is what can be said by now, in whole events, lent until
   the stream is called again.  Allocates nothing once its buffers have grown.  LB_TOO_LARGE: an event of more than
   16 MiB.  LB_GONE: it has ended. */
LB_API lb_status lb_translate_feed(lb_translation *stream, const void *bytes, size_t len, const char **out,
                                   size_t *out_len);
/* [one][cb] The answer is at its end: out->body is what was still owed.  LB_OK: it was whole.  LB_BROKEN: it was
   cut, and what was written has no end either.  LB_UPSTREAM: it said that it failed, and so does what was written.
   `out` is filled in for all three.  LB_GONE: it has ended before. */
LB_API lb_status lb_translate_end(lb_translation *stream, lb_translated *out);
/* [one][cb] NULL is fine. */
LB_API void lb_translate_free(lb_translation *stream);

/* ---- Answers ------------------------------------------------------------ */

/*
 * What `validate` of a route does for the engine's calls, for hosts that send
 * requests themselves:
 *
 *     lb_validate(rules, rules_len, text, text_len, &verdict, &error);
 *     if (verdict.valid) { use text[begin .. begin + size) }
 *     else { add the text as the model's turn and verdict.next as the user's; ask
 *            again, at most verdict.asks times }
 *     lb_free(verdict.error); lb_free(verdict.next);
 */
typedef struct lb_verdict {
  uint32_t struct_size;
  uint32_t valid;  /* 1: the text keeps the rules. */
  uint64_t begin;  /* Byte of the text with which what is to be used begins: all of it, or the JSON found in it. */
  uint64_t size;   /* How many bytes that are; 0 where it is not valid. */
  uint32_t asks;   /* How often to ask again, as the rules say. */
  uint32_t reserved;
  char *error;     /* What is wrong, one sentence; NULL if nothing is.  Free with lb_free. */
  char *next;      /* What to say to the model then; NULL if nothing is wrong.  Free with lb_free. */
} lb_verdict;

/* [any][cb] Checks `text`, which a model has said, by `rules`: what stands under `validate` of a route, JSON or YAML.
   LB_OK whether it is valid or not: see out->valid.  LB_CONFIG: the rules are wrong; err->where is a JSON pointer into
   them.  LB_INVALID: something is NULL, or struct_size is not set.  Keeps nothing: the rules are read anew each time,
   which takes less than a millisecond for a schema of ten kilobytes. */
LB_API lb_status lb_validate(const char *rules, size_t rules_len, const char *text, size_t text_len, lb_verdict *out,
                             lb_error *err);

/* ---- Memory ------------------------------------------------------------- */

LB_API void lb_free(void *ptr); /* [any][cb] Frees what a function here said to free. NULL is fine. */

#ifdef __cplusplus
}
#endif
#endif
