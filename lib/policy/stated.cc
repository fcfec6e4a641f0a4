#include "policy/stated.h"

#include <algorithm>
#include <cmath>

namespace lb::policy {

namespace {

constexpr Metric kAll[] = {Metric::requests, Metric::tokens, Metric::input_tokens, Metric::output_tokens};

int64_t bounded(uint64_t value) { return static_cast<int64_t>(std::min(value, uint64_t{1} << 62)); }

}  // namespace

int64_t Sent::of(Metric metric) const {
  switch (metric) {
    case Metric::requests: return requests;
    case Metric::tokens: return input + output;
    case Metric::input_tokens: return input;
    case Metric::output_tokens: return output;
    case Metric::money: return 0;
  }
  return 0;
}

void StatedLimits::hear(const Statement& statement, const Sent& at_dispatch, Instant now) {
  auto index = static_cast<size_t>(statement.metric);
  if (index >= kMetrics) return;
  Item& item = items_[index];
  // Answers overtake each other: the word of an earlier call is older.
  if (holds(item, now) && at_dispatch.requests < item.order) return;
  item.known = any_ = true;
  item.continuous = statement.continuous && statement.limit && statement.reset;
  item.remaining = bounded(statement.remaining);
  item.limit = bounded(statement.limit.value_or(0));
  item.order = at_dispatch.requests;
  item.since = sent_.of(statement.metric) - at_dispatch.of(statement.metric);
  item.at = now;
  item.reset = now + statement.reset.value_or(kMemory);
}

void StatedLimits::charge_items(const Charge& charge) {
  for (Metric metric : kAll) items_[static_cast<size_t>(metric)].since += charge.of(metric);
}

void StatedLimits::amend_items(const Charge& was, const Charge& is, const Sent& at_dispatch) {
  for (Metric metric : kAll) {
    Item& item = items_[static_cast<size_t>(metric)];
    // What was sent before the call that brought the statement is in the statement.
    if (at_dispatch.requests > item.order) item.since += is.of(metric) - was.of(metric);
  }
}

double StatedLimits::left(const Item& item, Instant now) {
  double left = static_cast<double>(item.remaining);
  if (item.continuous && item.reset > item.at) {
    double part = static_cast<double>((now - item.at).ns) / static_cast<double>((item.reset - item.at).ns);
    left += part * static_cast<double>(std::max(item.limit - item.remaining, int64_t{0}));
  }
  return left - static_cast<double>(std::max(item.since, int64_t{0}));
}

bool StatedLimits::fits(const Charge& charge, Instant now) const {
  if (!any_) return true;
  for (Metric metric : kAll) {
    const Item& item = items_[static_cast<size_t>(metric)];
    if (holds(item, now) && left(item, now) < static_cast<double>(charge.of(metric))) return false;
  }
  return true;
}

double StatedLimits::stated_share(const Charge& charge, Instant now) const {
  double most = 0;
  for (Metric metric : kAll) {
    const Item& item = items_[static_cast<size_t>(metric)];
    if (!holds(item, now)) continue;
    double here = left(item, now);
    double used = item.limit > 0 ? 1 - here / static_cast<double>(item.limit) : 0;
    // Below 1 also where nothing is left and nothing is wanted.
    bool fits = here >= static_cast<double>(charge.of(metric));
    most = std::max(most, fits ? std::min(used, kAllButFull) : std::max(used, 1.0));
  }
  return most;
}

Instant StatedLimits::fits_at(const Charge& charge, Instant now) const {
  Instant latest = now;
  for (Metric metric : kAll) {
    const Item& item = items_[static_cast<size_t>(metric)];
    double lacks = static_cast<double>(charge.of(metric)) - left(item, now);
    if (!holds(item, now) || lacks <= 0) continue;
    Instant fits = item.reset;
    if (item.continuous && item.limit > item.remaining) {
      double ns = lacks * static_cast<double>((item.reset - item.at).ns) /
                  static_cast<double>(item.limit - item.remaining);
      if (ns < static_cast<double>((item.reset - now).ns)) fits = now + Duration{static_cast<int64_t>(std::ceil(ns))};
    }
    latest = std::max(latest, fits);
  }
  return latest;
}

double StatedLimits::tokens_left(const Charge& charge, Instant now, double boundless) const {
  double least = boundless;
  if (!any_) return least;
  for (Metric metric : kAll) {
    const Item& item = items_[static_cast<size_t>(metric)];
    if (metric == Metric::requests || !holds(item, now)) continue;
    least = std::min(least, left(item, now) - static_cast<double>(charge.of(metric)));
  }
  return least;
}

}  // namespace lb::policy
