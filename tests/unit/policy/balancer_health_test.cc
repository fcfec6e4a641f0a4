// What the balancer tells the health of targets, keys and endpoints, and what they tell it.
#include "policy/balancer.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "unit/policy/stage.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

using By = Decision::By;
using Took = Ended::Took;

// Two targets that share what is asked for, and one that shares nothing.
struct Shared : Stage {
  TargetSpec spec;
  TargetIndex one, two, alone;
  Shared(bool deployment, bool key, bool endpoint) {
    if (deployment) spec.in_deployment = scope();
    if (key) spec.with_key = scope();
    if (endpoint) spec.at_endpoint = scope();
    one = target(spec);
    two = target(spec);
    alone = target();
  }
  bool is_out(TargetIndex index) { return !facts(index).healthy(now); }
  void assert_out(bool first, bool second, bool third = false) {
    assert_int_equal(is_out(one), first);
    assert_int_equal(is_out(two), second);
    assert_int_equal(is_out(alone), third);
  }
};

// --- Whose fault it is ---

void a_targets_fault_is_its_own(void**) {
  for (Verdict verdict : {Verdict::limited, Verdict::overloaded, Verdict::not_found}) {
    Shared stage(true, true, true);
    Duration out = stage.attempt(stage.one, verdict);
    assert_int_equal(out.ms(), verdict == Verdict::not_found ? 60'000 : 5'000);
    stage.assert_out(true, false);
    assert_true(stage.facts(stage.one).outage == Outage::told);
  }
  for (Verdict verdict : {Verdict::faulty, Verdict::timed_out}) {
    Shared stage(true, true, true);
    for (int i = 0; i < 2; i++) assert_int_equal(stage.attempt(stage.one, verdict).ns, 0);
    stage.assert_out(false, false);
    assert_int_equal(stage.attempt(stage.one, verdict).ms(), 5'000);
    stage.assert_out(true, false);
    assert_true(stage.facts(stage.one).outage == Outage::fault);
  }
}

void nobodys_fault(void**) {
  Shared stage(true, true, true);
  for (int i = 0; i < 50; i++)
    for (Verdict verdict : {Verdict::good, Verdict::no_fault})
      assert_int_equal(stage.attempt(stage.one, verdict).ns, 0);
  stage.assert_out(false, false);
}

void a_keys_fault_takes_all_that_use_it(void**) {
  for (Verdict verdict : {Verdict::key_refused, Verdict::exhausted}) {
    Shared stage(true, true, true);
    assert_int_equal(stage.attempt(stage.one, verdict).ms(), verdict == Verdict::exhausted ? 600'000 : 60'000);
    stage.assert_out(true, true);
    assert_true(stage.facts(stage.two).outage == Outage::key);
    Shared none(true, false, true);  // Without a shared key it is the target's own.
    none.attempt(none.one, verdict);
    none.assert_out(true, false);
    assert_true(none.facts(none.one).outage == Outage::key);
  }
}

void an_endpoints_fault_takes_all_that_are_there(void**) {
  Shared stage(true, true, true);
  assert_int_equal(stage.attempt(stage.one, Verdict::unreachable).ms(), 5'000);
  stage.assert_out(true, true);
  assert_true(stage.facts(stage.two).outage == Outage::fault);
  Shared none(true, true, false);
  assert_int_equal(none.attempt(none.one, Verdict::unreachable).ms(), 5'000);
  none.assert_out(true, false);
}

void marks_instead_of_the_rules(void**) {
  for (Mark mark : {Mark::none, Mark::count, Mark::cool, Mark::down, Mark::key, Mark::endpoint}) {
    Shared stage(true, true, true);
    Ended ended;
    ended.verdict = Verdict::faulty;
    ended.mark = mark;
    bool at_once = stage.settle(stage.reserve(stage.one), ended) > Duration::zero();
    assert_int_equal(at_once, mark != Mark::none && mark != Mark::count);
    stage.assert_out(at_once, mark == Mark::key || mark == Mark::endpoint);
  }
  Shared stage(false, false, false);
  stage.settings.health.marks[static_cast<size_t>(Verdict::faulty)] = Mark::down;
  stage.configure();
  assert_int_equal(stage.attempt(stage.one, Verdict::faulty).ms(), 5'000);
}

void as_long_as_told(void**) {
  auto out_for = [](Verdict verdict, std::optional<Duration> told, std::optional<Duration> cool) {
    Shared stage(true, true, true);
    Ended ended;
    ended.verdict = verdict;
    ended.told = told;
    ended.cool = cool;
    Duration out = stage.settle(stage.reserve(stage.one), ended);
    assert_true(stage.facts(stage.one).open_at == (out > Duration::zero() ? kNow + out : Instant{}));
    return out.ms();
  };
  Duration two = Duration::from_s(2), nine = Duration::from_s(9);
  assert_int_equal(out_for(Verdict::limited, two, {}), 2'000);
  assert_int_equal(out_for(Verdict::limited, Duration::zero(), {}), 100);
  assert_int_equal(out_for(Verdict::limited, two, nine), 9'000);
  assert_int_equal(out_for(Verdict::key_refused, two, {}), 60'000);
  assert_int_equal(out_for(Verdict::key_refused, two, nine), 9'000);
  assert_int_equal(out_for(Verdict::faulty, {}, {}), 0);
  assert_int_equal(out_for(Verdict::faulty, two, {}), 2'000);
  assert_int_equal(out_for(Verdict::unreachable, two, {}), 5'000);
  assert_int_equal(out_for(Verdict::unreachable, two, nine), 9'000);
}

void a_told_cooldown_only_extends(void**) {
  Shared stage(false, false, false);
  Reservation first = stage.reserve(stage.one), second = stage.reserve(stage.one);
  Ended ended;
  ended.verdict = Verdict::limited;
  ended.told = Duration::from_s(60);
  stage.settle(first, ended);
  stage.now = later(10'000);
  ended.told = Duration::from_s(1);
  assert_int_equal(stage.settle(second, ended).ms(), 50'000);
  assert_true(stage.facts(stage.one).open_at == later(60'000));
  stage.attempt(stage.one, Verdict::good);
  assert_true(stage.facts(stage.one).open_at == later(60'000));
}

void slow_answers(void**) {
  Shared stage(true, true, true);
  stage.settings.health.breaker.slow = Duration::from_ms(100);
  stage.configure();
  Ended ended;
  for (int i = 0; i < 9; i++) {
    ended.first_content = Duration::from_ms(i % 2 ? 100 : 101);
    assert_int_equal(stage.settle(stage.reserve(stage.one), ended).ns, 0);
  }
  ended.first_content = Duration::from_ms(101);
  assert_int_equal(stage.settle(stage.reserve(stage.one), ended).ms(), 5'000);
  stage.assert_out(true, false);  // Slowness is the target's.
}

// --- Probes ---

// Whatever the target shares and whoever is half-open: exactly one call goes through, and its end counts.
void one_probe_of_each_scope(void**) {
  for (int shares = 0; shares < 8; shares++) {
    for (Mark whose : {Mark::down, Mark::key, Mark::endpoint}) {
      for (Verdict end : {Verdict::good, Verdict::no_fault, Verdict::unreachable}) {
        Shared stage((shares & 1) != 0, (shares & 2) != 0, (shares & 4) != 0);
        if (whose == Mark::key) continue;  // A refused key is told to wait: no breaker, no probe.
        Ended ended;
        ended.verdict = Verdict::faulty;
        ended.mark = whose;
        stage.settle(stage.reserve(stage.one), ended);
        stage.now = later(5'000);
        Reservation probe = stage.reserve(stage.one);
        assert_int_equal(probe.probes, whose == Mark::endpoint && (shares & 4) ? 8 : 1);
        assert_true(stage.facts(stage.one).probed && stage.is_out(stage.one));
        assert_int_equal(stage.reserve(stage.one).probes, 0);
        Duration out = stage.settle(probe, end);
        assert_false(stage.facts(stage.one).probed);
        // As long again and twice that after a fault of what was probed; another's fault opens another's breaker.
        bool again = end == Verdict::unreachable;
        assert_int_equal(again, out > Duration::zero());
        assert_int_equal(stage.is_out(stage.one), again);
        if (end == Verdict::good) assert_true(stage.facts(stage.one).warmth < 0.2);
        if (end == Verdict::no_fault) assert_true(stage.reserve(stage.one).probes == probe.probes);
      }
    }
  }
}

void bits_of_probes(void**) {
  Shared stage(true, true, true);
  Ended down;
  down.verdict = Verdict::faulty;
  down.mark = Mark::down;
  Reservation first = stage.reserve(stage.one), second = stage.reserve(stage.one);
  stage.settle(first, down);
  down.mark = Mark::endpoint;
  stage.settle(second, down);
  stage.now = later(5'000);
  Reservation probe = stage.reserve(stage.one);
  assert_int_equal(probe.probes, 1 | 8);  // The target's, and the endpoint's.
  assert_int_equal(stage.reserve(stage.two).probes, 0);  // The endpoint's is out.
  assert_true(stage.is_out(stage.two));
  stage.settle(probe, Verdict::no_fault);
  assert_int_equal(stage.reserve(stage.two).probes, 8);
}

// The probe got an answer: the way to the endpoint is open, whatever the target's fault.
void an_answer_proves_the_endpoint(void**) {
  Shared stage(false, false, true);
  stage.attempt(stage.one, Verdict::unreachable);
  stage.now = later(5'000);
  Reservation probe = stage.reserve(stage.one);
  assert_int_equal(probe.probes, 8);
  stage.settle(probe, Verdict::limited);
  stage.assert_out(true, false);
  assert_false(stage.facts(stage.two).probed);
}

void a_half_open_one_gets_one_call(void**) {
  Stage stage;
  TargetIndex only = stage.target();
  stage.settings.health.breaker.errors = 1;
  stage.configure();
  stage.attempt(only, Verdict::faulty);
  assert_true(stage.waits_until(later(5'000)));
  stage.now = later(5'000);
  assert_true(stage.sends());
  Reservation probe = stage.reserve(only);
  assert_true(stage.waits_until(Instant::never()) && stage.decide().why == Status::NO_UPSTREAM);
  stage.settle(probe, Verdict::faulty);
  assert_true(stage.waits_until(later(15'000)));
}

// --- What the plan does with it ---

// The one that is out for longest must not hide why the others hold it back.
void panic_does_not_forgive_what_lies_behind_a_fault(void**) {
  for (bool by_hand : {false, true}) {
    Shared stage(false, true, true);
    stage.plan.when_none = WhenNone::panic;
    stage.plan.tiers[0] = Tier({stage.one}, std::vector<double>{1});
    if (by_hand) stage.balancer.mark_down(stage.one, Duration::from_s(3), stage.now);
    Ended ended;
    ended.verdict = Verdict::key_refused;
    ended.cool = Duration::from_s(3);
    if (!by_hand) stage.settle(stage.reserve(stage.two), ended);
    stage.attempt(stage.two, Verdict::unreachable);
    assert_true(stage.facts(stage.one).open_at == later(5'000));
    assert_true(stage.facts(stage.one).outage == (by_hand ? Outage::manual : Outage::key));
    assert_true(stage.waits_until(later(5'000)));
    stage.plan.when_none = WhenNone::best_effort;
    assert_int_equal(stage.sends(), !by_hand);
    stage.plan.when_none = WhenNone::panic;
    stage.now = later(3'000);
    assert_true(stage.sends() && stage.decide().by == By::panic);
  }
}

void by_hand(void**) {
  for (auto when_none : {WhenNone::panic, WhenNone::best_effort, WhenNone::fail}) {
    Shared stage(false, false, false);
    stage.plan.when_none = when_none;
    for (TargetIndex target : {stage.one, stage.two, stage.alone})
      stage.balancer.mark_down(target, Duration::from_s(60), stage.now);
    assert_true(stage.waits_until(later(60'000)));
    stage.balancer.mark_up(stage.two);
    assert_true(stage.sends() && stage.decide().target == stage.two);
  }
}

void up_by_hand_with_all_that_it_shares(void**) {
  Shared stage(true, true, true);
  stage.attempt(stage.one, Verdict::unreachable);
  stage.attempt(stage.one, Verdict::key_refused);
  stage.attempt(stage.one, Verdict::limited);
  stage.assert_out(true, true);
  stage.balancer.mark_up(stage.one);
  stage.assert_out(false, false);
  assert_true(stage.facts(stage.one).warmth >= 1);
}

void a_recovered_one_is_cold(void**) {
  Stage stage;
  TargetIndex one = stage.target(), two = stage.target();
  stage.settings.health.breaker.errors = 1;
  stage.configure();
  stage.attempt(one, Verdict::faulty);
  stage.now = later(5'000);
  stage.attempt(one, Verdict::good);
  stage.plan.balance = Balance::random;
  auto share = [&] {
    int count = 0;
    for (int i = 0; i < 11'000; i++) count += stage.decide().target == one;
    return count;
  };
  int cold = share();
  assert_true(cold > 840 && cold < 1'160);  // A tenth beside one: an eleventh, five standard deviations.
  stage.now = later(15'000);
  int warm = share();
  assert_true(warm > 5'230 && warm < 5'770);
  assert_true(stage.facts(two).warmth >= 1);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_targets_fault_is_its_own),
      cmocka_unit_test(nobodys_fault),
      cmocka_unit_test(a_keys_fault_takes_all_that_use_it),
      cmocka_unit_test(an_endpoints_fault_takes_all_that_are_there),
      cmocka_unit_test(marks_instead_of_the_rules),
      cmocka_unit_test(as_long_as_told),
      cmocka_unit_test(a_told_cooldown_only_extends),
      cmocka_unit_test(slow_answers),
      cmocka_unit_test(one_probe_of_each_scope),
      cmocka_unit_test(bits_of_probes),
      cmocka_unit_test(an_answer_proves_the_endpoint),
      cmocka_unit_test(a_half_open_one_gets_one_call),
      cmocka_unit_test(panic_does_not_forgive_what_lies_behind_a_fault),
      cmocka_unit_test(by_hand),
      cmocka_unit_test(up_by_hand_with_all_that_it_shares),
      cmocka_unit_test(a_recovered_one_is_cold),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
