/* lb for Node: the native half.  lb.js is the other.
 *
 * An environment (the main thread, or a worker) has one threadsafe function, which says "wake" and nothing else; JS
 * then drains batches of events of all engines of this environment into two arrays that it brings along.  A call is
 * known to JS by its slot, which is the user_data of its events and free again with its DONE.  The threadsafe function
 * keeps the process alive while calls are in flight, and not otherwise.
 *
 * Nothing here runs on another thread but `wake`.  At the end of an environment its queues are closed, after which
 * `wake` never runs, then the engines are freed, then the threadsafe function is released. */
#include "addon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 256              /* Events of one poll; what a crossing costs is spread over as many. */
#define SCRATCH_KEPT (1 << 20) /* Larger request bodies are rare: their buffer goes back. */
#define META 6                 /* Numbers of one event in drain's first array. */

struct engine {
  lb_engine *lb; /* NULL: closed. */
  lb_queue *queue;
  state *of;
  engine *next;
  uint32_t id;
  int closing, count, at;
  lb_event batch[BATCH]; /* Polled; from `at` on not yet given to JS. */
};

/* ---- Waking --------------------------------------------------------------- */

static void wake(void *ctx) { /* On the thread of an engine. */
  state *s = ((engine *)ctx)->of;
  if (!atomic_exchange(&s->woken, 1)) napi_call_threadsafe_function(s->tsfn, NULL, napi_tsfn_nonblocking);
}

static void on_wake(napi_env env, napi_value drain_all, void *ctx, void *data) {
  napi_value undefined;
  (void)data;
  if (!env) return;
  atomic_store(&((state *)ctx)->woken, 0); /* Before draining: what comes from now on wakes again. */
  napi_get_undefined(env, &undefined);
  napi_call_function(env, undefined, drain_all, 0, NULL, NULL);
}

static void hold(napi_env env, state *s) {
  if (s->busy++ == 0) napi_ref_threadsafe_function(env, s->tsfn);
}

static void let_go(napi_env env, state *s) {
  if (--s->busy == 0) napi_unref_threadsafe_function(env, s->tsfn);
}

/* ---- Engines -------------------------------------------------------------- */

static engine *engine_of(napi_env env, napi_value value) { return external_of(env, value); }

static void end_engine(engine *e) { /* In this order: see the top. */
  if (!e->lb) return;
  lb_queue_close(e->queue);
  lb_engine_free(e->lb);
  e->lb = NULL;
  if (!e->of) return;
  for (engine **at = &e->of->engines; *at; at = &(*at)->next) {
    if (*at != e) continue;
    *at = e->next;
    break;
  }
}

static void forget_engine(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  end_engine(data);
  free(data);
}

static void end_environment(void *data) {
  state *s = data;
  while (s->engines) {
    engine *e = s->engines;
    end_engine(e);
    e->of = NULL;
  }
  napi_release_threadsafe_function(s->tsfn, napi_tsfn_abort);
}

static void forget_state(napi_env env, void *data, void *hint) {
  state *s = data;
  (void)hint;
  if (s->error) napi_delete_reference(env, s->error);
  free(s->head.data);
  free(s->body.data);
  free(s->more.data);
  free(s->slots);
  free(s);
}

/* setup(drainAll, ErrorClass): once an environment. */
static napi_value setup(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  napi_value name = text(env, "lb", 2);
  if (s->tsfn || napi_create_reference(env, a[1], 1, &s->error) != napi_ok) return NULL;
  if (napi_create_threadsafe_function(env, a[0], NULL, name, 0, 1, NULL, NULL, s, on_wake, &s->tsfn) != napi_ok)
    return NULL;
  napi_unref_threadsafe_function(env, s->tsfn);
  napi_add_env_cleanup_hook(env, end_environment, s);
  return NULL;
}

