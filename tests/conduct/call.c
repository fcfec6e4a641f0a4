/*
 * Plays the caller of a scenario through the C ABI, with real sockets: reads steps (steps.h), writes what happened.
 * One thread: it polls its queue until something of its own is due.
 */
#define _GNU_SOURCE
#include <lb.h>
#include <time.h>

#include "steps.h"

enum { CALLS_MAX = 256, STEPS_MAX = 256, LINE_MAX = 4096, EVENTS_MAX = 64 };
/* Longer than any scenario may take; then what is missing is missing. */
static const int64_t kPatience_us = 60 * 1000000LL;

struct caller {
  lb_call call;
  int active;
  int left;
  int64_t leave_us;    /* When it goes; 0: it does not. */
  int64_t pause_us;    /* Until when it consumes nothing; 0: it reads on. */
  uint64_t owed;
  char *text;          /* It goes when it has had this; NULL: it does not. */
  size_t text_size;
  char tail[LINE_MAX]; /* The last bytes that it had. */
  size_t tail_size;
};

struct step {
  char kind[16];
  char name[64];
  int64_t at_ms;
  long numbers[8];
  char *text, *head, *body;
};

struct play {
  lb_engine *engine;
  lb_queue *queue;
  struct caller callers[CALLS_MAX];
  int active;
  int closed;
  int64_t begin_us;
};

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void leave(struct play *play, int id) {
  struct caller *caller = &play->callers[id];
  caller->left = 1;
  caller->leave_us = 0;
  printf("left %d %lld\n", id, (long long)now_us());
  lb_call_cancel(play->engine, caller->call);
}

static void credit(struct play *play, struct caller *caller) {
  if (caller->owed && lb_call_credit(play->engine, caller->call, caller->owed) == LB_OK) caller->owed = 0;
}

static void on_data(struct play *play, int id, const lb_event *event) {
  struct caller *caller = &play->callers[id];
  caller->owed += event->size;
  if (!caller->pause_us) credit(play, caller);
  if (!caller->text || caller->left) return;
  size_t keep = sizeof caller->tail / 2, size = event->size < keep ? event->size : keep;
  if (caller->tail_size > keep) {
    memmove(caller->tail, caller->tail + caller->tail_size - keep, keep);
    caller->tail_size = keep;
  }
  memcpy(caller->tail + caller->tail_size, (const char *)event->data + event->size - size, size);
  caller->tail_size += size;
  if (memmem(caller->tail, caller->tail_size, caller->text, caller->text_size)) leave(play, id);
}

static void on_done(struct play *play, int id, const lb_event *event) {
  uint64_t wait_ms = 0, attempts = 0;
  const char *message = "", *upstream = "";
  size_t size = 0, upstream_size = 0;
  int told = lb_event_u64(event, LB_FIELD_RETRY_AFTER_MS, &wait_ms);
  lb_event_u64(event, LB_FIELD_ATTEMPTS, &attempts);
  lb_event_text(event, LB_FIELD_MESSAGE, &message, &size);
  lb_event_text(event, LB_FIELD_UPSTREAM, &upstream, &upstream_size);
  printf("done %d %lld %s %u %lld %llu %.*s", id, (long long)now_us(), lb_status_name(event->status), event->code,
         told ? (long long)wait_ms : -1LL, (unsigned long long)attempts, upstream_size ? (int)upstream_size : 1,
         upstream_size ? upstream : "-");
  write_bytes(message, size);
  play->callers[id].active = 0;
  play->active--;
}

static void on_event(struct play *play, const lb_event *event) {
  int id = (int)event->user_data;
  switch (event->kind) {
    case LB_EVENT_HEAD:
      printf("head %d %lld %u", id, (long long)now_us(), event->code);
      write_bytes(event->data, event->size);
      return;
    case LB_EVENT_DATA:
      printf("data %d %lld", id, (long long)now_us());
      write_bytes(event->data, event->size);
      on_data(play, id, event);
      return;
    case LB_EVENT_DONE:
      on_done(play, id, event);
      return;
    case LB_EVENT_CLOSED:
      play->closed = 1;
      return;
  }
}

/* What callers do by the clock; returns when the next of it is due. */
static int64_t run_callers(struct play *play) {
  int64_t next = INT64_MAX, now = now_us();
  for (int id = 0; id < CALLS_MAX; id++) {
    struct caller *caller = &play->callers[id];
    if (!caller->active) continue;
    if (caller->leave_us && caller->leave_us <= now) leave(play, id);
    if (caller->pause_us && caller->pause_us <= now) {
      caller->pause_us = 0;
      printf("resumed %d %lld\n", id, (long long)now);
      credit(play, caller);
    }
    if (caller->leave_us && caller->leave_us < next) next = caller->leave_us;
    if (caller->pause_us && caller->pause_us < next) next = caller->pause_us;
  }
  return next;
}

