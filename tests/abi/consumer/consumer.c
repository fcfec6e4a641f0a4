/* One call over an upstream that answers in process; prints the answer's status. */
#include <lb.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  static const char config[] = "deployments: [{name: echo, kind: echo}]";
  static const char head[] = "POST /v1/embeddings HTTP/1.1\r\n";
  static const char body[] = "{\"model\": \"m\", \"input\": \"x\"}";
  lb_engine *engine;
  lb_queue *queue;
  lb_call call;
  lb_event event;
  if (lb_abi() != LB_ABI || lb_engine_open(NULL, config, strlen(config), &engine, NULL) != LB_OK ||
      lb_queue_open(engine, NULL, &queue, NULL) != LB_OK ||
      lb_call_start(engine, queue, NULL, head, strlen(head), body, strlen(body), &call, NULL) != LB_OK)
    return 1;
  do {
    if (lb_queue_poll(queue, &event, 1, 10000) != 1) return 2;
    if (event.kind == LB_EVENT_HEAD) printf("%u\n", (unsigned)event.code);
  } while (event.kind != LB_EVENT_DONE);
  lb_queue_close(queue);
  lb_engine_free(engine);
  return event.status == LB_OK ? 0 : 3;
}
