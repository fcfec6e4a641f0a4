/* The conformance driver over lb.h itself: README.md has the protocol. One thread; whatever waits polls the queue. */
#include <lb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(what) ((what) ? (void)0 : (fprintf(stderr, "driver: %s\n", #what), abort()))
#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { kThings = 64, kWords = 64, kQuietMs = 300 };

/* ---- Lines ---- */

static char *words[kWords];
static size_t word_count;

static void decode(char *text) {
  char *to = text;
  for (unsigned byte; *text; to++)
    if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1)
      *to = (char)byte, text += 3;
    else
      *to = *text++;
  *to = 0;
}

static void split(char *line) {
  word_count = 0;
  for (char *word = strtok(line, " \n"); word && word_count < kWords; word = strtok(NULL, " \n")) {
    decode(word);
    words[word_count++] = word;
  }
}

/* The value of the word `key=`, the nth of them; NULL where there is none. */
static const char *nth_word(const char *key, size_t nth) {
  size_t size = strlen(key);
  for (size_t i = 1; i < word_count; i++)
    if (!strncmp(words[i], key, size) && words[i][size] == '=' && nth-- == 0) return words[i] + size + 1;
  return NULL;
}
static const char *word(const char *key) { return nth_word(key, 0); }
static const char *text_word(const char *key) { return word(key) ? word(key) : ""; }
static uint64_t number_word(const char *key) { return word(key) ? strtoull(word(key), NULL, 10) : 0; }
static int is_word(const char *key, const char *value) { return !strcmp(text_word(key), value); }

static void print_value(const char *key, const char *value, size_t size) {
  printf(" %s=", key);
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)value[i];
    if (byte < 0x21 || byte > 0x7e || byte == '%')
      printf("%%%02X", byte);
    else
      putchar(byte);
  }
}
static void print_text(const char *key, const char *value) { print_value(key, value, strlen(value)); }

static void answer(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
}

static void answer_status(lb_status status, const lb_error *error) {
  if (status == LB_OK) {
    answer("ok");
    return;
  }
  answer("error status=%s", lb_status_name(status));
  if (error && !strcmp(lb_status_name(status), "CONFIG")) print_text("where", error->where);
}

/* ---- Things by name ---- */

typedef struct Engine {
  char name[32];
  lb_engine *engine;
  lb_queue *queue;
} Engine;

typedef struct Call {
  char name[32];
  Engine *of;
  lb_call id;
  lb_status status; /* 1: it has not ended. */
  uint32_t code, head_code;
  char *head;
  char *data;                      /* Delivered and not yet read. */
  size_t size, *events, event_count, event_room;
  char attempts[256];
  uint64_t numbers[LB_FIELD_RETRY_AFTER_MS + 1];
  int known[LB_FIELD_RETRY_AFTER_MS + 1];
  char upstream[64];
  char *body;                      /* Of a streamed request. */
  size_t body_size, sent, piece;
} Call;

typedef struct Pick {
  char name[32];
  uint64_t id;
  uint32_t target;
} Pick;

typedef struct Balancer {
  char name[32];
  lb_balancer *balancer;
} Balancer;

static Engine engines[kThings];
static Call calls[kThings];
static Pick picks[kThings];
static Balancer balancers[kThings];

#define FIND(things, name) find(things, sizeof *things, COUNT(things), name, 0)
#define MAKE(things, name) find(things, sizeof *things, COUNT(things), name, 1)
static void *find(void *things, size_t size, size_t count, const char *name, int make) {
  for (size_t i = 0; i < count; i++) {
    char *thing = (char *)things + i * size;
    if (!strcmp(thing, name)) return thing;
    if (*thing || !make) continue;
    snprintf(thing, 32, "%s", name);
    return thing;
  }
  CHECK(!"such a thing, or room for it");
  return NULL;
}

/* ---- Events ---- */