/* open(config, flags, seed, callsMax, logLevel) -> [engine, id] */
static napi_value open_engine(napi_env env, napi_callback_info info) {
  ARGUMENTS(5);
  napi_value out = NULL, handle;
  lb_engine_options options = {sizeof options, u32_of(env, a[1]), u64_of(env, a[2]), u32_of(env, a[3]),
                               u32_of(env, a[4]), NULL, NULL};
  lb_queue_options wakes = {sizeof wakes, 0, wake, NULL, NULL};
  lb_error error = {sizeof error, 0, "", ""};
  engine *e = calloc(1, sizeof *e);
  if (!e) abort();
  text_of(env, a[0], &s->body);
  lb_status status = lb_engine_open(&options, s->body.data ? s->body.data : "", s->body.size, &e->lb, &error);
  wakes.ctx = e;
  e->of = s;
  if (status == LB_OK && (status = lb_queue_open(e->lb, &wakes, &e->queue, &error)) != LB_OK) lb_engine_free(e->lb);
  if (status != LB_OK) {
    free(e);
    return fail(env, s, status, &error);
  }
  e->id = s->engines_opened++;
  e->next = s->engines;
  s->engines = e;
  napi_create_external(env, e, forget_engine, NULL, &handle);
  napi_create_array_with_length(env, 2, &out);
  napi_set_element(env, out, 0, handle);
  napi_set_element(env, out, 1, number(env, e->id));
  return out;
}

/* configure(engine, config) */
static napi_value configure(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  lb_error error = {sizeof error, 0, "", ""};
  text_of(env, a[1], &s->body);
  lb_status status = lb_engine_configure(engine_of(env, a[0])->lb, s->body.data, s->body.size, &error);
  return outcome_of(env, s, status, &error);
}

/* close(engine, drainMs): an event CLOSED follows. */
static napi_value close_engine(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  engine *e = engine_of(env, a[0]);
  if (!e->lb || lb_engine_close(e->lb, u32_of(env, a[1])) != LB_OK) return NULL;
  if (!e->closing++) hold(env, s);
  return NULL;
}

/* free(engine): after CLOSED. */
static napi_value free_engine(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  end_engine(engine_of(env, a[0]));
  return NULL;
}

/* address(engine, name) -> "host:port" */
static napi_value address(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  char out[512];
  text_of(env, a[1], &s->body);
  int32_t size = lb_engine_address(engine_of(env, a[0])->lb, s->body.data, s->body.size, out, sizeof out);
  if (size < 0) return fail(env, s, size, NULL);
  return text(env, out, (size_t)size < sizeof out ? (size_t)size : sizeof out - 1);
}

/* stats(engine, format) */
static napi_value stats(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  size_t size = 0;
  char *made = lb_engine_stats(engine_of(env, a[0])->lb, u32_of(env, a[1]), &size);
  return lent(env, s, made, size);
}

/* mark(engine, name, model, ms) */
static napi_value mark(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  lb_error error = {sizeof error, 0, "", ""};
  text_of(env, a[1], &s->head);
  text_of(env, a[2], &s->body);
  lb_status status = lb_engine_mark(engine_of(env, a[0])->lb, s->head.data, s->head.size, s->body.data, s->body.size,
                                    u64_of(env, a[3]), &error);
  return outcome_of(env, s, status, &error);
}

/* ---- Calls ---------------------------------------------------------------- */

static uint32_t take_slot(state *s) {
  if (s->slots_free == s->slots_count) {
    uint32_t count = s->slots_count ? 2 * s->slots_count : 64;
    s->slots = realloc(s->slots, count * sizeof *s->slots);
    if (!s->slots) abort();
    for (uint32_t i = s->slots_count; i < count; i++) s->slots[i] = (slot){NULL, 0, i + 1, 0};
    s->slots_count = count;
  }
  uint32_t taken = s->slots_free;
  s->slots_free = s->slots[taken].next;
  return taken;
}

static void give_back(state *s, uint32_t at) {
  s->slots[at] = (slot){NULL, 0, s->slots_free, 0};
  s->slots_free = at;
}

/* start(engine, head, body, delivery, flags, deadlineMs, windowBytes, priority, tells) -> slot.  `head` is Latin-1, as
   header fields are; `body` a string, a Uint8Array or nothing. */
