// What the document says to the policies: limits, health, retries, rules for errors.
#include <algorithm>

#include "config/read.h"

namespace lb {

namespace {

using schema::Key;

// The keys of a LB_LIMITS block, in its order.
enum class LimitKey : uint8_t { rpm, tpm, input_tpm, output_tpm, rpd, usd_per_hour, usd_per_day, concurrency, window };
constexpr double kNanoPerUsd = 1e9;

constexpr Key at(Key first, LimitKey which) {
  return static_cast<Key>(static_cast<uint8_t>(first) + static_cast<uint8_t>(which));
}
static_assert(at(Key::model_rpm, LimitKey::window) == Key::model_window);
static_assert(at(Key::caller_rpm, LimitKey::window) == Key::caller_window);

struct LimitKind {
  LimitKey key;
  policy::Metric metric;
  Duration period;
};
constexpr LimitKind kLimits[] = {
    {LimitKey::rpm, policy::Metric::requests, Duration::from_s(60)},
    {LimitKey::tpm, policy::Metric::tokens, Duration::from_s(60)},
    {LimitKey::input_tpm, policy::Metric::input_tokens, Duration::from_s(60)},
    {LimitKey::output_tpm, policy::Metric::output_tokens, Duration::from_s(60)},
    {LimitKey::rpd, policy::Metric::requests, Duration::from_s(86'400)},
    {LimitKey::usd_per_hour, policy::Metric::money, Duration::from_s(3600)},
    {LimitKey::usd_per_day, policy::Metric::money, Duration::from_s(86'400)},
};

Problem read_parties(const Place& place, JsonView map, Key first, Preset preset, std::vector<Party>& out) {
  for (JsonView view = map.first(); view.present(); view = view.next()) {
    Party& party = out.emplace_back();
    party.name = view.key();
    if (!schema::is_name(party.name) && party.name != "*")
      return place.at(view.key()).error("is no name; write up to 64 letters, digits and ._:/@-");
    party.limits = read_limits(view, first, preset);
    party.share = read_number(view, Key::caller_share);
  }
  return std::nullopt;
}

Problem read_error_rule(const Place& place, JsonView view, ErrorRule& out) {
  auto has = [&](Key key) { return view[schema::row(key).segment()].present(); };
  if (!has(Key::error_status) && !has(Key::error_contains) && !has(Key::error_pattern))
    return place.error("fits every error; write `status`, `contains` or `pattern`");
  out.status = static_cast<uint16_t>(read_integer(view, Key::error_status));
  out.contains = read_string(view, Key::error_contains);
  if (has(Key::error_pattern)) {
    Result<Pattern> pattern = Pattern::compile(read_string(view, Key::error_pattern));
    if (!pattern.ok()) return place.at("pattern").error(pattern.error().message);
    out.pattern = std::make_shared<const Pattern>(std::move(pattern.value()));
  }
  if (has(Key::error_as))
    out.as = static_cast<ErrorClass>(read_choice(view, Key::error_as) + 1);  // `none` is not offered.
  if (has(Key::error_fail_over)) out.fail_over = read_boolean(view, Key::error_fail_over);
  if (has(Key::error_mark)) out.mark = static_cast<policy::Mark>(read_choice(view, Key::error_mark));
  if (has(Key::error_cool_ms)) out.cool = read_ms(view, Key::error_cool_ms);
  if (!out.as && !out.fail_over && !out.mark && !out.cool)
    return place.error("changes nothing; write `as`, `fail_over`, `mark` or `cool_ms`");
  return std::nullopt;
}

void read_health(JsonView view, Preset preset, policy::HealthRules& out) {
  using policy::Verdict;
  policy::BreakerSpec& breaker = out.breaker;
  breaker.errors = static_cast<uint32_t>(read_integer(view, Key::breaker_errors, preset));
  breaker.rate = read_number(view, Key::breaker_rate, preset);
  breaker.volume = static_cast<uint32_t>(read_integer(view, Key::breaker_volume, preset));
  breaker.window = read_ms(view, Key::breaker_window_ms, preset);
  breaker.slow = read_ms(view, Key::breaker_slow_ms, preset);
  breaker.slow_rate = read_number(view, Key::breaker_slow_rate, preset);
  breaker.open = read_ms(view, Key::breaker_open_ms, preset);
  breaker.open_max = std::max(breaker.open, read_ms(view, Key::breaker_open_max_ms, preset));
  breaker.slow_start = read_ms(view, Key::slow_start_ms, preset);
  policy::Cooldowns& cool = out.cooldowns;
  cool.limited = read_ms(view, Key::cool_limited_ms, preset);
  cool.overloaded = read_ms(view, Key::cool_overloaded_ms, preset);
  cool.key_refused = read_ms(view, Key::cool_refused_ms, preset);
  cool.exhausted = read_ms(view, Key::cool_exhausted_ms, preset);
  cool.not_found = read_ms(view, Key::cool_not_found_ms, preset);
  cool.floor = read_ms(view, Key::cool_floor_ms, preset);
  cool.ceiling = std::max(cool.floor, read_ms(view, Key::cool_ceiling_ms, preset));
  constexpr std::pair<Verdict, Key> kMarks[] = {
      {Verdict::limited, Key::mark_limited},         {Verdict::overloaded, Key::mark_overloaded},
      {Verdict::faulty, Key::mark_faulty},           {Verdict::unreachable, Key::mark_unreachable},
      {Verdict::timed_out, Key::mark_timed_out},     {Verdict::key_refused, Key::mark_refused},
      {Verdict::exhausted, Key::mark_exhausted},     {Verdict::not_found, Key::mark_not_found},
  };
  for (const auto& [verdict, key] : kMarks)
    out.marks[static_cast<size_t>(verdict)] = static_cast<policy::Mark>(read_choice(view, key, preset));
}

}  // namespace

policy::ScopeSpec read_limits(JsonView view, Key first, Preset preset) {
  policy::ScopeSpec out;
  auto window = static_cast<policy::WindowKind>(read_choice(view, at(first, LimitKey::window), preset));
  for (const LimitKind& kind : kLimits) {
    double amount = read_number(view, at(first, kind.key), preset);
    if (kind.metric == policy::Metric::money) amount *= kNanoPerUsd;
    if (amount >= 1) out.quotas.push_back({kind.metric, window, kind.period, static_cast<uint64_t>(amount)});
  }
  out.concurrency = static_cast<uint32_t>(read_integer(view, at(first, LimitKey::concurrency), preset));
  return out;
}

policy::HedgeSpec read_hedge(JsonView view) {
  if (!view.present()) return {};
  policy::HedgeSpec out;
  out.percentile = read_number(view, Key::hedge_percentile) / 100;
  out.after_min = read_ms(view, Key::hedge_after_ms);
  out.share = read_number(view, Key::hedge_share);
  out.tokens_max = static_cast<uint64_t>(read_integer(view, Key::hedge_tokens_max));
  out.money_max = static_cast<uint64_t>(read_number(view, Key::hedge_usd_max) * kNanoPerUsd);
  return out;
}

policy::Price read_price(JsonView view) {
  // USD per million tokens is a thousand nano-dollars a token.
  auto nano = [&](Key key) { return static_cast<uint64_t>(read_number(view, key) * 1000); };
  policy::Price out{nano(Key::price_input), nano(Key::price_output), nano(Key::price_cached)};
  if (!view[schema::row(Key::price_cached).segment()].present()) out.cached = out.input;
  return out;
}

Problem read_policies(JsonView root, Preset preset, Config& out) {
  auto part = [&](Key key) { return root[schema::row(key).segment()]; };
  Place whole;
  if (Problem problem =
          read_parties(whole.at("accounts"), part(Key::accounts), Key::account_rpm, preset, out.accounts))
    return problem;
  if (Problem problem = read_parties(whole.at("callers"), part(Key::callers), Key::caller_rpm, preset, out.callers))
    return problem;
  size_t index = 0;
  for (JsonView view = part(Key::errors).first(); view.present(); view = view.next())
    if (Problem problem = read_error_rule(whole.at("errors").at(index++), view, out.errors.emplace_back()))
      return problem;
  read_health(part(Key::health), preset, out.policies.health);
  out.policies.refund_failed = read_boolean(part(Key::health), Key::refund_failed, preset);
  JsonView budget = part(Key::retry_budget);
  out.policies.budget = {read_number(budget, Key::retry_ratio, preset), read_number(budget, Key::retry_floor, preset)};
  out.policies.bindings = static_cast<uint32_t>(read_integer(part(Key::limits), Key::bindings, preset));
  return std::nullopt;
}

}  // namespace lb