static void take_done(Call *call, const lb_event *event) {
  const char *text;
  size_t size;
  call->status = event->status;
  call->code = event->code;
  for (uint32_t field = 1; field <= LB_FIELD_RETRY_AFTER_MS; field++)
    call->known[field] = lb_event_u64(event, field, &call->numbers[field]);
  if (lb_event_text(event, LB_FIELD_UPSTREAM, &text, &size))
    snprintf(call->upstream, sizeof call->upstream, "%s", text);
}

static void send_piece(Call *call) {
  size_t size = call->body_size - call->sent;
  if (size > call->piece) size = call->piece;
  call->sent += size;
  lb_call_append(call->of->engine, call->id, call->body + call->sent - size, size, call->sent == call->body_size);
}

static void take(const lb_event *event) {
  Call *call = event->user_data ? &calls[event->user_data - 1] : NULL;
  if (!call) return;
  switch (event->kind) {
    case LB_EVENT_HEAD:
      call->head_code = event->code;
      call->head = calloc(1, event->size + 1);
      memcpy(call->head, event->data, event->size);
      break;
    case LB_EVENT_DATA:
      call->data = realloc(call->data, call->size + event->size + 1);
      memcpy(call->data + call->size, event->data, event->size);
      call->size += event->size;
      if (call->event_count == call->event_room)
        call->events =
            realloc(call->events, (call->event_room = 2 * call->event_room + 64) * sizeof *call->events);
      call->events[call->event_count++] = event->size;
      break;
    case LB_EVENT_ATTEMPT:
      snprintf(call->attempts + strlen(call->attempts), sizeof call->attempts - strlen(call->attempts), "%s%s:%u",
               *call->attempts ? "," : "", lb_status_name(event->status), (unsigned)event->code);
      break;
    case LB_EVENT_DONE:
      take_done(call, event);
      break;
    case LB_EVENT_ROOM:
      send_piece(call);
      break;
    default:
      break;
  }
}

/* The count of events that came within the time; below zero: there will be no more. */
static int32_t turn(Engine *engine, int32_t timeout_ms) {
  lb_event events[64];
  int32_t count = lb_queue_poll(engine->queue, events, COUNT(events), timeout_ms);
  for (int32_t i = 0; i < count; i++) take(&events[i]);
  return count;
}

static int ended(const Call *call) { return call->status != 1; }
static void wait_more(Call *call) { CHECK(turn(call->of, 60000) > 0 || ended(call)); }

/* ---- Calls ---- */

static void answer_failure(const Call *call) {
  answer("error status=%s", lb_status_name(call->status));
  if (call->status != LB_CANCELLED && call->status != LB_DEADLINE)
    answer(" code=%u retry_after=%s", (unsigned)call->code, call->known[LB_FIELD_RETRY_AFTER_MS] ? "yes" : "no");
}

static void do_call(void) {
  Call *call = MAKE(calls, word("call"));
  lb_call_options options = {sizeof options, LB_DELIVER_BYTES, (uint64_t)(call - calls) + 1,
                             (uint32_t)number_word("deadline_ms"), (uint32_t)number_word("window"), 0, 0};
  lb_error error = {sizeof error, LB_OK, "", ""};
  const char *body = text_word("body"), *tail = text_word("tail"), *field;
  size_t fill = number_word("fill"), head_size = 0;
  char head[8192];
  call->of = FIND(engines, text_word("engine"));
  call->status = 1;
  call->body_size = strlen(body) + fill + strlen(tail);
  call->body = malloc(call->body_size + 1);
  memcpy(call->body, body, strlen(body));
  memset(call->body + strlen(body), 'x', fill);
  memcpy(call->body + strlen(body) + fill, tail, strlen(tail));
  call->piece = number_word("pieces");
  if (is_word("delivery", "events")) options.delivery = LB_DELIVER_EVENTS;
  if (is_word("delivery", "whole")) options.delivery = LB_DELIVER_WHOLE;
  if (word("attempts")) options.flags |= LB_CALL_ATTEMPTS;
  if (call->piece) options.flags |= LB_CALL_APPEND;
  head_size += (size_t)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\ncontent-type: application/json\r\n",
                                text_word("path"));
  for (size_t i = 0; (field = nth_word("header", i)) != NULL; i++)
    head_size += (size_t)snprintf(head + head_size, sizeof head - head_size, "%s\r\n", field);
  if (is_word("length", "known"))
    head_size +=
        (size_t)snprintf(head + head_size, sizeof head - head_size, "content-length: %zu\r\n", call->body_size);
  if (lb_call_start(call->of->engine, call->of->queue, &options, head, head_size, call->body,
                    call->piece ? 0 : call->body_size, &call->id, &error) != LB_OK)
    call->status = error.status;
  answer("ok");
}

