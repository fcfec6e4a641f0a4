/* lb_balancer_* for JS.  The host's clock is read here. */
#define _POSIX_C_SOURCE 200809L
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

/* ask: [model, caller, affinity, numbers, tried]; numbers: flags, characters, tokensIn, tokensOutMax, choices, images,
   attempts, deadlineMs from now, 0 for none.  The texts stand in `b`, for as long as that is not used. */
static lb_ask ask_of(napi_env env, napi_value given, buffer *b, uint64_t now) {
  lb_ask ask = {sizeof ask};
  napi_value part[5];
  double *numbers = NULL;
  uint32_t *tried = NULL;
  size_t size[3], total = 0, count = 0;
  napi_typedarray_type type;
  for (uint32_t i = 0; i < 5; i++) napi_get_element(env, given, i, &part[i]);
  for (int i = 0; i < 3; i++) {
    napi_get_value_string_utf8(env, part[i], NULL, 0, &size[i]);
    total += size[i] + 1;
  }
  reserve(b, total);
  char *at = b->data;
  const char **to[] = {&ask.model, &ask.caller, &ask.affinity};
  for (int i = 0; i < 3; at += size[i++] + 1) {
    napi_get_value_string_utf8(env, part[i], at, size[i] + 1, &size[i]);
    *to[i] = at;
  }
  ask.model_len = size[0];
  ask.caller_len = size[1];
  ask.affinity_len = size[2];
  napi_get_typedarray_info(env, part[3], &type, &count, (void **)&numbers, NULL, NULL);
  if (count == 8) {
    ask.flags = (uint32_t)numbers[0];
    ask.characters = (uint64_t)numbers[1];
    ask.tokens_in = (uint64_t)numbers[2];
    ask.tokens_out_max = (uint64_t)numbers[3];
    ask.choices = (uint32_t)numbers[4];
    ask.images = (uint32_t)numbers[5];
    ask.attempts = (uint32_t)numbers[6];
    ask.deadline_ns = numbers[7] > 0 ? now + (uint64_t)(numbers[7] * 1e6) : 0;
  }
  napi_get_typedarray_info(env, part[4], &type, &ask.tried_count, (void **)&tried, NULL, NULL);
  ask.tried = tried;
  return ask;
}

/* balancerPick(balancer, ask) -> [status, pick, target, deployment, url, key, model or null], or
   [status, waitMs, again] where there is none */
static napi_value balancer_pick(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  uint64_t now = now_ns(CLOCK_MONOTONIC);
  lb_ask ask = ask_of(env, a[1], &s->body, now);
  lb_pick pick = {sizeof pick};
  lb_status status = lb_balancer_pick(balancer_of(env, a[0])->lb, &ask, now, &pick);
  napi_value out = NULL, value = NULL;
  if (status != LB_OK && status != LB_LIMITED && status != LB_NO_UPSTREAM) return fail(env, s, status, NULL);
  napi_create_array(env, &out);
  napi_set_element(env, out, 0, number(env, status));
  if (status != LB_OK) {
    napi_set_element(env, out, 1, number(env, pick.wait_ns == UINT64_MAX ? -1 : (double)pick.wait_ns / 1e6));
    napi_set_element(env, out, 2, number(env, pick.again));
    return out;
  }
  const char *texts[] = {pick.deployment, pick.url, pick.key, pick.model};
  napi_create_bigint_uint64(env, pick.pick, &value);
  napi_set_element(env, out, 1, value);
  napi_set_element(env, out, 2, number(env, pick.target));
  for (uint32_t i = 0; i < 4; i++) {
    napi_get_null(env, &value);
    napi_set_element(env, out, 3 + i, texts[i] ? text(env, texts[i], NAPI_AUTO_LENGTH) : value);
  }
  return out;
}

/* balancerReport(balancer, pick, head, body, numbers) -> [kind, outMs]; numbers: kind, httpStatus, known, tokensIn,
   tokensOut, tokensCached, firstContentMs, delivered */
static napi_value balancer_report(napi_env env, napi_callback_info info) {
  ARGUMENTS(5);
  napi_value out = NULL;
  lb_outcome outcome = {sizeof outcome};
  lb_next next = {sizeof next};
  double *numbers = NULL;
  size_t count = 0;
  napi_typedarray_type type;
  text_of(env, a[2], &s->head);
  text_of(env, a[3], &s->body);
  napi_get_typedarray_info(env, a[4], &type, &count, (void **)&numbers, NULL, NULL);
  if (count != 8) return NULL;
  outcome.kind = (uint32_t)numbers[0];
  outcome.http_status = (uint32_t)numbers[1];
  outcome.known = (uint32_t)numbers[2];
  outcome.tokens_in = (uint64_t)numbers[3];
  outcome.tokens_out = (uint64_t)numbers[4];
  outcome.tokens_cached = (uint64_t)numbers[5];
  outcome.first_content_ns = (uint64_t)(numbers[6] * 1e6);
  outcome.delivered = (uint32_t)numbers[7];
  outcome.head = s->head.data;
  outcome.head_len = s->head.size;
  outcome.body = s->body.data;
  outcome.body_len = s->body.size;
  lb_status status = lb_balancer_report(balancer_of(env, a[0])->lb, u64_of(env, a[1]), &outcome,
                                        now_ns(CLOCK_MONOTONIC), &next);
  if (status != LB_OK) return fail(env, s, status, NULL);
  napi_create_array_with_length(env, 2, &out);
  napi_set_element(env, out, 0, number(env, next.kind));
  napi_set_element(env, out, 1, number(env, (double)next.out_ns / 1e6));
  return out;
}

/* balancerExplain(balancer, ask); an error where no route serves the model */
static napi_value balancer_explain(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  size_t size = 0;
  uint64_t now = now_ns(CLOCK_MONOTONIC);
  balancer *b = balancer_of(env, a[0]);
  lb_ask ask = ask_of(env, a[1], &s->body, now);
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