static napi_value start(napi_env env, napi_callback_info info) {
  ARGUMENTS(9);
  engine *e = engine_of(env, a[0]);
  lb_error error = {sizeof error, 0, "", ""};
  lb_call_options options = {sizeof options, u32_of(env, a[3]), 0, u32_of(env, a[5]), u32_of(env, a[6]), 0,
                             u32_of(env, a[4])};
  size_t head = 0, size = 0;
  void *body = NULL;
  napi_get_value_int32(env, a[7], &options.priority);
  napi_get_value_string_latin1(env, a[1], NULL, 0, &head);
  reserve(&s->head, head + 1);
  napi_get_value_string_latin1(env, a[1], s->head.data, s->head.cap, &head);
  if (!bytes_of(env, a[2], &body, &size) && text_of(env, a[2], &s->body)) {
    body = s->body.data;
    size = s->body.size;
  }
  if (!e->lb) return fail(env, s, LB_CLOSED, NULL);
  uint32_t at = take_slot(s);
  slot *mine = &s->slots[at];
  *mine = (slot){e, 0, 0, u32_of(env, a[8])};
  options.user_data = at;
  lb_status status = lb_call_start(e->lb, e->queue, &options, s->head.data, head, body, size, &mine->call, &error);
  if (s->body.cap > SCRATCH_KEPT) {
    free(s->body.data);
    s->body = (buffer){NULL, 0, 0};
  }
  if (status != LB_OK) {
    give_back(s, at);
    return fail(env, s, status, &error);
  }
  hold(env, s);
  return number(env, at);
}

static slot *slot_of(napi_env env, state *s, napi_value value) { /* NULL: the call has ended. */
  uint32_t at = u32_of(env, value);
  return at < s->slots_count && s->slots[at].owner && s->slots[at].owner->lb ? &s->slots[at] : NULL;
}

/* append(slot, bytes, last): what is no Uint8Array is a TypeError, as for the body of any fetch. */
static napi_value append(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  slot *at = slot_of(env, s, a[0]);
  void *bytes;
  size_t size;
  bool last = false;
  napi_get_value_bool(env, a[2], &last);
  if (!bytes_of(env, a[1], &bytes, &size) && !last) return fail(env, s, LB_INVALID, NULL);
  if (at) lb_call_append(at->owner->lb, at->call, bytes, size, last);
  return NULL;
}

/* credit(slot, bytes) */
static napi_value credit(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  slot *at = slot_of(env, s, a[0]);
  if (at) lb_call_credit(at->owner->lb, at->call, u64_of(env, a[1]));
  return NULL;
}

/* cancel(slot) */
static napi_value cancel(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  slot *at = slot_of(env, s, a[0]);
  if (at) lb_call_cancel(at->owner->lb, at->call);
  return NULL;
}

static const struct {
  const char *name;
  uint32_t id;
} kFields[] = {
#define LB_FIELD_X(name, id) {#name, id},
    LB_FIELD_MAP(LB_FIELD_X)
#undef LB_FIELD_X
};

static void add(buffer *b, const char *data, size_t size) {
  if (b->size + size > b->cap) {
    b->cap = 2 * (b->size + size);
    b->data = realloc(b->data, b->cap);
    if (!b->data) abort();
  }
  memcpy(b->data + b->size, data, size);
  b->size += size;
}

/* What an event knows beyond its data: NAME=NUMBER or NAME:TEXT, each ended by NUL. */
static void add_fields(buffer *b, const lb_event *event) {
  b->size = 0;
  for (size_t i = 0; i < sizeof kFields / sizeof *kFields; i++) {
    char digits[24];
    const char *value = digits;
    size_t size;
    uint64_t number;
    int is_number = lb_event_u64(event, kFields[i].id, &number);
    if (is_number)
      size = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    else if (!lb_event_text(event, kFields[i].id, &value, &size))
      continue;
    add(b, kFields[i].name, strlen(kFields[i].name));
    add(b, is_number ? "=" : ":", 1);
    add(b, value, size);
    add(b, "", 1);
  }
}