static void do_head(void) {
  Call *call = FIND(calls, word("call"));
  while (!call->head && !ended(call)) wait_more(call);
  if (!call->head || call->status == LB_CANCELLED) {
    answer_failure(call);
    return;
  }
  answer("head code=%u", (unsigned)call->head_code);
  char shown[512];
  snprintf(shown, sizeof shown, "%s", text_word("show"));
  for (char *name = strtok(shown, ","); name; name = strtok(NULL, ",")) {
    const char *line = call->head;
    size_t size = strlen(name);
    while (*line && !(!strncmp(line, name, size) && line[size] == ':')) line = strstr(line, "\r\n") + 2;
    if (*line) print_value(name, line + size + 2, (size_t)(strstr(line, "\r\n") - line) - size - 2);
  }
}

static uint32_t fnv(const char *bytes, size_t size) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
  return hash;
}

/* Lets go of the first bytes and gives credit for them. */
static void consume(Call *call, size_t size) {
  call->size -= size;
  memmove(call->data, call->data + size, call->size);
  lb_call_credit(call->of->engine, call->id, size);
}

static void do_read(void) {
  Call *call = FIND(calls, word("call"));
  size_t wanted = number_word("bytes"), size = 0;
  char *out = malloc(wanted + 1);
  while (size < wanted && !(ended(call) && call->size == 0)) {
    if (call->size == 0) wait_more(call);
    size_t some = call->size < wanted - size ? call->size : wanted - size;
    if (some) memcpy(out + size, call->data, some), consume(call, some);
    size += some;
  }
  if (size < wanted && call->status != LB_OK)
    answer_failure(call);
  else
    answer("data bytes=%zu fnv=%08x", size, (unsigned)fnv(out, size));
  free(out);
}

static void do_rest(void) {
  Call *call = FIND(calls, word("call"));
  char *out = NULL;
  size_t size = 0;
  while (call->size > 0 || !ended(call)) {
    if (call->size == 0) wait_more(call);
    if (call->size == 0) continue;
    out = realloc(out, size + call->size);
    memcpy(out + size, call->data, call->size);
    size += call->size;
    consume(call, call->size);
  }
  if (call->status == LB_OK)
    answer("end bytes=%zu fnv=%08x", size, (unsigned)fnv(out, size));
  else if (call->status == LB_CANCELLED)
    answer_failure(call);
  else
    answer_failure(call), answer(" bytes=%zu", size);
  free(out);
}

static void do_event(void) {
  Call *call = FIND(calls, word("call"));
  while (call->event_count == 0 && !ended(call)) wait_more(call);
  if (call->status == LB_CANCELLED || (call->event_count == 0 && call->status != LB_OK)) {
    answer_failure(call);
  } else if (call->event_count == 0) {
    answer("end");
  } else {
    size_t size = call->events[0];
    answer("event bytes=%zu fnv=%08x", size, (unsigned)fnv(call->data, size));
    consume(call, size);
    memmove(call->events, call->events + 1, --call->event_count * sizeof *call->events);
  }
}

static void do_cancel(void) {
  Call *call = FIND(calls, word("call"));
  lb_call_cancel(call->of->engine, call->id);
  while (!ended(call)) wait_more(call);
  call->size = call->event_count = 0;
  answer("ok");
}

static void print_number(const Call *call, const char *key, uint32_t field) {
  call->known[field] ? answer(" %s=%llu", key, (unsigned long long)call->numbers[field]) : answer(" %s=-", key);
}

