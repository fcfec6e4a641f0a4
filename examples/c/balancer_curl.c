/* balancer_curl FILE [CALLS [MODEL]]: chat completions by libcurl, each sent where the balancer of lb says.
 *
 * For hosts that have an HTTP client: lb opens no socket here.  It is asked for a deployment before each attempt and
 * told how the attempt ended; in return it says whether to try elsewhere, and how long to wait when nobody may take
 * the call.  Prints who served each call; exits with 1 when one was not served.
 *
 * The usage in the answers is not reported, for that takes a JSON parser: limits in tokens then count what was
 * expected of a call.  A host that has one sets LB_KNOWN_TOKENS_IN and _OUT in its outcomes. */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <inttypes.h>
#include <lb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUESTION "Say hello."
#define CALL_S 120     /* For a call with all its attempts and waits. */
#define TRIED_MAX 16   /* Attempts that one call remembers: more than `retries` allows by default. */
#define KEPT_MAX 65536 /* Of an answer's head and of its body; the balancer reads the first kilobytes of errors. */

struct text {
  size_t size;
  char data[KEPT_MAX];
};

struct answer {
  struct text head, body;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_ns(uint64_t ns) {
  struct timespec left = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
  while (nanosleep(&left, &left) != 0) {
  }
}

static size_t keep(char *data, size_t one, size_t count, void *kept) { /* What is beyond KEPT_MAX is dropped. */
  struct text *text = kept;
  size_t size = one * count, room = sizeof text->data - text->size;
  memcpy(text->data + text->size, data, size < room ? size : room);
  text->size += size < room ? size : room;
  return size;
}

static size_t keep_head(char *line, size_t one, size_t count, void *kept) {
  if (one * count >= 5 && memcmp(line, "HTTP/", 5) == 0) ((struct text *)kept)->size = 0; /* That was a 100. */
  return keep(line, one, count, kept);
}

static uint32_t outcome_of(CURLcode result, long status) {
  switch (result) {
    case CURLE_OK: return status >= 200 && status < 300 ? LB_OUTCOME_OK : LB_OUTCOME_ERROR;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: return LB_OUTCOME_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return LB_OUTCOME_TIMEOUT;
    default: return LB_OUTCOME_BROKEN;
  }
}

/* One request to what was picked.  The names of models are taken to need no escapes in JSON. */
static lb_outcome attempt(CURL *curl, const lb_pick *pick, const char *model, uint64_t left_ns, struct answer *answer) {
  char url[2048], key[2048], body[2048], why[CURL_ERROR_SIZE] = "";
  lb_outcome outcome = {sizeof outcome};
  long status = 0;
  snprintf(url, sizeof url, "%s/chat/completions", pick->url);
  snprintf(key, sizeof key, "authorization: Bearer %s", pick->key);
  snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"" QUESTION "\"}]}",
           pick->model ? pick->model : model);
  struct curl_slist *fields = curl_slist_append(NULL, "content-type: application/json");
  if (pick->key[0]) fields = curl_slist_append(fields, key);
  answer->head.size = answer->body.size = 0;
  curl_easy_reset(curl); /* Its connections stay. */
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left_ns / 1000000u) + 1);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep_head);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer->head);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body);
  CURLcode result = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
  curl_slist_free_all(fields);
  outcome.kind = outcome_of(result, status);
  outcome.http_status = (uint32_t)status;
  outcome.head = answer->head.data;
  outcome.head_len = answer->head.size;
  outcome.body = answer->body.data;
  outcome.body_len = answer->body.size;
  if (outcome.kind == LB_OUTCOME_ERROR) fprintf(stderr, "%s: HTTP %ld\n", pick->deployment, status);
  if (result != CURLE_OK) fprintf(stderr, "%s: %s\n", pick->deployment, why[0] ? why : curl_easy_strerror(result));
  return outcome;
}

static int call(lb_balancer *balancer, CURL *curl, const char *model, struct answer *answer) { /* 1: it was served. */
  uint32_t tried[TRIED_MAX];
  lb_ask ask = {sizeof ask};
  ask.model = model;
  ask.model_len = strlen(model);
  ask.characters = sizeof QUESTION - 1;
  ask.tried = tried;
  ask.deadline_ns = now_ns() + CALL_S * UINT64_C(1000000000);
  for (;; ask.flags = LB_ASK_RETRY) {
    lb_pick pick = {sizeof pick};
    lb_next next = {sizeof next};
    uint64_t now = now_ns();
    lb_status status = lb_balancer_pick(balancer, &ask, now, &pick);
    if (status == LB_LIMITED || status == LB_NO_UPSTREAM) {
      if (pick.wait_ns == 0 || now >= ask.deadline_ns || pick.wait_ns > ask.deadline_ns - now)
        return fprintf(stderr, "%s\n", lb_status_text(status)), 0;
      fprintf(stderr, "waiting %" PRIu64 " ms: %s\n", pick.wait_ns / 1000000u, lb_status_text(status));
      sleep_ns(pick.wait_ns);
      if (pick.again) ask.tried_count = 0;
      continue;
    }
    if (status != LB_OK) return fprintf(stderr, "%s: %s\n", model, lb_status_text(status)), 0;
    lb_outcome outcome = attempt(curl, &pick, model, ask.deadline_ns > now ? ask.deadline_ns - now : 0, answer);
    if (outcome.kind == LB_OUTCOME_OK) printf("served by %s\n", pick.deployment); /* Its texts end with the report. */
    lb_balancer_report(balancer, pick.pick, &outcome, now_ns(), &next);
    if (next.kind == LB_NEXT_STOP || ask.tried_count == TRIED_MAX) return outcome.kind == LB_OUTCOME_OK;
    tried[ask.tried_count++] = pick.target;
    ask.attempts++;
  }
}

int main(int argc, char **argv) {
  static char config[1 << 20];
  static struct answer answer;
  FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
  if (!file) return fprintf(stderr, "usage: balancer_curl FILE [CALLS [MODEL]]\n"), 2;
  size_t size = fread(config, 1, sizeof config, file);
  fclose(file);
  int calls = argc > 2 ? atoi(argv[2]) : 1, served = 0;
  lb_balancer_options options = {sizeof options, LB_ENGINE_SECRETS};
  lb_error error = {sizeof error};
  lb_balancer *balancer;
  options.now_ns = now_ns();
  options.unix_ns = (uint64_t)time(NULL) * 1000000000u;
  if (lb_balancer_open(&options, config, size, &balancer, &error) != LB_OK)
    return fprintf(stderr, "%s: %s\n", error.where, error.message), 2;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  for (int i = 0; curl && i < calls; i++) served += call(balancer, curl, argc > 3 ? argv[3] : "gpt-4o-mini", &answer);
  curl_easy_cleanup(curl);
  curl_global_cleanup();
  lb_balancer_free(balancer);
  return served != calls;
}
