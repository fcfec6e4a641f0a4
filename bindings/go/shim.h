// What cgo cannot say: structs with pointers inside are filled here, from scalars and from pointers that are read before
// the function returns.
#include <lb.h>
#include <stdlib.h>

// Behind this many events a batch ends. One page of 4 KiB holds 64; a busy turn of the engine makes a few hundred.
#define LB_GO_BATCH 256

typedef struct go_batch {
  lb_event events[LB_GO_BATCH];
  uint64_t windows[LB_GO_BATCH];  // Of those that are HEAD.
} go_batch;

static inline int go_poll(lb_queue *queue, go_batch *batch) {
  int count = lb_queue_poll(queue, batch->events, LB_GO_BATCH, 0);
  for (int i = 0; i < count; i++)
    if (batch->events[i].kind == LB_EVENT_HEAD &&
        !lb_event_u64(&batch->events[i], LB_FIELD_WINDOW_BYTES, &batch->windows[i]))
      batch->windows[i] = 0;
  return count;
}

typedef struct go_started {
  lb_call call;
  lb_error *error;  // Of the caller, who frees it; NULL: there is none.
} go_started;

static inline go_started go_start(lb_engine *engine, lb_queue *queue, uint64_t user_data, uint32_t delivery,
                                  uint32_t deadline_ms, uint32_t window_bytes, int32_t priority, uint32_t flags,
                                  const char *head, size_t head_len, const void *body, size_t body_len) {
  lb_call_options options = {sizeof options, delivery, user_data, deadline_ms, window_bytes, priority, flags};
  lb_error error = {sizeof error, LB_OK, "", ""};
  go_started out = {0, NULL};
  if (lb_call_start(engine, queue, &options, head, head_len, body, body_len, &out.call, &error) != LB_OK &&
      (out.error = malloc(sizeof error)) != NULL)
    *out.error = error;
  return out;
}

static inline lb_status go_pick(lb_balancer *balancer, uint32_t flags, const char *model, size_t model_len,
                                const char *caller, size_t caller_len, const char *affinity, size_t affinity_len,
                                uint64_t characters, uint64_t tokens_in, uint64_t tokens_out_max, uint32_t choices,
                                uint32_t images, const uint32_t *tried, size_t tried_count, uint32_t attempts,
                                uint64_t deadline_ns, uint64_t now_ns, lb_pick *out, char **why, size_t *why_len) {
  lb_ask ask = {sizeof ask, flags, model, model_len, caller, caller_len, affinity, affinity_len, characters, tokens_in,
                tokens_out_max, choices, images, tried, tried_count, attempts, 0, deadline_ns};
  if (!why) return lb_balancer_pick(balancer, &ask, now_ns, out);
  *why = lb_balancer_explain(balancer, &ask, now_ns, why_len);
  return *why ? LB_OK : LB_INVALID;
}

static inline lb_status go_report(lb_balancer *balancer, uint64_t pick, uint32_t kind, uint32_t http_status,
                                  uint32_t known, const char *head, size_t head_len, const void *body, size_t body_len,
                                  uint64_t tokens_in, uint64_t tokens_out, uint64_t tokens_cached,
                                  uint64_t first_content_ns, uint32_t delivered, uint64_t now_ns, lb_next *out) {
  lb_outcome outcome = {sizeof outcome, kind, http_status, known, head, head_len, body, body_len, tokens_in, tokens_out,
                        tokens_cached, first_content_ns, delivered, 0};
  return lb_balancer_report(balancer, pick, &outcome, now_ns, out);
}