static void do_done(void) {
  Call *call = FIND(calls, word("call"));
  while (!ended(call)) wait_more(call);
  if (call->status != LB_OK) {
    answer_failure(call);
    return;
  }
  answer("done");
  print_number(call, "tokens_in", LB_FIELD_TOKENS_IN);
  print_number(call, "tokens_out", LB_FIELD_TOKENS_OUT);
  print_number(call, "attempts", LB_FIELD_ATTEMPTS);
  print_text("upstream", call->upstream);
}

static void do_attempts(void) {
  Call *call = FIND(calls, word("call"));
  answer("attempts list=%s", *call->attempts ? call->attempts : "-");
}

static void do_sent(void) {
  Call *call = FIND(calls, word("call"));
  while (turn(call->of, kQuietMs) > 0) {
  }
  answer("sent bytes=%zu", call->sent);
}

/* ---- Engines ---- */

static void do_open(void) {
  Engine *engine = MAKE(engines, word("engine"));
  lb_engine_options options = {sizeof options, is_word("secrets", "yes") ? LB_ENGINE_SECRETS : 0u, number_word("seed"),
                               (uint32_t)number_word("calls_max"), 0, NULL, NULL};
  lb_error error = {sizeof error, LB_OK, "", ""};
  const char *config = text_word("config");
  lb_status status = lb_engine_open(&options, config, strlen(config), &engine->engine, &error);
  if (status == LB_OK) status = lb_queue_open(engine->engine, NULL, &engine->queue, &error);
  answer_status(status, &error);
}

static void do_configure(void) {
  Engine *engine = FIND(engines, word("engine"));
  lb_error error = {sizeof error, LB_OK, "", ""};
  const char *config = text_word("config");
  answer_status(lb_engine_configure(engine->engine, config, strlen(config), &error), &error);
}

static void do_mark(void) {
  Engine *engine = FIND(engines, word("engine"));
  const char *name = text_word("name"), *model = text_word("model");
  answer_status(lb_engine_mark(engine->engine, name, strlen(name), model, strlen(model), number_word("ms"), NULL),
                NULL);
}

static void do_address(void) {
  Engine *engine = FIND(engines, word("engine"));
  char at[256];
  const char *name = text_word("name");
  int32_t size = lb_engine_address(engine->engine, name, strlen(name), at, sizeof at);
  if (size < 0)
    answer_status(size, NULL);
  else
    answer("address"), print_text("at", at);
}

static void do_stats(void) {
  Engine *engine = FIND(engines, word("engine"));
  size_t size = 0;
  lb_free(lb_engine_stats(engine->engine, is_word("format", "prometheus"), &size));
  answer("stats bytes=%zu", size);
}

static void free_engine(Engine *engine) {
  lb_queue_close(engine->queue);
  lb_engine_free(engine->engine);
  memset(engine, 0, sizeof *engine);
}

static void do_close(void) {
  Engine *engine = FIND(engines, word("engine"));
  lb_engine_close(engine->engine, (uint32_t)number_word("drain_ms"));
  while (turn(engine, -1) >= 0) {
  }
  free_engine(engine);
  answer("ok");
}

/* ---- Balancers ---- */

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void do_balancer(void) {
  Balancer *of = MAKE(balancers, word("balancer"));
  lb_balancer_options options = {sizeof options, 0, number_word("seed"), now_ns(), 0, 0, 0, NULL, NULL};
  lb_error error = {sizeof error, LB_OK, "", ""};
  const char *config = text_word("config");
  answer_status(lb_balancer_open(&options, config, strlen(config), &of->balancer, &error), &error);
}

