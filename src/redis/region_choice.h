// Which of several Redises is used (docs/adr/0015): the first in order that is well, and not before
// a change is worth it, because each one costs a reconcile.
//
//   failover   the one in use has been without trust for failover_after, and is out: the first that
//              is well takes its place
//   failback   one that comes earlier has been well for failback_after without a break
//   drained    the one in use is to be left alone: the first that is well, at once
//
// None of them before every key of the one in use is in the ledger: what only it knows would be
// told gone. The one that was chosen by hand comes before the first in order.
//
// Decides; who carries it out is daemon/regions.h. Sans-I/O; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/types.h"

namespace stayd {

struct RegionOptions {
  bool automatic = true;  // false: no failover, no failback
  std::int64_t failover_after_ms = 30'000;
  std::int64_t failback_after_ms = 300'000;
};

// One that is not in use.
struct RegionHealth {
  bool well = false;
  std::int64_t well_since_us = 0;  // while it is
  bool drained = false;
};

struct RegionInUse {
  std::size_t index = 0;
  bool trusted = false;
  bool out = false;
  bool known = false;  // every key that it held at first contact is in the ledger
  bool drained = false;
};

enum class RegionCause : std::uint8_t { failover, failback, drained };

struct RegionSwitch {
  std::size_t to = 0;
  RegionCause cause = RegionCause::failover;
};

// What is told of each.
struct RegionStatus {
  std::string name;
  std::string address;
  bool in_use = false;
  bool preferred = false;
  bool drained = false;
  bool known = false;              // it was taken over once, to the end
  bool well = false;               // of those not in use
  std::int64_t well_since_ms = 0;  // wall clock, while it is
  std::string trouble;             // why it is not
};

class RegionChoice {
 public:
  // One that has only just come back is not gone to yet.
  static constexpr std::int64_t kSettleUs = 2'000'000;

  explicit RegionChoice(RegionOptions options) : options_(options) {}

  // `regions`: in order, that in use among them; `preferred`: chosen by hand, or 0. Often.
  std::optional<RegionSwitch> decide(Now now, const RegionInUse& in_use,
                                     std::span<const RegionHealth> regions, std::size_t preferred);
  // Another is in use from now on, and gets its time.
  void switched(Now now) { trusted_us_ = now.mono_us; }
  // A switch is due, but for the keys that only the one in use knows.
  bool waits_for_backfill() const { return waits_for_backfill_; }

 private:
  std::optional<RegionSwitch> wanted(Now now, const RegionInUse& in_use,
                                     std::span<const RegionHealth> regions,
                                     std::size_t preferred) const;

  RegionOptions options_;
  std::optional<std::int64_t> trusted_us_;  // when the one in use was trusted last
  bool waits_for_backfill_ = false;
};

}  // namespace stayd
