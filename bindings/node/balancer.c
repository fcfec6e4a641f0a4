/* lb_balancer_* for JS.  The host's clock is read here. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "addon.h"

static uint64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

typedef struct {
  lb_balancer *lb; /* NULL: closed. */
} balancer;

static balancer *balancer_of(napi_env env, napi_value value) { return external_of(env, value); }

static void forget_balancer(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  lb_balancer_free(((balancer *)data)->lb);
  free(data);
}

/* balancerOpen(config, flags, seed, picksMax) */
static napi_value balancer_open(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  napi_value out = NULL;
  lb_balancer_options options = {sizeof options, u32_of(env, a[1]), u64_of(env, a[2]), now_ns(CLOCK_MONOTONIC),
                                 now_ns(CLOCK_REALTIME), u32_of(env, a[3]), 0, NULL, NULL};
  lb_error error = {sizeof error, 0, "", ""};
  balancer *b = calloc(1, sizeof *b);
  if (!b) abort();
  text_of(env, a[0], &s->body);
  lb_status status = lb_balancer_open(&options, s->body.data, s->body.size, &b->lb, &error);
  if (status != LB_OK) {
    free(b);
    return fail(env, s, status, &error);
  }
  napi_create_external(env, b, forget_balancer, NULL, &out);
  return out;
}

static napi_value balancer_configure(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  lb_error error = {sizeof error, 0, "", ""};
  text_of(env, a[1], &s->body);
  lb_status status = lb_balancer_configure(balancer_of(env, a[0])->lb, s->body.data, s->body.size,
                                           now_ns(CLOCK_MONOTONIC), &error);
  return outcome_of(env, s, status, &error);
}

/* The numbers of an ask or an outcome; what is not there is 0. */
static uint64_t count_of(napi_env env, napi_value of, const char *name) { return u64_of(env, property(env, of, name)); }

/* `tried` is a Uint32Array.  The texts stand in the state's buffers, for as long as these are not used. */
static lb_ask ask_of(napi_env env, state *s, napi_value of, napi_value tried, uint64_t now) {
  lb_ask ask = {sizeof ask};
  napi_typedarray_type type;
  bool retry = false;
  uint64_t deadline_ms = count_of(env, of, "deadlineMs");
  text_of(env, property(env, of, "model"), &s->head);
  text_of(env, property(env, of, "caller"), &s->body);
  text_of(env, property(env, of, "affinity"), &s->more);
  napi_get_value_bool(env, property(env, of, "retry"), &retry);
  napi_get_typedarray_info(env, tried, &type, &ask.tried_count, (void **)&ask.tried, NULL, NULL);
  ask.flags = retry ? LB_ASK_RETRY : 0;
  ask.model = s->head.data;
  ask.model_len = s->head.size;
  ask.caller = s->body.data;
  ask.caller_len = s->body.size;
  ask.affinity = s->more.data;
  ask.affinity_len = s->more.size;
  ask.characters = count_of(env, of, "characters");
  ask.tokens_in = count_of(env, of, "tokensIn");
  ask.tokens_out_max = count_of(env, of, "tokensOutMax");
  ask.choices = (uint32_t)count_of(env, of, "choices");
  ask.images = (uint32_t)count_of(env, of, "images");
  ask.attempts = (uint32_t)count_of(env, of, "attempts");
  ask.deadline_ns = deadline_ms ? now + deadline_ms * 1000000 : 0;
  return ask;
}

/* { name: what } */
static napi_value object_of(napi_env env, const char *name, const char *what) {
  napi_value out = NULL;
  napi_create_object(env, &out);
  set(env, out, name, text(env, what, NAPI_AUTO_LENGTH));
  return out;
}

static double ms_of(uint64_t ns) { return ns == UINT64_MAX ? HUGE_VAL : (double)ns / 1e6; }

/* balancerPick(balancer, ask, tried) -> Picked or NotPicked, as lb.d.ts has them */
static napi_value balancer_pick(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  uint64_t now = now_ns(CLOCK_MONOTONIC);
  lb_ask ask = ask_of(env, s, a[1], a[2], now);
  lb_pick pick = {sizeof pick};
  lb_status status = lb_balancer_pick(balancer_of(env, a[0])->lb, &ask, now, &pick);
  napi_value value = NULL;
  if (status != LB_OK && status != LB_LIMITED && status != LB_NO_UPSTREAM) return fail(env, s, status, NULL);
  napi_value out = object_of(env, "status", lb_status_name(status));
  if (status != LB_OK) {
    napi_get_boolean(env, pick.again == 1, &value);
    set(env, out, "waitMs", number(env, ms_of(pick.wait_ns)));
    set(env, out, "again", value);
    return out;
  }
  napi_create_bigint_uint64(env, pick.pick, &value);
  set(env, out, "pick", value);
  set(env, out, "target", number(env, pick.target));
  set(env, out, "deployment", text(env, pick.deployment, NAPI_AUTO_LENGTH));
  set(env, out, "url", text(env, pick.url, NAPI_AUTO_LENGTH));
  set(env, out, "key", text(env, pick.key, NAPI_AUTO_LENGTH));
  napi_get_null(env, &value);
  set(env, out, "model", pick.model ? text(env, pick.model, NAPI_AUTO_LENGTH) : value);
  return out;
}