static void do_pick(void) {
  Balancer *of = FIND(balancers, word("balancer"));
  Pick *pick = MAKE(picks, word("pick"));
  lb_pick out = {sizeof out, 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0};
  lb_ask ask = {.struct_size = sizeof ask, .flags = is_word("retry", "yes") ? LB_ASK_RETRY : 0u};
  uint32_t tried[16];
  char names[256];
  ask.model = text_word("model"), ask.model_len = strlen(ask.model);
  ask.caller = text_word("caller"), ask.caller_len = strlen(ask.caller);
  ask.tried = tried;
  snprintf(names, sizeof names, "%s", text_word("tried"));
  for (char *name = strtok(names, ","); name && ask.tried_count < COUNT(tried); name = strtok(NULL, ","))
    tried[ask.tried_count++] = ((Pick *)FIND(picks, name))->target;
  lb_status status = lb_balancer_pick(of->balancer, &ask, now_ns(), &out);
  if (status != LB_OK) {
    answer("error status=%s wait=%s again=%s", lb_status_name(status), out.wait_ns ? "yes" : "no",
           out.again ? "yes" : "no");
    return;
  }
  pick->id = out.pick;
  pick->target = out.target;
  answer("pick");
  print_text("deployment", out.deployment);
  print_text("url", out.url);
  print_text("key", out.key);
  print_text("model", out.model ? out.model : "-");
}

static void do_report(void) {
  static const char *const kKinds[] = {"OK", "ERROR", "CONNECT", "TIMEOUT", "BROKEN", "CANCELLED", "NOT_SENT"};
  Balancer *of = FIND(balancers, word("balancer"));
  Pick *pick = FIND(picks, word("pick"));
  lb_outcome outcome = {.struct_size = sizeof outcome, .http_status = (uint32_t)number_word("http_status")};
  lb_next next = {sizeof next, 0, 0};
  while (outcome.kind < COUNT(kKinds) && !is_word("kind", kKinds[outcome.kind])) outcome.kind++;
  outcome.head = text_word("head"), outcome.head_len = strlen(outcome.head);
  outcome.body = text_word("body"), outcome.body_len = strlen(outcome.body);
  outcome.known = (word("tokens_in") ? LB_KNOWN_TOKENS_IN : 0u) | (word("tokens_out") ? LB_KNOWN_TOKENS_OUT : 0u);
  outcome.tokens_in = number_word("tokens_in");
  outcome.tokens_out = number_word("tokens_out");
  outcome.delivered = is_word("delivered", "yes");
  lb_status status = lb_balancer_report(of->balancer, pick->id, &outcome, now_ns(), &next);
  if (status != LB_OK)
    answer_status(status, NULL);
  else
    answer("next kind=%s out=%s", next.kind == LB_NEXT_STOP ? "STOP" : "ELSEWHERE", next.out_ns ? "yes" : "no");
}

static void do_free(void) {
  Balancer *of = FIND(balancers, word("balancer"));
  lb_balancer_free(of->balancer);
  memset(of, 0, sizeof *of);
  answer("ok");
}

/* ---- All of it ---- */

static const struct {
  const char *name;
  void (*act)(void);
} kCommands[] = {
    {"open", do_open},     {"configure", do_configure}, {"mark", do_mark},   {"address", do_address},
    {"stats", do_stats},   {"close", do_close},         {"call", do_call},   {"head", do_head},
    {"read", do_read},     {"rest", do_rest},           {"event", do_event}, {"cancel", do_cancel},
    {"leave", do_cancel},  {"done", do_done},           {"sent", do_sent},   {"attempts", do_attempts},
    {"pick", do_pick},     {"report", do_report},       {"free", do_free},   {"balancer", do_balancer},
};

static void act(void) {
  for (size_t i = 0; i < COUNT(kCommands); i++)
    if (word_count && !strcmp(words[0], kCommands[i].name)) {
      kCommands[i].act();
      return;
    }
  answer("bad command");
}

int main(void) {
  static char line[1 << 20];
  CHECK(lb_abi() == LB_ABI);
  puts("driver lang=c has=events,whole,done,attempts,window,balancer,seed");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    split(line);
    act();
    putchar('\n');
    fflush(stdout);
  }
  for (size_t i = 0; i < COUNT(engines); i++) free_engine(&engines[i]);
  for (size_t i = 0; i < COUNT(balancers); i++) lb_balancer_free(balancers[i].balancer);
  for (size_t i = 0; i < COUNT(calls); i++)
    free(calls[i].head), free(calls[i].data), free(calls[i].body), free(calls[i].events);
  return 0;
}
