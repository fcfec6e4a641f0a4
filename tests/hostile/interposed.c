/* A host that has its own uv_*, mbedtls_*, ...: interpose.py adds a function of each of these names that ends the
   process. Here lb does what needs them all: YAML, a pattern, sockets both ways, TLS. */
#include <lb.h>
#include <stdio.h>
#include <string.h>

static const char kFirst[] =
    "listen: [{address: '127.0.0.1:0'}]\n"
    "errors: [{pattern: 'a+b', as: server}]\n"
    "deployments: [{name: echo, kind: echo, weight: 0.5}]\n";

static int call(const char *url, lb_status wanted) {
  static const char head[] = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n";
  static const char body[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
  char config[512];
  lb_engine *engine = NULL;
  lb_queue *queue = NULL;
  lb_call id;
  lb_event event = {0};
  lb_error error = {sizeof error, 0, "", ""};
  snprintf(config, sizeof config, "{\"deployments\": [{\"name\": \"up\", \"url\": \"%s\"}]}", url);
  if (lb_engine_open(NULL, config, strlen(config), &engine, &error) || lb_queue_open(engine, NULL, &queue, &error) ||
      lb_call_start(engine, queue, NULL, head, sizeof head - 1, body, sizeof body - 1, &id, &error))
    return printf("%s %s\n", error.where, error.message), 0;
  while (event.kind != LB_EVENT_DONE && lb_queue_poll(queue, &event, 1, 20000) > 0)
    if (event.kind == LB_EVENT_DATA) lb_call_credit(engine, id, event.size);
  wanted = event.kind == LB_EVENT_DONE && event.status == wanted;
  if (!wanted) printf("%s: status %d\n", url, event.status);
  lb_queue_close(queue);
  lb_engine_free(engine);
  return wanted;
}

int main(void) {
  char address[64], url[128];
  lb_engine *engine = NULL;
  lb_error error = {sizeof error, 0, "", ""};
  if (lb_engine_open(NULL, kFirst, sizeof kFirst - 1, &engine, &error))
    return printf("%s %s\n", error.where, error.message), 1;
  if (lb_engine_address(engine, "default", 7, address, sizeof address) <= 0) return 2;
  snprintf(url, sizeof url, "http://%s/v1", address);
  if (!call(url, LB_OK)) return 3;
  snprintf(url, sizeof url, "https://%s/v1", address); /* Its peer does not speak TLS: the handshake fails. */
  if (!call(url, LB_CONNECT) && !call(url, LB_TLS)) return 4;
  lb_engine_free(engine);
  printf("own %s\n", lb_build_info());
  return 0;
}
