/* The least of an addon for Node: what lb says it was built from, and one call through an engine with sockets. */
#include <lb.h>
#include <node_api.h>
#include <stdio.h>
#include <string.h>

static napi_value build_info(napi_env env, napi_callback_info info) {
  napi_value out;
  (void)info;
  napi_create_string_utf8(env, lb_build_info(), NAPI_AUTO_LENGTH, &out);
  return out;
}

/* The status of a call to an engine that listens in this process as well. */
static lb_status call(void) {
  static const char kEcho[] = "listen: [{address: '127.0.0.1:0'}]\ndeployments: [{name: echo, kind: echo}]\n";
  static const char head[] = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n";
  static const char body[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
  char address[64], config[256];
  lb_engine *server = NULL, *engine = NULL;
  lb_queue *queue = NULL;
  lb_call id;
  lb_event event = {0};
  lb_status status;
  if ((status = lb_engine_open(NULL, kEcho, sizeof kEcho - 1, &server, NULL)) != LB_OK) return status;
  if ((status = lb_engine_address(server, "default", 7, address, sizeof address)) < 0) return status;
  snprintf(config, sizeof config, "{\"deployments\": [{\"name\": \"up\", \"url\": \"http://%s/v1\"}]}", address);
  if ((status = lb_engine_open(NULL, config, strlen(config), &engine, NULL)) != LB_OK) return status;
  if ((status = lb_queue_open(engine, NULL, &queue, NULL)) != LB_OK) return status;
  status = lb_call_start(engine, queue, NULL, head, sizeof head - 1, body, sizeof body - 1, &id, NULL);
  while (status == LB_OK && event.kind != LB_EVENT_DONE && lb_queue_poll(queue, &event, 1, 20000) > 0)
    if (event.kind == LB_EVENT_DATA) lb_call_credit(engine, id, event.size);
  lb_queue_close(queue);
  lb_engine_free(engine);
  lb_engine_free(server);
  return event.kind == LB_EVENT_DONE ? event.status : LB_INTERNAL;
}

static napi_value run_call(napi_env env, napi_callback_info info) {
  napi_value out;
  (void)info;
  napi_create_int32(env, call(), &out);
  return out;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "buildInfo", NAPI_AUTO_LENGTH, build_info, NULL, &function);
  napi_set_named_property(env, exports, "buildInfo", function);
  napi_create_function(env, "call", NAPI_AUTO_LENGTH, run_call, NULL, &function);
  napi_set_named_property(env, exports, "call", function);
  return exports;
}