static int is_ascii(const uint8_t *data, size_t size) {
  uint64_t word, seen = 0;
  for (; size >= sizeof word; data += sizeof word, size -= sizeof word) {
    memcpy(&word, data, sizeof word);
    seen |= word;
  }
  for (; size > 0; size--) seen |= *data++;
  return (seen & UINT64_C(0x8080808080808080)) == 0;
}

/* The event as drain gives it: META numbers, and bytes at `to`.  -1: these do not fit, and nothing has happened;
   `need` says how many there are. */
static int put(napi_env env, state *s, engine *e, const lb_event *event, uint32_t *meta, uint8_t *to, size_t room,
               size_t *need) {
  uint32_t at = event->call ? (uint32_t)event->user_data : e->id;
  const void *data = event->data;
  size_t size = event->size;
  uint64_t window;
  int done = event->kind == LB_EVENT_DONE;
  if (event->kind == LB_EVENT_ATTEMPT || (done && (event->status != LB_OK || s->slots[at].tells))) {
    add_fields(&s->body, event);
    data = s->body.data;
    size = s->body.size;
  }
  *need = size;
  if (size > room) return -1;
  if (size) memcpy(to, data, size);
  meta[0] = event->kind;
  meta[1] = at;
  meta[2] = event->kind == LB_EVENT_DATA ? (uint32_t)is_ascii(to, size) : event->code;
  meta[3] = (uint32_t)event->status;
  if (event->kind == LB_EVENT_HEAD && lb_event_u64(event, LB_FIELD_WINDOW_BYTES, &window)) meta[3] = (uint32_t)window;
  meta[5] = (uint32_t)size;
  if (done) give_back(s, at);
  if (done || event->kind == LB_EVENT_CLOSED) let_go(env, s);
  return 0;
}

/* drain(meta, bytes, at) -> count: gives the next events, in `meta` [kind, slot or engine's id, code (of DATA: is it
   ASCII?), status (of HEAD: the window), at, size] and in `bytes` from `at` on.  0: there are none, and the next one
   wakes.  Less than 0: so many bytes are needed for the first of them. */
static napi_value drain(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  napi_typedarray_type type;
  void *data, *bytes;
  size_t cap, room, need;
  uint32_t count = 0, at = u32_of(env, a[2]);
  if (napi_get_typedarray_info(env, a[0], &type, &cap, &data, NULL, NULL) != napi_ok ||
      !bytes_of(env, a[1], &bytes, &room) || at > room)
    return NULL;
  for (engine *e = s->engines; e; e = e->next) {
    for (;; e->at++) {
      if (e->at == e->count) {
        int polled = lb_queue_poll(e->queue, e->batch, BATCH, 0);
        e->at = 0;
        e->count = polled > 0 ? polled : 0;
        if (e->count == 0) break;
      }
      if ((count + 1) * META > cap) return number(env, count);
      uint32_t *meta = (uint32_t *)data + count * META;
      meta[4] = at;
      if (put(env, s, e, &e->batch[e->at], meta, (uint8_t *)bytes + at, room - at, &need) != 0)
        return number(env, count ? (double)count : -(double)need);
      at += (uint32_t)need;
      count++;
    }
  }
  return number(env, count);
}

/* ---- The module ----------------------------------------------------------- */

NAPI_MODULE_INIT() {
  static const function kFunctions[] = {
      {"setup", setup}, {"open", open_engine}, {"configure", configure}, {"close", close_engine},
      {"free", free_engine}, {"address", address}, {"stats", stats}, {"mark", mark}, {"start", start},
      {"append", append}, {"credit", credit}, {"cancel", cancel}, {"drain", drain}, {NULL, NULL},
  };
  state *s = calloc(1, sizeof *s);
  if (!s) abort();
  if (napi_set_instance_data(env, s, forget_state, NULL) != napi_ok) return NULL;
  export_all(env, exports, s, kFunctions);
  export_facts(env, exports, s);
  export_balancer(env, exports, s);
  return exports;
}
