#include "redis/region_choice.h"

#include <algorithm>

namespace stayd {

namespace {

// Positions in the order of preference.
std::vector<std::size_t> in_order(std::size_t count, std::size_t preferred) {
  std::vector<std::size_t> order = {preferred};
  for (std::size_t i = 0; i < count; ++i) {
    if (i != preferred) order.push_back(i);
  }
  return order;
}

}  // namespace

std::optional<RegionSwitch> RegionChoice::wanted(Now now, const RegionInUse& in_use,
                                                 std::span<const RegionHealth> regions,
                                                 std::size_t preferred) const {
  const auto order = in_order(regions.size(), preferred);
  const auto first_well_for = [&](std::int64_t us, auto end) -> std::optional<std::size_t> {
    for (auto at = order.begin(); at != end; ++at) {
      const RegionHealth& one = regions[*at];
      const bool good = one.well && !one.drained && now.mono_us - one.well_since_us >= us;
      if (good && *at != in_use.index) return *at;
    }
    return std::nullopt;
  };
  if (in_use.drained) {
    if (const auto to = first_well_for(kSettleUs, order.end())) {
      return RegionSwitch{*to, RegionCause::drained};
    }
  }
  if (!options_.automatic) return std::nullopt;
  const std::int64_t without_trust_us = now.mono_us - *trusted_us_;
  if (in_use.out && without_trust_us >= options_.failover_after_ms * 1000) {
    if (const auto to = first_well_for(kSettleUs, order.end())) {
      return RegionSwitch{*to, RegionCause::failover};
    }
  }
  if (!in_use.trusted) return std::nullopt;
  const auto earlier = std::ranges::find(order, in_use.index);
  if (const auto to = first_well_for(options_.failback_after_ms * 1000, earlier)) {
    return RegionSwitch{*to, RegionCause::failback};
  }
  return std::nullopt;
}

std::optional<RegionSwitch> RegionChoice::decide(Now now, const RegionInUse& in_use,
                                                 std::span<const RegionHealth> regions,
                                                 std::size_t preferred) {
  if (in_use.trusted || !trusted_us_) trusted_us_ = now.mono_us;
  const auto to = wanted(now, in_use, regions, preferred);
  waits_for_backfill_ = to && !in_use.known;
  return in_use.known ? to : std::nullopt;
}

}  // namespace stayd
