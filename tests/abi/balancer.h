// A host of a balancer as a test needs it: its own clock, and asks and outcomes with what matters filled in. Only lb.h
// is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "host.h"

namespace host {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMs;
constexpr uint64_t kMinute = 60 * kSecond;

// Deployments a, b, ... of model m; `more` goes into each, `rest` stands behind them.
inline std::string deployments(size_t count, const std::string& more = "", const std::string& rest = "") {
  std::string out = "deployments: [";
  for (size_t i = 0; i < count; i++) {
    std::string name(1, static_cast<char>('a' + i));
    out += (i ? ", {name: " : "{name: ") + name + ", url: 'http://" + name + ".test/v1/', key: key-" + name +
           ", models: [m]" + (more.empty() ? "" : ", " + more) + "}";
  }
  return out + "]\n" + rest;
}

inline lb_ask ask_for(const char* model = "m") {
  lb_ask out = {};
  out.struct_size = sizeof out;
  out.model = model;
  out.model_len = strlen(model);
  return out;
}

inline lb_outcome ended(uint32_t kind, uint32_t http_status = 0, const char* head = "", const char* body = "") {
  lb_outcome out = {};
  out.struct_size = sizeof out;
  out.kind = kind;
  out.http_status = http_status;
  out.head = head;
  out.head_len = strlen(head);
  out.body = body;
  out.body_len = strlen(body);
  return out;
}

inline lb_outcome ended_well() { return ended(LB_OUTCOME_OK, 200); }

class Door {
 public:
  explicit Door(const std::string& config) : Door(config, options()) {}
  Door(const std::string& config, const lb_balancer_options& options) : now(options.now_ns) {
    lb_error error = {sizeof error, 0, "", ""};
    if (lb_balancer_open(&options, config.data(), config.size(), &balancer, &error) != LB_OK)
      fail_msg("%s: %s", error.where, error.message);
    assert_int_equal(error.status, LB_OK);
  }
  ~Door() { lb_balancer_free(balancer); }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  static lb_balancer_options options(uint64_t seed = 7) {
    lb_balancer_options out = {};
    out.struct_size = sizeof out;
    out.seed = seed;
    out.now_ns = 1000 * kSecond;
    return out;
  }

  lb_pick pick(lb_status expected = LB_OK) { return pick(ask_for(), expected); }
  lb_pick pick(const lb_ask& ask, lb_status expected = LB_OK) {
    lb_pick out = {};
    out.struct_size = sizeof out;
    assert_int_equal(lb_balancer_pick(balancer, &ask, now, &out), expected);
    if (expected == LB_OK) {
      assert_true(out.pick != 0);
      assert_non_null(out.deployment);
      assert_non_null(out.url);
      assert_non_null(out.key);
    }
    return out;
  }
  // Of a call for m that has tried these.
  lb_pick pick_but(const std::vector<uint32_t>& tried, lb_status expected = LB_OK) {
    lb_ask ask = ask_for();
    ask.tried = tried.data();
    ask.tried_count = tried.size();
    return pick(ask, expected);
  }
  lb_next report(const lb_pick& pick, const lb_outcome& outcome = ended_well(), lb_status expected = LB_OK) {
    lb_next out = {};
    out.struct_size = sizeof out;
    assert_int_equal(lb_balancer_report(balancer, pick.pick, &outcome, now, &out), expected);
    return out;
  }
  lb_status configure(const std::string& config, lb_error* error = nullptr) {
    return lb_balancer_configure(balancer, config.data(), config.size(), now, error);
  }
  lb_status mark(const char* name, const char* model, uint64_t ms, lb_error* error = nullptr) {
    return lb_balancer_mark(balancer, name, strlen(name), model, strlen(model), ms, now, error);
  }
  std::string explain(const lb_ask& ask = ask_for()) { return take(lb_balancer_explain(balancer, &ask, now, &size_)); }
  std::string stats() { return take(lb_balancer_stats(balancer, now, &size_)); }

  lb_balancer* balancer = nullptr;
  uint64_t now;

 private:
  std::string take(char* text) const {
    assert_non_null(text);
    assert_int_equal(strlen(text), size_);
    assert_null(strchr(text, '\n'));
    std::string out(text);
    lb_free(text);
    return out;
  }
  size_t size_ = 0;
};

inline bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace host