/* Goes on until then; or, when that is not given, until all calls have ended. */
static void pump(struct play *play, int64_t until_us) {
  int64_t end = until_us ? until_us : now_us() + kPatience_us;
  for (;;) {
    lb_event events[EVENTS_MAX];
    int64_t next = run_callers(play), now = now_us();
    if (now >= end || (!until_us && !play->active)) return;
    if (next > end) next = end;
    if (play->closed) {
      struct timespec nap = {0, 1000000};
      nanosleep(&nap, NULL);
      continue;
    }
    int wait_ms = (int)((next - now + 999) / 1000);
    int count = lb_queue_poll(play->queue, events, EVENTS_MAX, wait_ms > 0 ? wait_ms : 0);
    for (int i = 0; i < count; i++) on_event(play, &events[i]);
  }
}

static void start_call(struct play *play, const struct step *step) {
  int id = (int)step->numbers[0];
  struct caller *caller = &play->callers[id];
  lb_call_options options = {sizeof options, LB_DELIVER_BYTES, (uint64_t)id, 0, 0, 0, 0};
  lb_error error = {sizeof error, 0, "", ""};
  int64_t now = now_us();
  memset(caller, 0, sizeof *caller);
  printf("asked %d %lld\n", id, (long long)now);
  lb_status status = lb_call_start(play->engine, play->queue, &options, step->head, strlen(step->head), step->body,
                                   strlen(step->body), &caller->call, &error);
  if (status != LB_OK) {
    printf("refused %d %lld %s\n", id, (long long)now, lb_status_name(status));
    return;
  }
  caller->active = 1;
  play->active++;
  if (step->numbers[1] >= 0) caller->leave_us = now + step->numbers[1] * 1000;
  if (step->numbers[2] > 0) caller->pause_us = now + step->numbers[2] * 1000;
  if (step->numbers[3] > 0) {
    caller->text = step->text;
    caller->text_size = (size_t)step->numbers[3];
  }
}

static void run_step(struct play *play, const struct step *step) {
  char line[LINE_MAX];
  if (strcmp(step->kind, "call") == 0) {
    start_call(play, step);
  } else if (strcmp(step->kind, "configure") == 0) {
    lb_error error = {sizeof error, 0, "", ""};
    lb_status status = lb_engine_configure(play->engine, step->text, strlen(step->text), &error);
    printf("configured %lld %s\n", (long long)now_us(), lb_status_name(status));
  } else if (strcmp(step->kind, "close") == 0) {
    lb_engine_close(play->engine, (uint32_t)step->numbers[0]);
  } else if (strcmp(step->kind, "wait") == 0) {
    pump(play, now_us() + step->numbers[0] * 1000);
  } else {  /* stop and start: the upstreams are not ours. */
    printf("now %s %s\n", step->kind, step->name);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(2);
  }
}

static void read_call(struct step *step, char **words) {
  step->numbers[0] = atol(words[2]);
  for (int i = 1; i < 4; i++) step->numbers[i] = atol(words[2 + i]);
  step->text = read_bytes((size_t)atol(words[5]));
  step->head = read_bytes((size_t)atol(words[6]));
  step->body = read_bytes((size_t)atol(words[7]));
}

/* All steps up to the line `go`; the configuration comes first. */
static size_t read_steps(struct step *steps, char **config) {
  static char line[LINE_MAX];
  char *words[12];
  size_t count = 0;
  for (int n; (n = read_words(line, sizeof line, words, 12)) > 0 && strcmp(words[0], "go") != 0;) {
    if (strcmp(words[0], "config") == 0) {
      *config = read_bytes((size_t)atol(words[1]));
      continue;
    }
    if (count == STEPS_MAX || n < 3) exit(2);
    struct step *step = &steps[count++];
    snprintf(step->kind, sizeof step->kind, "%s", words[0]);
    snprintf(step->name, sizeof step->name, "%s", words[2]);
    step->at_ms = atol(words[1]);
    step->numbers[0] = atol(words[2]);
    if (strcmp(words[0], "call") == 0) read_call(step, words);
    if (strcmp(words[0], "configure") == 0) step->text = read_bytes((size_t)step->numbers[0]);
  }
  return count;
}

int main(void) {
  static struct step steps[STEPS_MAX];
  static struct play play;
  char *config = NULL;
  size_t count = read_steps(steps, &config);
  lb_engine_options options = {.struct_size = sizeof options, .flags = LB_ENGINE_SECRETS | LB_ENGINE_NO_LISTEN,
                               .seed = 1};
  lb_error error = {sizeof error, 0, "", ""};
  if (!config || lb_engine_open(&options, config, strlen(config), &play.engine, &error) != LB_OK ||
      lb_queue_open(play.engine, NULL, &play.queue, &error) != LB_OK)
    return fprintf(stderr, "%s: %s\n", error.where, error.message), 2;
  play.begin_us = now_us();
  for (size_t i = 0; i < count; i++) {
    pump(&play, steps[i].at_ms >= 0 ? play.begin_us + steps[i].at_ms * 1000 : 0);
    run_step(&play, &steps[i]);
    fflush(stdout);
  }
  pump(&play, 0);
  printf("ended %lld\n", (long long)now_us());
  fflush(stdout);
  lb_queue_close(play.queue);
  lb_engine_free(play.engine);
  free(config);
  for (size_t i = 0; i < count; i++) {
    free(steps[i].text);
    free(steps[i].head);
    free(steps[i].body);
  }
  return 0;
}
