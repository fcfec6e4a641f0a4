// lb_balancer_*: the door of lib/engine/door.h behind one mutex, for hosts that send requests themselves.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>

#include "abi/arguments.h"
#include "abi/secrets.h"
#include "abi/selector.h"
#include "engine/door.h"
#include "lb.h"
#include "net/loop.h"

namespace {

// Clocks beyond this, some 146 years, would overflow sums with durations and with one another.
constexpr uint64_t kClockMax = (uint64_t{1} << 62) - 1;

}  // namespace

struct lb_balancer {
  lb_balancer(const lb_balancer_options& given, uint64_t seed)
      : options(given),
        selector(given.select, given.select_ctx),
        door(seed, given.picks_max ? given.picks_max : kPicksMax, wall(given)) {}

  // Unix time minus the host's clock.
  static lb::Duration wall(const lb_balancer_options& given) {
    if (!given.unix_ns) return lb::Duration::zero();
    return lb::Duration{static_cast<int64_t>(std::min(given.unix_ns, kClockMax)) -
                        static_cast<int64_t>(std::min(given.now_ns, kClockMax))};
  }
  static constexpr uint32_t kPicksMax = 65'536;  // As lb.h says.

  const lb_balancer_options options;
  lb::Selector selector;
  std::mutex mutex;  // Guards all below.
  lb::Door door;
};

namespace {

using lb::Duration;
using lb::Instant;
using lb::is_text;
using lb::report;
using lb::Status;
using lb::view;
using lb::write_struct;

// What lb_balancer_options.picks_max may be at most: the slots that an id has bits for.
constexpr uint32_t kPicksLimit = 1u << 24;
constexpr uint32_t kKnown =
    LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT | LB_KNOWN_TOKENS_CACHED | LB_KNOWN_FIRST_CONTENT;

Instant at(uint64_t now_ns) { return Instant{static_cast<int64_t>(std::min(now_ns, kClockMax))}; }
Duration duration(uint64_t ns) { return Duration{static_cast<int64_t>(std::min(ns, kClockMax / 2))}; }

std::optional<lb::Error> check(const lb_balancer_options& options) {
  if (options.flags & ~uint32_t{LB_ENGINE_SECRETS})
    return lb::Error{Status::UNSUPPORTED, "", "of the flags only LB_ENGINE_SECRETS has a meaning here"};
  if (options.picks_max > kPicksLimit)
    return lb::Error{Status::INVALID, "", "picks_max is at most " + std::to_string(kPicksLimit)};
  return std::nullopt;
}

lb::Result<std::shared_ptr<const lb::Config>> parse(const lb_balancer_options& options, std::string_view text) {
  lb::HostSecrets secrets;
  bool allowed = (options.flags & LB_ENGINE_SECRETS) != 0;
  return lb::parse_config(text, allowed ? &secrets : nullptr, lb::SecretUse::read);
}

// `known` is the struct itself where its host was built against this header, else `copy`, filled from it.
template <typename T>
lb_status this_version(const T* given, T& copy, const T*& known) {
  if (!given) return LB_INVALID;
  known = given;
  if (given->struct_size == sizeof(T)) return LB_OK;
  known = &copy;
  std::optional<lb::Error> error = lb::read_options(given, copy);
  return error ? static_cast<lb_status>(error->status) : lb_status{LB_OK};
}

lb_status read_ask(const lb_ask* given, lb::DoorAsk& out) {
  lb_ask copy;
  const lb_ask* known = nullptr;
  if (lb_status status = this_version(given, copy, known); status != LB_OK) return status;
  const lb_ask& ask = *known;
  if (ask.flags & ~uint32_t{LB_ASK_RETRY}) return LB_UNSUPPORTED;
  if (!is_text(ask.model, ask.model_len) || !is_text(ask.caller, ask.caller_len) ||
      !is_text(ask.affinity, ask.affinity_len) || (!ask.tried && ask.tried_count))
    return LB_INVALID;
  out.model = view(ask.model, ask.model_len);
  out.caller = view(ask.caller, ask.caller_len);
  out.affinity = view(ask.affinity, ask.affinity_len);
  out.prompt = {ask.characters, ask.images, ask.tokens_out_max, std::max(ask.choices, 1u)};
  out.tokens_in = ask.tokens_in;
  out.tried = {ask.tried, ask.tried_count};
  out.attempts = ask.attempts ? ask.attempts : static_cast<uint32_t>(ask.tried_count);
  out.retry = (ask.flags & LB_ASK_RETRY) != 0;
  if (ask.deadline_ns) out.deadline = at(ask.deadline_ns);
  return LB_OK;
}

lb_status read_outcome(const lb_outcome* given, lb::DoorOutcome& out) {
  lb_outcome copy;
  const lb_outcome* known_struct = nullptr;
  if (lb_status status = this_version(given, copy, known_struct); status != LB_OK) return status;
  const lb_outcome& outcome = *known_struct;
  if (outcome.known & ~kKnown) return LB_UNSUPPORTED;
  if (outcome.kind > LB_OUTCOME_NOT_SENT || !is_text(outcome.head, outcome.head_len) ||
      !is_text(outcome.body, outcome.body_len) || outcome.http_status > 999)
    return LB_INVALID;
  auto known = [&](uint32_t bit, uint64_t value) {
    return outcome.known & bit ? std::optional(value) : std::nullopt;
  };
  out.kind = static_cast<lb::DoorOutcome::Kind>(outcome.kind);
  out.http_status = static_cast<uint16_t>(outcome.http_status);
  out.head = view(outcome.head, outcome.head_len);
  out.body = view(outcome.body, outcome.body_len);
  out.input = known(LB_KNOWN_TOKENS_IN, outcome.tokens_in);
  out.output = known(LB_KNOWN_TOKENS_OUT, outcome.tokens_out);
  out.cached = known(LB_KNOWN_TOKENS_CACHED, outcome.tokens_cached);
  if (outcome.known & LB_KNOWN_FIRST_CONTENT) out.first_content = duration(outcome.first_content_ns);
  out.delivered = outcome.delivered != 0;
  return LB_OK;
}

void fill_pick(const lb::DoorPick& picked, lb_pick& out) {
  const lb::World::Named* named = picked.named;
  out.target = picked.target;
  out.pick = picked.id;
  const bool senseless = named || picked.status == lb::Status::INVALID;  // To wait.
  out.wait_ns = senseless ? 0 : picked.wait ? static_cast<uint64_t>(picked.wait->ns) : UINT64_MAX;
  out.deployment = named ? named->deployment->name.c_str() : nullptr;
  out.url = named ? named->url : nullptr;
  out.key = named ? named->deployment->key.c_str() : nullptr;
  out.model = named ? named->as : nullptr;
  out.again = picked.again;
  out.reserved = 0;
}

}  // namespace

