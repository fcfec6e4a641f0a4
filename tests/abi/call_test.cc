// Calls through lb.h, over deployments that answer in process and over scripted sockets.
#include "host.h"
#include "upstream.h"

namespace {

using host::Host;
using host::Seen;

void test_whole(void**) {
  Host h(host::echo_config(",\"events\":3"));
  lb_call_options options = host::call_options(LB_DELIVER_WHOLE, 42);
  Seen& seen = h.finish(h.start(host::chat_body(false), &options));
  assert_int_equal(seen.status, LB_OK);
  assert_int_equal(seen.code, 200);
  assert_int_equal(seen.user_data, 42);
  assert_int_equal(seen.pieces.size(), 1);
  assert_non_null(strstr(seen.data.c_str(), "\"content\":\"tok 0 tok 1 tok 2 \""));
  assert_non_null(strstr(seen.head.c_str(), "content-type: application/json\r\n"));
  assert_string_equal(seen.upstream.c_str(), "echo");
  assert_string_equal(seen.model.c_str(), "m");
  assert_true(seen.request_id.starts_with("lb-"));
  assert_int_equal(seen.numbers[LB_FIELD_ATTEMPTS], 1);
  assert_int_equal(seen.numbers[LB_FIELD_TOKENS_OUT], 3);
  assert_true(seen.numbers.count(LB_FIELD_TOTAL_NS) && seen.numbers.count(LB_FIELD_QUEUED_NS));
  assert_false(seen.numbers.count(LB_FIELD_RETRY_AFTER_MS));
  assert_false(seen.numbers.count(LB_FIELD_TOKENS_CACHED));
}

void test_bytes(void**) {
  Host h(host::echo_config());
  Seen& seen = h.finish(h.start(host::chat_body(true)));
  assert_int_equal(seen.status, LB_OK);
  assert_non_null(strstr(seen.head.c_str(), "content-type: text/event-stream\r\n"));
  assert_true(seen.data.starts_with("data: {"));
  assert_int_equal(seen.window, 65'536);  // The route's.
  assert_true(seen.data.ends_with("data: [DONE]\n\n"));
}

void test_events(void**) {
  Host h(host::echo_config(",\"events\":5"));
  lb_call_options options = host::call_options(LB_DELIVER_EVENTS);
  Seen& seen = h.finish(h.start(host::chat_body(true), &options));
  assert_int_equal(seen.status, LB_OK);
  assert_int_equal(seen.pieces.size(), 7);  // Five of content, the finish reason, the usage; [DONE] is left out.
  for (const std::string& piece : seen.pieces) assert_true(piece.starts_with("{") && piece.ends_with("}"));
  assert_non_null(strstr(seen.pieces[4].c_str(), "tok 4 "));
}

// The head may come with or without its blank line, and with knobs of the gateway.
void test_head_forms(void**) {
  Host h(host::echo_config());
  std::string bare = "POST /v1/chat/completions HTTP/1.1";
  for (const char* end : {"", "\r\n", "\r\n\r\n", "\r\nx-lb-route: m\r\n", "\r\nx-lb-route: m\r\n\r\n"}) {
    Seen& seen = h.finish(h.start(host::chat_body(false, "other"), nullptr, bare + end));
    assert_int_equal(seen.status, strstr(end, "route") ? LB_OK : LB_INVALID);
  }
}

void test_invalid_heads(void**) {
  Host h(host::echo_config());
  struct Case {
    const char* head;
    const char* says;
  };
  const Case cases[] = {
      {"", "not whole"},
      {"POST", ""},
      {"POST /v1/chat/completions", ""},
      {"POST /v1/chat/completions\r\n", ""},
      {"GET /v1/chat/completions HTTP/1.1\r\n", "no such operation: GET"},
      {"POST /v1/nothing HTTP/1.1\r\n", "no such operation: POST /v1/nothing"},
      {"POST /v1/chat/completions HTTP/1.1\r\nno colon\r\n", ""},
      {"POST /v1/chat/completions HTTP/1.1\r\nbad\x01name: x\r\n", ""},
      {"POST /v1/chat/completions HTTP/1.1\r\n\r\n{}", "pass the body as the body"},
      {"HTTP/1.1 200 OK\r\n", ""},
  };
  for (const Case& c : cases) {
    std::string message;
    assert_int_equal(h.try_start(host::chat_body(false), c.head, &message), LB_INVALID);
    if (!strstr(message.c_str(), c.says) || message.empty()) fail_msg("%s -> %s", c.head, message.c_str());
  }
  assert_int_equal(h.poll(0), 0);  // None of them became a call.
}

void test_limits_of_sizes(void**) {
  Host h(host::echo_config("", ",\"limits\":{\"head_bytes\":1024,\"body_bytes\":200}"));
  std::string head = host::chat_head();
  std::string pad = "x-pad: " + std::string(1024 - head.size() - 9, 'p') + "\r\n";
  std::string fits = host::chat_head(pad);
  assert_int_equal(fits.size(), 1024);
  assert_int_equal(h.try_start(host::chat_body(false), fits), LB_OK);
  assert_int_equal(h.try_start(host::chat_body(false), host::chat_head("x" + pad)), LB_INVALID);
  std::string body = host::chat_body(false);
  assert_int_equal(h.try_start(body + std::string(200 - body.size(), ' '), head), LB_OK);
  std::string message;
  assert_int_equal(h.try_start(body + std::string(201 - body.size(), ' '), head, &message), LB_INVALID);
  assert_non_null(strstr(message.c_str(), "limits.body_bytes is 200"));
}

// What is wrong with the body is found on the way, and DONE says it.
void test_bad_bodies(void**) {
  Host h(host::echo_config());
  for (const char* body : {"", "{", "[]", "{\"messages\":[]}", "no json", "{\"model\":\"unknown\"}"}) {
    Seen& seen = h.finish(h.start(body));
    assert_int_equal(seen.status, LB_INVALID);
    assert_false(seen.message.empty());
    assert_int_equal(seen.kinds.size(), 1);
  }
}

void test_full(void**) {
  Host::Options options;
  options.calls_max = 2;
  Host h(host::echo_config(",\"delay_ms\":3600000"), options);
  lb_call first = h.start(host::chat_body(true));
  h.start(host::chat_body(true));
  std::string message;
  assert_int_equal(h.try_start(host::chat_body(true), host::chat_head(), &message), LB_FULL);
  assert_non_null(strstr(message.c_str(), "calls_max (2)"));
  assert_int_equal(lb_call_cancel(h.engine, first), LB_OK);
  assert_int_equal(h.finish(first).status, LB_CANCELLED);
  // Whoever has seen DONE may start the next.
  lb_call third = h.start(host::chat_body(true));
  assert_int_not_equal(third, first);
}

void test_one_at_a_time(void**) {
  Host::Options options;
  options.calls_max = 1;
  Host h(host::echo_config(), options);
  for (int i = 0; i < 200; i++) assert_int_equal(h.finish(h.start(host::chat_body(i % 2 == 0))).status, LB_OK);
}

void test_credit(void**) {
  Host h(host::echo_config(",\"events\":200"));
  h.credit = false;
  lb_call_options options = host::call_options(LB_DELIVER_EVENTS);
  options.window_bytes = 1000;
  lb_call call = h.start(host::chat_body(true), &options);
  h.until([&] { return h[call].data.size() >= 1000; });
  while (h.poll(100) > 0) {
  }
  assert_int_equal(h[call].window, 1000);
  // A window, and at most one event beyond it.
  assert_true(h[call].data.size() < 2000);
  assert_false(h[call].done());
  size_t before = h[call].data.size();
  assert_int_equal(lb_call_credit(h.engine, call, 500), LB_OK);
  h.until([&] { return h[call].data.size() > before; });
  assert_int_equal(lb_call_credit(h.engine, call, UINT64_MAX), LB_OK);
  h.credit = true;
  lb_call_credit(h.engine, call, h[call].data.size());
  assert_int_equal(h.finish(call).status, LB_OK);
  assert_int_equal(h[call].pieces.size(), 202);
  assert_int_equal(lb_call_credit(h.engine, call, 1), LB_GONE);
  assert_int_equal(lb_call_cancel(h.engine, call), LB_GONE);
}

void test_unknown_calls(void**) {
  Host h(host::echo_config());
  for (lb_call call : {lb_call{0}, lb_call{1}, lb_call{1} << 20, ~lb_call{0}}) {
    assert_int_equal(lb_call_credit(h.engine, call, 1), LB_GONE);
    assert_int_equal(lb_call_cancel(h.engine, call), LB_GONE);
  }
}

void check_cancelled(Host& h, lb_call call) {
  assert_int_equal(lb_call_cancel(h.engine, call), LB_OK);
  lb_call_cancel(h.engine, call);  // Once more does no harm.
  assert_int_equal(h.finish(call).status, LB_CANCELLED);
  assert_int_equal(h.poll(0), 0);
}

void test_cancel_at_once(void**) {
  Host h(host::echo_config(",\"delay_ms\":3600000"));
  check_cancelled(h, h.start(host::chat_body(true)));
}

void test_cancel_while_waiting(void**) {
  Host h("{\"deployments\":[{\"name\":\"e\",\"kind\":\"echo\",\"delay_ms\":3600000,"
         "\"models\":{\"m\":{\"concurrency\":1}}}],\"routes\":[{\"model\":\"m\",\"wait_ms\":3600000}]}");
  lb_call running = h.start(host::chat_body(true));
  lb_call waiting = h.start(host::chat_body(true));
  while (!strstr(h.stats().c_str(), "\"waiting\":1")) h.poll(1);
  check_cancelled(h, waiting);
  check_cancelled(h, running);
}

void cancel_on_socket(const std::string& answer, bool wait_for_data) {
  host::Upstream upstream(answer);
  Host h(host::upstream_config(upstream));
  lb_call call = h.start(host::chat_body(true));
  while (upstream.requests() == 0) h.poll(1);
  if (wait_for_data) h.until([&] { return !h[call].data.empty(); });
  check_cancelled(h, call);
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (upstream.closed() == 0 && std::chrono::steady_clock::now() < end) h.poll(1);
  assert_int_equal(upstream.closed(), 1);
}

const char kStreamHead[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

void test_cancel_before_head(void**) { cancel_on_socket("", false); }
void test_cancel_before_content(void**) { cancel_on_socket(kStreamHead, false); }
void test_cancel_in_stream(void**) {
  std::string event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
  char size[16];
  snprintf(size, sizeof size, "%zx\r\n", event.size());
  cancel_on_socket(std::string(kStreamHead) + size + event + "\r\n", true);
}

void test_deadline(void**) {
  host::Upstream upstream("");
  Host h(host::upstream_config(upstream));
  lb_call_options options = host::call_options();
  options.deadline_ms = 50;
  Seen& seen = h.finish(h.start(host::chat_body(true), &options));
  assert_int_equal(seen.status, LB_DEADLINE);
  assert_int_equal(seen.kinds.size(), 1);
}

void test_attempt_events(void**) {
  host::Upstream upstream("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n");
  Host h("{\"deployments\":[{\"name\":\"up\",\"url\":\"" + upstream.url() +
         "\",\"models\":[\"m\"]},{\"name\":\"echo\",\"kind\":\"echo\",\"models\":[\"m\"]}],"
         "\"routes\":[{\"model\":\"m\",\"tiers\":[[\"up\"],[\"echo\"]]}]}");
  lb_call_options options = host::call_options();
  options.flags = LB_CALL_ATTEMPTS;
  Seen& seen = h.finish(h.start(host::chat_body(false), &options));
  assert_int_equal(seen.status, LB_OK);
  assert_int_equal(seen.kinds.front(), LB_EVENT_ATTEMPT);
  assert_int_equal(seen.numbers[LB_FIELD_ATTEMPTS], 2);
  assert_string_equal(seen.upstream.c_str(), "echo");
}

// Nobody listens there, and there is no other deployment.
void test_connect_failure(void**) {
  std::string url;
  {
    host::Upstream gone("");
    url = gone.url();
  }
  Host h("{\"deployments\":[{\"name\":\"up\",\"url\":\"" + url + "\",\"models\":[\"m\"]}]}");
  Seen& seen = h.finish(h.start(host::chat_body(false)));
  assert_int_equal(seen.status, LB_CONNECT);
  assert_int_equal(seen.kinds.size(), 1);
  assert_int_equal(lb_status_retryable(seen.status), 1);
}

void test_option_structs(void**) {
  Host h(host::echo_config());
  std::string head = host::chat_head(), body = host::chat_body(false);
  auto start = [&](const void* options) {
    lb_call call = 0;
    return lb_call_start(h.engine, h.queue, static_cast<const lb_call_options*>(options), head.data(), head.size(),
                         body.data(), body.size(), &call, nullptr);
  };
  struct Longer {
    lb_call_options known;
    uint64_t tail[2];
  };
  Longer longer = {};
  longer.known.struct_size = sizeof longer;
  assert_int_equal(start(&longer), LB_OK);
  longer.tail[1] = 1;
  assert_int_equal(start(&longer), LB_UNSUPPORTED);
  longer.known.struct_size = 5000;
  assert_int_equal(start(&longer), LB_INVALID);
  longer.known.struct_size = 0;
  assert_int_equal(start(&longer), LB_INVALID);
  const uint32_t shortest = sizeof shortest;
  assert_int_equal(start(&shortest), LB_OK);
  lb_call_options options = host::call_options(3);
  assert_int_equal(start(&options), LB_UNSUPPORTED);
  options = host::call_options();
  options.flags = 4;
  assert_int_equal(start(&options), LB_UNSUPPORTED);
}

void test_arguments(void**) {
  Host h(host::echo_config());
  Host other(host::echo_config());
  std::string head = host::chat_head();
  lb_error error = {sizeof error, 0, "", ""};
  lb_call call = 0;
  auto start = [&](lb_engine* engine, lb_queue* queue, const char* text, const void* body, lb_call* out) {
    return lb_call_start(engine, queue, nullptr, text, head.size(), body, 1, out, &error);
  };
  assert_int_equal(start(h.engine, other.queue, head.data(), "", &call), LB_INVALID);
  assert_non_null(strstr(error.message, "another engine"));
  assert_int_equal(start(nullptr, h.queue, head.data(), "", &call), LB_INVALID);
  assert_int_equal(start(h.engine, nullptr, head.data(), "", &call), LB_INVALID);
  assert_int_equal(start(h.engine, h.queue, nullptr, "", &call), LB_INVALID);
  assert_int_equal(start(h.engine, h.queue, head.data(), nullptr, &call), LB_INVALID);
  assert_int_equal(start(h.engine, h.queue, head.data(), "", nullptr), LB_INVALID);
  assert_int_equal(lb_call_credit(nullptr, 1, 1), LB_INVALID);
  assert_int_equal(lb_call_cancel(nullptr, 1), LB_INVALID);
  lb_event event = {};
  uint64_t number = 0;
  const char* text = nullptr;
  assert_int_equal(lb_event_u64(&event, LB_FIELD_ATTEMPTS, &number), 0);
  assert_int_equal(lb_event_u64(nullptr, LB_FIELD_ATTEMPTS, &number), 0);
  assert_int_equal(lb_event_text(&event, LB_FIELD_MODEL, &text, nullptr), 0);
  assert_int_equal(lb_event_text(nullptr, LB_FIELD_MODEL, &text, nullptr), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_whole),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_events),
      cmocka_unit_test(test_head_forms),
      cmocka_unit_test(test_invalid_heads),
      cmocka_unit_test(test_limits_of_sizes),
      cmocka_unit_test(test_bad_bodies),
      cmocka_unit_test(test_full),
      cmocka_unit_test(test_one_at_a_time),
      cmocka_unit_test(test_credit),
      cmocka_unit_test(test_unknown_calls),
      cmocka_unit_test(test_cancel_at_once),
      cmocka_unit_test(test_cancel_while_waiting),
      cmocka_unit_test(test_cancel_before_head),
      cmocka_unit_test(test_cancel_before_content),
      cmocka_unit_test(test_cancel_in_stream),
      cmocka_unit_test(test_deadline),
      cmocka_unit_test(test_attempt_events),
      cmocka_unit_test(test_connect_failure),
      cmocka_unit_test(test_option_structs),
      cmocka_unit_test(test_arguments),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
