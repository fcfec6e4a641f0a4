#include "policy/hedge.h"

#include <algorithm>

namespace lb::policy {

bool HedgeSpec::covers(const Charge& charge) const {
  auto tokens = static_cast<uint64_t>(charge.of(Metric::tokens));
  return on() && (tokens_max == 0 || tokens <= tokens_max) && (money_max == 0 || charge.money <= money_max);
}

void Hedges::on_call(const HedgeSpec& spec) {
  if (spec.on()) saved_ = std::min(saved_ + spec.share, kSavedMax);
}

std::optional<Duration> Hedges::after(const HedgeSpec& spec, bool stream) const {
  if (!spec.on() || kinds_.empty()) return std::nullopt;
  const Kind& kind = kinds_[stream];
  if (kind.observed.count() < kObservedMin) return std::nullopt;
  // A reload can have changed which percentile it is.
  Duration after = kind.percentile == spec.percentile ? kind.after : kind.observed.percentile(spec.percentile);
  return std::max(after, spec.after_min);
}

bool Hedges::take() {
  if (saved_ < 1) return false;
  saved_ -= 1;
  return true;
}

void Hedges::observe(const HedgeSpec& spec, bool stream, Duration first_content) {
  if (!spec.on()) return;
  if (kinds_.empty()) kinds_.resize(2);
  Kind& kind = kinds_[stream];
  kind.observed.record(first_content);
  if (kind.observed.count() >= kObservedMax) kind.observed.halve();
  if (kind.percentile == spec.percentile && kind.observed.count() % kRefresh != 0) return;
  kind.percentile = kind.observed.count() < kObservedMin ? 0 : spec.percentile;
  kind.after = kind.observed.percentile(spec.percentile);
}

}  // namespace lb::policy
