#include <lb.h>
#include <stdio.h>
#define ECHO "{\"deployments\": [{\"name\": \"echo\", \"kind\": \"echo\", \"models\": [\"gpt-4o-mini\"]}]}"
#define HEAD "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n"
#define BODY "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}"

int main(int argc, char **argv) { /* first_token [FILE]: a configuration, or else an upstream that answers in process */
  static char text[65536] = ECHO;
  FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
  size_t size = file ? fread(text, 1, sizeof text, file) : sizeof ECHO - 1;
  lb_engine_options options = {sizeof options, LB_ENGINE_SECRETS | LB_ENGINE_NO_LISTEN, 0, 0, 0};
  lb_call_options events = {sizeof events, LB_DELIVER_EVENTS, 0, 0, 0, 0, 0};
  lb_error error = {sizeof error, 0, "", ""};
  lb_engine *engine = NULL; lb_queue *queue; lb_call call; lb_event event = {0};
  if (lb_engine_open(&options, text, size, &engine, &error) || lb_queue_open(engine, NULL, &queue, &error) ||
      lb_call_start(engine, queue, &events, HEAD, sizeof HEAD - 1, BODY, sizeof BODY - 1, &call, &error))
    return fprintf(stderr, "%s: %s\n", error.where, error.message), 1;
  while (event.kind != LB_EVENT_DONE && lb_queue_poll(queue, &event, 1, -1) > 0) {
    if (event.kind == LB_EVENT_DATA) printf("%.*s\n", (int)event.size, (const char *)event.data);
    lb_call_credit(engine, call, event.kind == LB_EVENT_DATA ? event.size : 0);
  }
  lb_queue_close(queue);
  lb_engine_free(engine);
  return event.status != LB_OK;
}
