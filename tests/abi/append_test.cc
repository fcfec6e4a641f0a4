// Request bodies that come in pieces, through lb.h.
#include "host.h"
#include "upstream.h"

namespace {

using host::Host;
using host::Seen;

lb_call_options streamed() {
  lb_call_options options = host::call_options(LB_DELIVER_WHOLE);
  options.flags = LB_CALL_APPEND;
  return options;
}

lb_status append(Host& h, lb_call call, const std::string& bytes, bool last) {
  return lb_call_append(h.engine, call, bytes.data(), bytes.size(), last);
}

// Each ROOM is waited for.
Seen& send_by(Host& h, lb_call call, const std::string& body, size_t from, size_t step) {
  int rooms = 0;
  for (size_t at = from; !h[call].done(); at += step) {
    h.until([&] { return h[call].rooms > rooms || h[call].done(); });
    rooms = h[call].rooms;
    bool last = at + step >= body.size();
    if (!h[call].done()) append(h, call, body.substr(std::min(at, body.size()), step), last);
    if (last) break;
  }
  return h.finish(call);
}

void test_pieces(void**) {
  Host h(host::echo_config());
  std::string body = host::chat_body(false);
  for (size_t first : {size_t{0}, size_t{1}, body.size() - 1}) {
    for (size_t step : {size_t{1}, size_t{7}, body.size()}) {
      lb_call_options options = streamed();
      Seen& seen = send_by(h, h.start(body.substr(0, first), &options), body, first, step);
      assert_int_equal(seen.status, LB_OK);
      assert_int_equal(seen.numbers[LB_FIELD_TOKENS_IN], body.size() / 4);  // The echo counts what came.
      assert_int_equal(seen.rooms, (body.size() - first + step - 1) / step);
    }
  }
}

// A whole beginning, and an end with nothing in it.
void test_empty_end(void**) {
  Host h(host::echo_config());
  lb_call_options options = streamed();
  lb_call call = h.start(host::chat_body(false), &options);
  h.until([&] { return h[call].rooms == 1; });
  assert_false(h[call].done());
  assert_int_equal(lb_call_append(h.engine, call, nullptr, 0, 1), LB_OK);
  assert_int_equal(h.finish(call).status, LB_OK);
  assert_int_equal(h[call].rooms, 1);
  assert_int_equal(append(h, call, "x", false), LB_GONE);
}

// Who does not wait is not refused; at least one ROOM stands behind the last append.
void test_without_waiting(void**) {
  Host h(host::echo_config());
  lb_call_options options = streamed();
  std::string body = host::chat_body(false);
  lb_call call = h.start("", &options);
  for (char c : body) assert_int_equal(append(h, call, std::string(1, c), false), LB_OK);
  h.until([&] { return h[call].rooms > 0; });
  assert_int_equal(append(h, call, "", true), LB_OK);
  assert_int_equal(append(h, call, "", true), LB_INVALID);
  assert_int_equal(h.finish(call).status, LB_OK);
}

void expect_refused(Host& h, const std::string& lines, const std::string& body, lb_status status, const char* says) {
  lb_call_options options = streamed();
  lb_call call = h.start("", &options, host::chat_head(lines));
  Seen& seen = send_by(h, call, body, 0, 16);
  assert_int_equal(seen.status, status);
  if (!strstr(seen.message.c_str(), says)) fail_msg("%s: %s", says, seen.message.c_str());
}

void test_lengths(void**) {
  Host h(host::echo_config("", ",\"limits\":{\"body_bytes\":4000}"));
  std::string body = host::chat_body(false);
  std::string length = std::to_string(body.size());
  lb_call_options options = streamed();
  lb_call call = h.start("", &options, host::chat_head("content-length: " + length + "\r\n"));
  assert_int_equal(send_by(h, call, body, 0, 16).status, LB_OK);
  expect_refused(h, "content-length: " + length + "\r\n", body + " ", LB_INVALID, "longer than its content-length");
  expect_refused(h, "content-length: " + length + "\r\n", body.substr(0, 60), LB_INVALID,
                 "shorter than its content-length");
  expect_refused(h, "", body + std::string(4001 - body.size(), ' '), LB_TOO_LARGE, "longer than 4000 bytes");
  call = h.start("", &options);
  assert_int_equal(send_by(h, call, body + std::string(4000 - body.size(), ' '), 0, 16).status, LB_OK);
}

// An upstream that takes nothing: ROOM stays away, and comes no more once the call is cancelled.
void test_back_pressure(void**) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  assert_int_equal(bind(listener, generic, size), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, generic, &size), 0);
  Host h("{\"deployments\":[{\"name\":\"up\",\"url\":\"http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) +
         "/v1\",\"models\":[\"m\"]}],\"routes\":[{\"model\":\"m\",\"replay_bytes\":65536}]}");
  lb_call_options options = streamed();
  lb_call call = h.start("{\"model\":\"m\",\"input\":\"", &options);
  std::string piece(65536, 'x');
  size_t sent = 0;
  for (int rooms = 0; sent < (size_t{64} << 20); sent += piece.size()) {
    while (h[call].rooms == rooms && h.poll(500) > 0) {
    }
    if (h[call].rooms == rooms) break;
    rooms = h[call].rooms;
    assert_int_equal(append(h, call, piece, false), LB_OK);
  }
  assert_true(sent > 0);
  assert_true(sent < (size_t{32} << 20));  // What sockets and one window hold is a few MiB.
  assert_false(h[call].done());
  assert_int_equal(lb_call_cancel(h.engine, call), LB_OK);
  assert_int_equal(h.finish(call).status, LB_CANCELLED);
  assert_int_equal(h.poll(0), 0);
  close(listener);
}

void test_arguments(void**) {
  Host h(host::echo_config(",\"delay_ms\":3600000"));
  assert_int_equal(lb_call_append(nullptr, 1, "x", 1, 0), LB_INVALID);
  assert_int_equal(lb_call_append(h.engine, 1, "x", 1, 0), LB_GONE);
  lb_call whole = h.start(host::chat_body(false));
  assert_int_equal(append(h, whole, "x", false), LB_INVALID);
  assert_int_equal(lb_call_append(h.engine, whole, nullptr, 1, 0), LB_INVALID);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces),  cmocka_unit_test(test_empty_end),     cmocka_unit_test(test_without_waiting),
      cmocka_unit_test(test_lengths), cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_arguments),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
