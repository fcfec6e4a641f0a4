/*
 * What a pick and its report cost through the balancer door, with few deployments and with many, side by side in one
 * run, and by one thread and by two on one balancer. Written against lb.h only. Prints one line a row: name, ns for
 * the median round, ns for the best. Exit code 1 if the balancer has not counted every call, or holds one open.
 *
 *     pick_bench                      the rows
 *     pick_bench CALLS DEPLOYMENTS    so many calls and no more: to count instructions, and as a quick test
 *     pick_bench --threads CALLS      two threads, so many calls each
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb.h"

enum { ROUNDS = 41, CALLS = 20000, SMALL = 10, LARGE = 1000, EACH = 500000 };

static uint64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what, const lb_error *err) {
  fprintf(stderr, "%s: %s: %s\n", what, err ? err->where : "", err ? err->message : "");
  exit(1);
}

/* `count` deployments of one model, each with limits that the run does not reach. */
static lb_balancer *open_balancer(int count, const char *balance) {
  size_t room = 256 + (size_t)count * 160;
  char *text = malloc(room);
  size_t used = (size_t)snprintf(text, room, "{\"deployments\":[");
  for (int i = 0; i < count; i++)
    used += (size_t)snprintf(text + used, room - used,
                             "%s{\"name\":\"d%d\",\"url\":\"http://d%d.example/v1\",\"models\":{\"m\":{\"rpm\":"
                             "1000000000,\"tpm\":1000000000000}}}",
                             i ? "," : "", i, i);
  used += (size_t)snprintf(text + used, room - used, "],\"routes\":[{\"model\":\"m\",\"balance\":\"%s\"}]}", balance);
  lb_balancer_options options = {.struct_size = sizeof options, .seed = 1, .now_ns = 1};
  lb_error err = {.struct_size = sizeof err};
  lb_balancer *balancer = NULL;
  if (lb_balancer_open(&options, text, used, &balancer, &err) != LB_OK) die("open", &err);
  free(text);
  return balancer;
}

/* Host clocks move on; a call every 2 us is half a million a second. */
static uint64_t run(lb_balancer *balancer, int calls, uint64_t *now) {
  lb_ask ask = {.struct_size = sizeof ask, .model = "m", .model_len = 1, .characters = 400};
  lb_pick pick = {.struct_size = sizeof pick};
  lb_outcome outcome = {.struct_size = sizeof outcome, .kind = LB_OUTCOME_OK, .tokens_in = 100, .tokens_out = 50,
                        .known = LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT};
  lb_next next = {.struct_size = sizeof next};
  uint64_t begin = clock_ns();
  for (int i = 0; i < calls; i++) {
    *now += 2000;
    if (lb_balancer_pick(balancer, &ask, *now, &pick) != LB_OK) die("pick", NULL);
    if (lb_balancer_report(balancer, pick.pick, &outcome, *now, &next) != LB_OK) die("report", NULL);
  }
  return clock_ns() - begin;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct row {
  const char *name;
  lb_balancer *balancer;
  uint64_t now;
  double ns[ROUNDS];
};

static double median(struct row *row) {
  qsort(row->ns, ROUNDS, sizeof row->ns[0], compare);
  return row->ns[ROUNDS / 2];
}

struct thread {
  lb_balancer *balancer;
  int calls;
};

static void *run_thread(void *given) {
  struct thread *thread = given;
  uint64_t now = 1;
  run(thread->balancer, thread->calls, &now);
  return NULL;
}

/* Whether every pick is counted, and none is left open. */
static int counted(lb_balancer *balancer, uint64_t now, unsigned long long calls) {
  size_t len;
  char *stats = lb_balancer_stats(balancer, now, &len);
  const char *picks = strstr(stats, "\"picks\":");
  unsigned long long ok = 0, open = picks ? strtoull(picks + strlen("\"picks\":"), NULL, 10) : calls;
  for (const char *at = stats; (at = strstr(at, "\"ok\":")) != NULL; at += 5) ok += strtoull(at + 5, NULL, 10);
  if (ok != calls || open != 0) printf("LOST: %llu of %llu calls counted, %llu open\n", ok, calls, open);
  lb_free(stats);
  return ok == calls && open == 0;
}

static int two_threads(int each) {
  lb_balancer *balancer = open_balancer(SMALL, "p2c");
  struct thread work = {balancer, each};
  pthread_t one, two;
  uint64_t begin = clock_ns();
  if (pthread_create(&one, NULL, run_thread, &work) || pthread_create(&two, NULL, run_thread, &work))
    die("pthread_create", NULL);
  pthread_join(one, NULL);
  pthread_join(two, NULL);
  double ns = (double)(clock_ns() - begin) / (2.0 * each);
  int fine = counted(balancer, 1, 2ull * (unsigned)each);
  printf("%-30s %6.0f ns a pick and its report, %s\n", "two threads, 10 deployments", ns,
         fine ? "every call counted" : "calls lost");
  lb_balancer_free(balancer);
  return fine;
}

static int some_calls(int calls, int deployments) {
  uint64_t now = 1;
  lb_balancer *balancer = open_balancer(deployments, "p2c");
  run(balancer, calls, &now);
  int fine = counted(balancer, now, (unsigned)calls);
  lb_balancer_free(balancer);
  return fine;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--threads") == 0) return two_threads(atoi(argv[2])) ? 0 : 1;
  if (argc == 3) return some_calls(atoi(argv[1]), atoi(argv[2])) ? 0 : 1;
  struct row rows[] = {
      {.name = "p2c, 10 deployments", .balancer = open_balancer(SMALL, "p2c")},
      {.name = "p2c, 1000 deployments", .balancer = open_balancer(LARGE, "p2c")},
      {.name = "peak_ewma, 10 deployments", .balancer = open_balancer(SMALL, "peak_ewma")},
      {.name = "peak_ewma, 1000 deployments", .balancer = open_balancer(LARGE, "peak_ewma")},
      {.name = "random, 1000 deployments", .balancer = open_balancer(LARGE, "random")},
      {.name = "round_robin, 10 deployments", .balancer = open_balancer(SMALL, "round_robin")},
      {.name = "least_active, 10 deployments", .balancer = open_balancer(SMALL, "least_active")},
  };
  enum { COUNT = sizeof rows / sizeof rows[0] };
  for (int i = 0; i < ROUNDS; i++)
    for (int r = 0; r < COUNT; r++) rows[r].ns[i] = (double)run(rows[r].balancer, CALLS, &rows[r].now) / CALLS;
  for (int r = 0; r < COUNT; r++) {
    double middle = median(&rows[r]);
    printf("%-30s %6.0f ns a pick and its report (best round %.0f)\n", rows[r].name, middle, rows[r].ns[0]);
  }
  printf("p2c: 1000 deployments cost %.2f times what 10 do\n", median(&rows[1]) / median(&rows[0]));
  int fine = 1;
  for (int r = 0; r < COUNT; r++) {
    fine = counted(rows[r].balancer, rows[r].now, (unsigned long long)ROUNDS * CALLS) && fine;
    lb_balancer_free(rows[r].balancer);
  }
  return two_threads(EACH) && fine ? 0 : 1;
}
