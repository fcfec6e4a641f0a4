// Limits, charges and memory of the balancer; its part in health has a file of its own.
#include "policy/balancer.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <array>
#include <vector>

#include "unit/base/dies.h"
#include "unit/policy/stage.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

using Took = Ended::Took;
using By = Decision::By;

bool about(double a, double b) { return a > b - 1e-6 && a < b + 1e-6; }

Ended used(std::optional<uint64_t> input, std::optional<uint64_t> output, std::optional<uint64_t> cached = {}) {
  Ended ended;
  ended.input = input;
  ended.output = output;
  ended.cached = cached;
  return ended;
}

// What a fixed minute of `metric` has counted, found by asking; below a million.
uint64_t counted(Stage& stage, TargetIndex target, uint64_t limit) {
  Ask one;
  one.charge = {1, 0, 0};
  double share = stage.balancer.facts(stage.plan, one, target, stage.now).utilisation;
  return static_cast<uint64_t>(share * static_cast<double>(limit) + 0.5);
}

// --- Calls at a time ---

void calls_in_flight_are_counted_everywhere(void**) {
  Stage stage;
  TargetSpec spec{.in_deployment = stage.scope(), .with_key = stage.scope(), .at_endpoint = stage.scope()};
  TargetIndex one = stage.target(spec), two = stage.target(spec);
  stage.caller = stage.scope();
  Reservation first = stage.reserve(one), second = stage.reserve(two);
  assert_int_equal(stage.balancer.in_flight(one), 1);
  assert_int_equal(stage.facts(two).in_flight, 1);
  for (ScopeIndex scope : {spec.in_deployment, spec.with_key, spec.at_endpoint, stage.caller})
    assert_int_equal(stage.balancer.scope_in_flight(scope), 2);
  stage.settle(first, Verdict::good);
  stage.settle(second, Verdict::faulty);
  assert_int_equal(stage.balancer.in_flight(one) + stage.balancer.in_flight(two), 0);
  for (ScopeIndex scope : {spec.in_deployment, spec.with_key, spec.at_endpoint, stage.caller})
    assert_int_equal(stage.balancer.scope_in_flight(scope), 0);
  assert_true(dies([&] { stage.settle(first, Verdict::good); }));
}

void slots_of_each_scope(void**) {
  for (int which = 0; which < 5; which++) {
    Stage stage;
    ScopeSpec two{2, {}};
    TargetSpec spec;
    if (which == 0) spec.own = two;
    if (which == 1) spec.in_deployment = stage.scope(two);
    if (which == 2) spec.with_key = stage.scope(two);
    if (which == 3) spec.at_endpoint = stage.scope(two);
    if (which == 4) stage.caller = stage.scope(two);
    TargetIndex target = stage.target(spec);
    Reservation first = stage.reserve(target);
    assert_true(stage.sends());
    stage.reserve(target);
    assert_true(stage.waits_until(Instant::never()) && stage.decide().why == Status::LIMITED);
    assert_true((stage.decide().by == By::caller) == (which == 4));
    assert_int_equal(stage.facts(target).full, which < 4);
    stage.settle(first, Verdict::good);
    assert_true(stage.sends());
  }
}

// --- Quotas ---