extern "C" {

lb_status lb_balancer_open(const lb_balancer_options* options, const char* config, size_t config_len,
                           lb_balancer** out, lb_error* err) {
  if (!out || !is_text(config, config_len)) return report(err, Status::INVALID, "config or out is NULL");
  lb_balancer_options known;
  if (auto error = lb::read_options(options, known)) return report(err, *error);
  if (auto error = check(known)) return report(err, *error);
  auto parsed = parse(known, view(config, config_len));
  if (!parsed.ok()) return report(err, parsed.error());
  auto balancer = std::make_unique<lb_balancer>(known, known.seed ? known.seed : lb::Loop::random_seed());
  balancer->selector.attach(balancer->door.fleet());
  balancer->door.configure(std::move(parsed.value()), at(known.now_ns));
  *out = balancer.release();
  return lb::report_ok(err);
}

lb_status lb_balancer_configure(lb_balancer* balancer, const char* config, size_t config_len, uint64_t now_ns,
                                lb_error* err) {
  if (!balancer || !is_text(config, config_len)) return report(err, Status::INVALID, "balancer or config is NULL");
  auto parsed = parse(balancer->options, view(config, config_len));
  if (!parsed.ok()) return report(err, parsed.error());
  std::lock_guard lock(balancer->mutex);
  balancer->door.configure(std::move(parsed.value()), at(now_ns));
  return lb::report_ok(err);
}

lb_status lb_balancer_pick(lb_balancer* balancer, const lb_ask* ask, uint64_t now_ns, lb_pick* out) {
  lb::DoorAsk wanted;
  if (!balancer) return LB_INVALID;
  if (lb_status status = read_ask(ask, wanted); status != LB_OK) return status;
  // A host that could not learn the number of its pick could never report it.
  return write_struct(out, offsetof(lb_pick, wait_ns), [&](lb_pick& pick) {
    lb::DoorPick picked;
    std::lock_guard lock(balancer->mutex);
    balancer->door.pick(wanted, at(now_ns), picked);
    fill_pick(picked, pick);
    return static_cast<lb_status>(picked.status);
  });
}

lb_status lb_balancer_report(lb_balancer* balancer, uint64_t pick, const lb_outcome* outcome, uint64_t now_ns,
                             lb_next* out) {
  lb::DoorOutcome how;
  if (!balancer) return LB_INVALID;
  if (lb_status status = read_outcome(outcome, how); status != LB_OK) return status;
  return write_struct(out, sizeof out->struct_size, [&](lb_next& next) {
    std::lock_guard lock(balancer->mutex);
    auto after = balancer->door.report(pick, how, at(now_ns));
    if (!after.ok()) return static_cast<lb_status>(after.error().status);
    next.kind = static_cast<uint32_t>(after.value().kind);
    next.out_ns = static_cast<uint64_t>(after.value().out.ns);
    return lb_status{LB_OK};
  });
}

char* lb_balancer_explain(lb_balancer* balancer, const lb_ask* ask, uint64_t now_ns, size_t* len) {
  lb::DoorAsk wanted;
  if (!balancer || read_ask(ask, wanted) != LB_OK) return nullptr;
  std::unique_lock lock(balancer->mutex);
  std::string text = balancer->door.explain(wanted, at(now_ns));
  lock.unlock();
  return text.empty() ? nullptr : lb::allocated(text, len);
}

char* lb_balancer_stats(lb_balancer* balancer, uint64_t now_ns, size_t* len) {
  if (!balancer) return nullptr;
  std::unique_lock lock(balancer->mutex);
  std::string text = balancer->door.stats(at(now_ns));
  lock.unlock();
  return lb::allocated(text, len);
}

lb_status lb_balancer_mark(lb_balancer* balancer, const char* name, size_t name_len, const char* model,
                           size_t model_len, uint64_t ms, uint64_t now_ns, lb_error* err) {
  if (!balancer || !is_text(name, name_len) || !is_text(model, model_len))
    return report(err, Status::INVALID, "balancer, name or model is NULL");
  std::lock_guard lock(balancer->mutex);
  bool found =
      balancer->door.fleet().mark(view(name, name_len), view(model, model_len), lb::Fleet::mark_length(ms), at(now_ns));
  return found ? lb::report_ok(err) : report(err, Status::INVALID, lb::kNobodyToMark);
}

void lb_balancer_free(lb_balancer* balancer) { delete balancer; }

}  // extern "C"