/* The number, and that it is known. */
static uint32_t known_of(napi_env env, napi_value of, const char *name, uint32_t flag, uint64_t *out, double unit) {
  double value;
  if (napi_get_value_double(env, property(env, of, name), &value) != napi_ok || !(value >= 0)) return 0;
  *out = (uint64_t)(value * unit);
  return flag;
}

/* balancerReport(balancer, pick, kind, outcome) -> Next, as lb.d.ts has it */
static napi_value balancer_report(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  lb_outcome outcome = {sizeof outcome};
  lb_next next = {sizeof next};
  bool delivered = false;
  text_of(env, property(env, a[3], "head"), &s->head);
  text_of(env, property(env, a[3], "body"), &s->body);
  napi_get_value_bool(env, property(env, a[3], "delivered"), &delivered);
  outcome.kind = u32_of(env, a[2]);
  outcome.http_status = (uint32_t)count_of(env, a[3], "httpStatus");
  outcome.known = known_of(env, a[3], "tokensIn", LB_KNOWN_TOKENS_IN, &outcome.tokens_in, 1) |
                  known_of(env, a[3], "tokensOut", LB_KNOWN_TOKENS_OUT, &outcome.tokens_out, 1) |
                  known_of(env, a[3], "tokensCached", LB_KNOWN_TOKENS_CACHED, &outcome.tokens_cached, 1) |
                  known_of(env, a[3], "firstContentMs", LB_KNOWN_FIRST_CONTENT, &outcome.first_content_ns, 1e6);
  outcome.delivered = delivered;
  outcome.head = s->head.data;
  outcome.head_len = s->head.size;
  outcome.body = s->body.data;
  outcome.body_len = s->body.size;
  lb_status status = lb_balancer_report(balancer_of(env, a[0])->lb, u64_of(env, a[1]), &outcome,
                                        now_ns(CLOCK_MONOTONIC), &next);
  if (status != LB_OK) return fail(env, s, status, NULL);
  napi_value out = object_of(env, "next", next.kind == LB_NEXT_STOP ? "stop" : "elsewhere");
  set(env, out, "outMs", number(env, ms_of(next.out_ns)));
  return out;
}

/* balancerExplain(balancer, ask, tried); an error where no route serves the model */
static napi_value balancer_explain(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  size_t size = 0;
  uint64_t now = now_ns(CLOCK_MONOTONIC);
  balancer *b = balancer_of(env, a[0]);
  lb_ask ask = ask_of(env, s, a[1], a[2], now);
  char *made = lb_balancer_explain(b->lb, &ask, now, &size);
  return made ? lent(env, s, made, size) : fail(env, s, b->lb ? LB_INVALID : LB_CLOSED, NULL);
}

static napi_value balancer_stats(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  size_t size = 0;
  char *made = lb_balancer_stats(balancer_of(env, a[0])->lb, now_ns(CLOCK_MONOTONIC), &size);
  return lent(env, s, made, size);
}

/* balancerMark(balancer, name, model, ms) */
static napi_value balancer_mark(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  lb_error error = {sizeof error, 0, "", ""};
  text_of(env, a[1], &s->head);
  text_of(env, a[2], &s->body);
  lb_status status = lb_balancer_mark(balancer_of(env, a[0])->lb, s->head.data, s->head.size, s->body.data,
                                      s->body.size, u64_of(env, a[3]), now_ns(CLOCK_MONOTONIC), &error);
  return outcome_of(env, s, status, &error);
}

static napi_value balancer_free(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  balancer *b = balancer_of(env, a[0]);
  (void)s;
  lb_balancer_free(b->lb);
  b->lb = NULL;
  return NULL;
}

void export_balancer(napi_env env, napi_value exports, state *s) {
  static const function kFunctions[] = {
      {"balancerOpen", balancer_open}, {"balancerConfigure", balancer_configure}, {"balancerPick", balancer_pick},
      {"balancerReport", balancer_report}, {"balancerExplain", balancer_explain}, {"balancerStats", balancer_stats},
      {"balancerMark", balancer_mark}, {"balancerFree", balancer_free}, {NULL, NULL},
  };
  export_all(env, exports, s, kFunctions);
}