void quotas_of_each_scope(void**) {
  for (int which = 0; which < 5; which++) {
    Stage stage;
    ScopeSpec hundred{0, {fixed_minute(Metric::tokens, 100)}};
    TargetSpec spec;
    if (which == 0) spec.own = hundred;
    if (which == 1) spec.in_deployment = stage.scope(hundred);
    if (which == 2) spec.with_key = stage.scope(hundred);
    if (which == 3) spec.at_endpoint = stage.scope(hundred);
    if (which == 4) stage.caller = stage.scope(hundred);
    TargetIndex target = stage.target(spec);
    stage.ask.charge = {30, 20, 0};
    stage.reserve(target);
    assert_true(stage.sends());
    stage.ask.charge = {30, 21, 0};
    assert_true(stage.waits_until(later(60'000)) && stage.decide().why == Status::LIMITED);
    stage.ask.charge = {101, 0, 0};
    assert_true(stage.too_large());
    stage.now = later(60'000);
    stage.ask.charge = {100, 0, 0};
    assert_true(stage.sends());
  }
}

void the_last_of_all_limits_counts(void**) {
  Stage stage;
  ScopeSpec short_one{0, {{Metric::requests, WindowKind::fixed, Duration::from_s(1), 1}}};
  ScopeSpec long_one{0, {fixed_minute(Metric::requests, 1), per_minute(Metric::tokens, 1'000)}};
  TargetIndex target = stage.target({.own = short_one, .with_key = stage.scope(long_one)});
  stage.reserve(target);
  assert_true(stage.waits_until(later(60'000)));
  assert_true(stage.balancer.frees_at(stage.ask, target, stage.now) == later(60'000));
}

// A window that is aligned begins with the minute of the wall clock.
void aligned_windows_follow_the_wall(void**) {
  for (int64_t second : {0, 1, 30, 59}) {
    // Unix time at kNow is `second` past a full minute.
    Stage stage(Duration{1'700'000'040'000'000'000 + second * 1'000'000'000 - kNow.ns});
    TargetSpec spec;
    spec.own.quotas = {{Metric::requests, WindowKind::aligned, Duration::from_s(60), 1}};
    stage.reserve(stage.target(spec));
    assert_true(stage.waits_until(later((60 - second) * 1'000)));
    stage.now = later((60 - second) * 1'000) - Duration{1};
    assert_true(stage.waits());
    stage.now = stage.now + Duration{1};
    assert_true(stage.sends());
  }
}

void a_changed_amount_keeps_what_was_counted(void**) {
  Stage stage;
  TargetSpec spec{.own = {0, {fixed_minute(Metric::tokens, 100)}}};
  TargetIndex target = stage.target(spec);
  stage.ask.charge = {60, 0, 0};
  stage.reserve(target);
  spec.own.quotas[0].limit = 120;
  stage.balancer.set_target(target, spec, false);
  assert_true(stage.sends());
  stage.ask.charge = {61, 0, 0};
  assert_true(stage.waits());
  assert_int_equal(stage.balancer.in_flight(target), 1);
  spec.own.quotas[0].window = WindowKind::sliding;  // Another window: nothing is known of it.
  stage.balancer.set_target(target, spec, false);
  assert_true(stage.sends());
}

// What was charged before a limit existed was not charged to it, and is not given back to it.
void a_younger_limit_knows_nothing_of_older_calls(void**) {
  Stage stage;
  stage.ask.charge = {1'000, 0, 0};
  TargetIndex target = stage.target();
  Reservation old = stage.reserve(target);
  stage.configure();
  stage.balancer.set_target(target, {.own = {0, {per_minute(Metric::tokens, 100)}}}, false);
  stage.settle(old, Verdict::no_fault, Ended::Took::nothing);
  stage.ask.charge = {100, 0, 0};
  assert_true(stage.sends());
  stage.reserve(target);
  assert_true(stage.waits());
}

void brought_back_by_hand_an_old_probe_proves_nothing(void**) {
  Stage stage;
  TargetIndex target = stage.target();
  Ended down{.verdict = Verdict::faulty, .mark = Mark::down};
  stage.settle(stage.reserve(target), down);
  stage.now = later(60'000);
  Reservation probe = stage.reserve(target);
  assert_int_equal(probe.probes, 1);
  stage.balancer.mark_up(target);
  stage.settle(probe, Verdict::faulty);
  assert_true(stage.sends());
  assert_true(stage.facts(target).warmth == 1);
}

void fresh_means_nothing_stays(void**) {
  Stage stage;
  TargetSpec spec{.own = {0, {fixed_minute(Metric::requests, 1)}}};
  TargetIndex target = stage.target(spec);
  Reservation reservation = stage.reserve(target);
  assert_true(dies([&] { stage.balancer.set_target(target, spec, true); }));
  stage.settle(reservation, Verdict::good);
  stage.balancer.mark_down(target, Duration::from_s(60), stage.now);
  stage.balancer.set_target(target, spec, true);
  assert_true(stage.sends());
}

// --- What an attempt took ---

void what_it_took(void**) {
  struct Case {
    Took took;
    std::optional<uint64_t> input, output;
    uint64_t tokens, requests;
  };
  const Case cases[] = {
      {Took::usage, 20, 5, 25, 1},       {Took::usage, {}, 5, 105, 1},   {Took::usage, 20, {}, 70, 1},
      {Took::usage, {}, {}, 150, 1},     {Took::usage, 900, 50, 950, 1}, {Took::unknown, 20, 5, 150, 1},
      {Took::input, 20, 5, 100, 1},      {Took::answer, 20, 5, 1, 1},  // Every call has a token.
      {Took::nothing, 20, 5, 0, 0},
  };
  for (const Case& one : cases) {
    Stage stage;
    TargetIndex target = stage.target({.own = {0, {fixed_minute(Metric::tokens, 10'000)}}});
    TargetIndex other = stage.target({.own = {0, {fixed_minute(Metric::requests, 10)}}});
    stage.ask.charge = {100, 50, 0};
    Ended ended = used(one.input, one.output);
    ended.took = one.took;
    for (TargetIndex index : {target, other}) stage.settle(stage.reserve(index), ended);
    assert_int_equal(counted(stage, target, 10'000), one.tokens);
    assert_int_equal(counted(stage, other, 10), one.requests);
  }
}

void failed_attempts_are_not_refunded_when_told_so(void**) {
  Stage stage;
  stage.settings.refund_failed = false;
  stage.configure();
  TargetIndex target = stage.target({.own = {0, {fixed_minute(Metric::tokens, 1'000)}}});
  stage.settle(stage.reserve(target), Verdict::faulty, Took::answer);
  assert_int_equal(counted(stage, target, 1'000), 10);
}

// A correction goes to the window of the charge, however much later it comes.
void a_reset_between_charge_and_usage(void**) {
  Stage stage;
  TargetIndex target = stage.target({.own = {0, {fixed_minute(Metric::tokens, 1'000)}}});
  stage.ask.charge = {500, 0, 0};
  Reservation first = stage.reserve(target), second = stage.reserve(target), third = stage.reserve(target);
  stage.now = later(60'000);
  stage.ask.charge = {100, 0, 0};
  stage.reserve(target);
  stage.settle(first, used(0, 0));
  stage.settle(second, used(9'000, 0));
  stage.settle(third, Verdict::no_fault, Took::nothing);
  assert_int_equal(counted(stage, target, 1'000), 100);
}

void tokens_in_flight(void**) {
  Stage stage;
  TargetIndex target = stage.target();
  stage.ask.charge = {100, 50, 0};
  Reservation first = stage.reserve(target);
  stage.ask.charge = {};
  Reservation second = stage.reserve(target);
  assert_true(about(stage.facts(target).tokens_in_flight, 151));
  stage.settle(first, used(9'999, 9'999));
  assert_true(about(stage.facts(target).tokens_in_flight, 1));
  stage.settle(second, Verdict::good);
  assert_true(about(stage.facts(target).tokens_in_flight, 0));
}

// --- Money ---

constexpr Price kPrice{1'000, 5'000, 100};  // 1 and 5 dollars a million, a tenth of a dollar from the cache.

void money_at_the_limit_and_one_over(void**) {
  Stage stage;
  TargetSpec spec{.own = {0, {fixed_minute(Metric::money, 1'000'000)}}, .price = kPrice};
  stage.target(spec);
  stage.ask.charge = {500, 100, 0};  // One million nano-dollars.
  assert_true(stage.sends());
  stage.ask.charge = {501, 100, 0};
  assert_true(stage.too_large());
  stage.ask.charge = {500, 100, 0};
  stage.reserve(0);
  stage.ask.charge = {1, 0, 0};
  assert_true(stage.waits_until(later(60'000)));
}

void usage_is_priced(void**) {
  Stage stage;
  TargetIndex target = stage.target({.own = {0, {fixed_minute(Metric::money, 100'000'000)}}, .price = kPrice});
  stage.ask.charge = {1'000, 1'000, 0};
  stage.settle(stage.reserve(target), used(1'000, 10, 400));  // 600 and 400 from the cache.
  assert_int_equal(counted(stage, target, 100'000'000), 600'000 + 40'000 + 50'000);
  stage.settle(stage.reserve(target), used(1'000, 0, 5'000));  // No more can come from the cache than there was.
  assert_int_equal(counted(stage, target, 100'000'000), 690'000 + 100'000);
  stage.settle(stage.reserve(target), Verdict::no_fault, Took::input);
  assert_int_equal(counted(stage, target, 100'000'000), 790'000 + 1'000'000);
}

void nonsense_costs_much_and_not_little(void**) {
  Stage stage;
  TargetSpec spec{.own = {0, {fixed_minute(Metric::money, 1'000'000'000)}}};
  spec.price = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
  TargetIndex target = stage.target(spec);
  stage.ask.charge = {};
  stage.settle(stage.reserve(target), used(UINT64_MAX, UINT64_MAX));
  assert_true(stage.facts(target).utilisation >= 1);
}

// Who pays is not known before a target is chosen: a caller's budget stops it once it is spent.
void a_callers_budget(void**) {
  Stage stage;
  stage.target({.price = kPrice});
  stage.caller = stage.scope({0, {fixed_minute(Metric::money, 1'000'000)}});
  stage.ask.charge = {900, 0, 0};
  stage.settle(stage.reserve(0), used(900, 0));
  assert_true(stage.sends());
  stage.settle(stage.reserve(0), used(101, 0));
  assert_true(stage.waits_until(later(60'000)));
  assert_true(stage.decide().by == By::caller);
}

// --- What is left ---

void headroom_in_tokens(void**) {
  Stage stage;
  stage.plan.balance = Balance::max_headroom;
  stage.ask.charge = {100, 0, 0};
  TargetIndex none = stage.target(), tokens = stage.target({.own = {0, {per_minute(Metric::tokens, 1'000)}}});
  TargetIndex requests = stage.target({.own = {0, {per_minute(Metric::requests, 5)}}});
  TargetIndex both = stage.target({.own = {0, {per_minute(Metric::requests, 5), per_minute(Metric::tokens, 450)}}});
  TargetIndex money = stage.target({.own = {0, {per_minute(Metric::money, 5)}}});
  assert_true(stage.facts(none).headroom >= Facts::kBoundless);
  assert_true(about(stage.facts(tokens).headroom, 900));
  assert_true(about(stage.facts(requests).headroom, 400));  // Four calls of this size.
  assert_true(about(stage.facts(both).headroom, 350));
  assert_true(stage.facts(money).headroom >= Facts::kBoundless);
  stage.ask.charge = {};
  assert_true(about(stage.facts(requests).headroom, 4));  // A call has a token at least.
}

// With limits by requests only, and calls of unknown size, all targets are used.
void the_most_headroom_starves_nobody(void**) {
  Stage stage;
  stage.plan.balance = Balance::max_headroom;
  stage.ask.charge = {};
  for (uint64_t limit : {5, 10, 20}) stage.target({.own = {0, {per_minute(Metric::requests, limit)}}});
  std::array<int, 3> count{};
  for (int i = 0; i < 35; i++) {
    Decision decision = stage.decide();
    assert_true(decision.kind == Decision::Kind::send);
    count[decision.target]++;
    stage.settle(stage.reserve(decision.target), Verdict::good);
  }
  assert_int_equal(count[0], 5);
  assert_int_equal(count[1], 10);
  assert_int_equal(count[2], 20);
  assert_true(stage.waits());
}

void what_the_provider_states(void**) {
  Stage stage;
  TargetIndex target = stage.target();
  Reservation reservation = stage.reserve(target);
  Statement stated[] = {{Metric::tokens, 1'000, 25, Duration::from_s(7), false},
                        {Metric::requests, 10, 2, Duration::from_s(9), false}};
  stage.balancer.hear(reservation, stated, stage.now);
  assert_true(stage.sends());
  stage.reserve(target);
  assert_true(stage.sends());
  stage.reserve(target);
  assert_true(stage.waits_until(later(9'000)));
  stage.now = later(9'000);
  assert_true(stage.sends());
}

// --- Latency ---

void time_to_first_content(void**) {
  Stage stage;
  stage.plan.balance = Balance::peak_ewma;
  TargetIndex target = stage.target(), other = stage.target();
  auto answered = [&](TargetIndex index, int64_t ms) {
    Ended ended;
    ended.first_content = Duration::from_ms(ms);
    stage.settle(stage.reserve(index), ended);
    return stage.facts(index).latency.ms();
  };
  assert_int_equal(stage.facts(target).latency.ns, 0);
  assert_int_equal(answered(target, 100), 100);
  int64_t worse = answered(target, 300);
  assert_true(worse >= 195 && worse <= 200);  // Half the way at once.
  int64_t better = answered(target, 100);
  assert_true(better >= 185 && better < worse);  // A tenth.
  assert_int_equal(stage.facts(other).latency.ns, 0);
  // What is old goes towards the mean of the plan.
  int64_t mean = stage.plan.mean_latency.ms(), before = better;
  assert_true(mean > 100 && mean < 110);
  for (int64_t s : {10, 100, 10'000}) {
    stage.now = later(s * 1'000);
    int64_t here = stage.facts(target).latency.ms();
    assert_true(here < before && here >= mean);
    if (s == 10) assert_true(here >= (better + mean) / 2 - 1 && here <= (better + mean) / 2 + 1);
    before = here;
  }
}

// --- Affinity and stickiness ---

void a_call_binds_its_key(void**) {
  Stage stage;
  stage.plan.affinity = Duration::from_s(100);
  TargetIndex one = stage.target(), two = stage.target();
  stage.ask.affinity = 77;
  TargetIndex chosen = stage.decide().target, other = chosen == one ? two : one;
  stage.settle(stage.reserve(other), Verdict::good);  // As when it was tried after the first.
  assert_true(stage.decide().target == other && stage.decide().by == By::affinity);
  stage.now = later(99'000);
  stage.reserve(other);
  stage.now = later(199'000);  // Since its last call.
  assert_true(stage.decide().target == other && stage.decide().by == By::affinity);
  stage.now = later(199'001);
  assert_true(stage.decide().target == chosen && stage.decide().by == By::balance);
}

// After a reload a target may stand elsewhere in its plan.
void a_binding_follows_its_target(void**) {
  Stage stage;
  stage.plan.affinity = Duration::from_s(100);
  TargetIndex one = stage.target(), two = stage.target();
  stage.ask.affinity = 77;
  stage.reserve(two);
  stage.plan.tiers[0] = Tier({two, one}, std::vector<double>{1, 1});
  stage.reserve(two);
  assert_true(stage.decide().target == two && stage.decide().by == By::affinity);
}

void without_affinity_nothing_is_bound(void**) {
  Stage stage;
  TargetIndex one = stage.target();
  stage.ask.affinity = 77;
  stage.reserve(one);
  stage.plan.affinity = Duration::from_s(100);
  assert_true(stage.decide().by == By::balance);
  stage.settings.bindings = 0;
  stage.configure();
  stage.reserve(one);
  assert_true(stage.decide().by == By::balance);
}

void the_last_to_serve(void**) {
  Stage stage;
  stage.plan.sticky = Duration::from_s(10);
  TargetIndex one = stage.target({.deployment = 5}), two = stage.target({.deployment = 6});
  stage.attempt(one, Verdict::good);
  stage.attempt(two, Verdict::no_fault);  // It did not serve.
  stage.reserve(one);
  assert_true(stage.decide().target == one && stage.decide().by == By::sticky);
  stage.attempt(two, Verdict::good);
  stage.reserve(two);
  stage.reserve(two);
  assert_true(stage.decide().target == two && stage.decide().by == By::sticky);
}

// --- Looking changes nothing ---

void could_send_has_no_side_effects(void**) {
  Stage stage, twin;
  for (Stage* each : {&stage, &twin}) {
    each->plan.balance = Balance::round_robin;
    for (int i = 0; i < 3; i++) each->target();
  }
  for (int i = 0; i < 20; i++) {
    assert_true(stage.balancer.could_send(stage.plan, stage.ask, kNoScope, kNow));
    stage.balancer.explain(stage.plan, stage.ask, kNow, 9);
    assert_false(stage.balancer.shortest_wait(stage.plan, stage.ask, kNoScope, kNow).has_value());
    assert_int_equal(stage.decide().target, twin.decide().target);
  }
}

void the_shortest_wait(void**) {
  Stage stage;
  auto wait = [&] {
    return stage.balancer.shortest_wait(stage.plan, stage.ask, stage.caller, stage.now).value_or(Duration{}).ms();
  };
  TargetIndex one = stage.target({.own = {0, {fixed_minute(Metric::requests, 1)}}}), two = stage.target();
  assert_int_equal(wait(), 0);
  stage.balancer.mark_down(two, Duration::from_s(1), stage.now);
  assert_int_equal(wait(), 0);
  stage.reserve(one);
  assert_int_equal(wait(), 60'000);  // By hand is by hand: nobody knows when.
  stage.balancer.mark_up(two);
  stage.attempt(two, Verdict::limited);
  assert_int_equal(wait(), 5'000);
  TargetIndex tried[] = {two};
  stage.ask.tried = tried;
  assert_int_equal(wait(), 5'000);  // Tried or not.
  stage.caller = stage.scope({0, {fixed_minute(Metric::requests, 1)}});
  stage.settle(stage.reserve(two), Verdict::good);
  stage.now = later(10'000);
  assert_int_equal(wait(), 50'000);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(calls_in_flight_are_counted_everywhere),
      cmocka_unit_test(slots_of_each_scope),
      cmocka_unit_test(quotas_of_each_scope),
      cmocka_unit_test(the_last_of_all_limits_counts),
      cmocka_unit_test(aligned_windows_follow_the_wall),
      cmocka_unit_test(a_changed_amount_keeps_what_was_counted),
      cmocka_unit_test(a_younger_limit_knows_nothing_of_older_calls),
      cmocka_unit_test(brought_back_by_hand_an_old_probe_proves_nothing),
      cmocka_unit_test(fresh_means_nothing_stays),
      cmocka_unit_test(what_it_took),
      cmocka_unit_test(failed_attempts_are_not_refunded_when_told_so),
      cmocka_unit_test(a_reset_between_charge_and_usage),
      cmocka_unit_test(tokens_in_flight),
      cmocka_unit_test(money_at_the_limit_and_one_over),
      cmocka_unit_test(usage_is_priced),
      cmocka_unit_test(nonsense_costs_much_and_not_little),
      cmocka_unit_test(a_callers_budget),
      cmocka_unit_test(headroom_in_tokens),
      cmocka_unit_test(the_most_headroom_starves_nobody),
      cmocka_unit_test(what_the_provider_states),
      cmocka_unit_test(time_to_first_content),
      cmocka_unit_test(a_call_binds_its_key),
      cmocka_unit_test(a_binding_follows_its_target),
      cmocka_unit_test(without_affinity_nothing_is_bound),
      cmocka_unit_test(the_last_to_serve),
      cmocka_unit_test(could_send_has_no_side_effects),
      cmocka_unit_test(the_shortest_wait),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
