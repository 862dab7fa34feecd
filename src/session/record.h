// A session record: the value of one Redis key, as the ledger keeps it and as the stand-in executes
// commands on it while Redis is out.
//
// Plain value types; no clock, no I/O. Owned by whoever holds them; not shared between threads.
// Iteration order is deterministic (sorted), so that simulated runs replay.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/types.h"

namespace stayd {

// `opaque` stands for every type the stand-in cannot execute on (lists, streams, module types). Its
// payload is Redis' own DUMP serialisation, good for RESTORE and nothing else.
enum class ValueType : std::uint8_t {
  none = 0,
  string = 1,
  hash = 2,
  set = 3,
  zset = 4,
  opaque = 5
};

using HashValue = std::map<std::string, std::string, std::less<>>;
using SetValue = std::set<std::string, std::less<>>;

// Members ordered by (score, member), as Redis orders them. NaN scores never enter.
class SortedSetValue {
 public:
  using Ordered = std::set<std::pair<double, std::string>>;

  // Sets `member`'s score. Returns true when the member is new.
  bool set(std::string_view member, double score);
  // Returns true when the member was there.
  bool erase(std::string_view member);
  std::optional<double> score(std::string_view member) const;
  const Ordered& ordered() const { return ordered_; }
  std::size_t size() const { return ordered_.size(); }
  bool empty() const { return ordered_.empty(); }

  friend bool operator==(const SortedSetValue& a, const SortedSetValue& b) {
    return a.ordered_ == b.ordered_;
  }

 private:
  std::map<std::string, double, std::less<>> scores_;
  Ordered ordered_;
};

struct OpaqueValue {
  std::string dump;
  friend bool operator==(const OpaqueValue&, const OpaqueValue&) = default;
};

struct Record {
  // monostate: the key does not exist. Alternatives stand in the order of ValueType.
  std::variant<std::monostate, std::string, HashValue, SetValue, SortedSetValue, OpaqueValue> value;
  // Unix milliseconds; 0 = no expiry (keys without TTL are legitimate).
  std::int64_t expires_at_ms = 0;

  ValueType type() const { return static_cast<ValueType>(value.index()); }
  bool exists() const { return value.index() != 0; }
  bool expired(std::int64_t wall_ms) const {
    return expires_at_ms != 0 && expires_at_ms <= wall_ms;
  }
  // Rough resident size in bytes, for cache budgets: payload plus about 64 bytes per element.
  std::size_t memory_bytes() const;

  friend bool operator==(const Record&, const Record&) = default;
};

// What the ledger knows of a key besides its value.
enum class RowState : std::uint8_t {
  absent = 0,  // no row: nothing is known
  live = 1,
  tomb = 2,  // logged out or deleted; must not come back (I1, I6)
};

// The later of two expiries; 0, never, is the latest.
constexpr std::int64_t later_expiry(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return 0;
  return a > b ? a : b;
}

// A row's version among all stayds of a fleet: no two of them make the same one (docs/adr/0016).
struct Version {
  Hlc hlc = 0;
  // Who made it: a random number of the ledger's, and the number of the process' start. 0: a stayd
  // without a shared backup.
  std::uint64_t origin = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};

// What of a row the fleet's backup does not have.
enum class Unshipped : std::uint8_t {
  nothing = 0,
  touch = 1,  // an expiry that was put off
  part = 2,   // anything else
  whole = 3,  // all of it, as a client gave it: after a tombstone it is a new session (B5)
};

struct RowMeta {
  RowState state = RowState::absent;
  ValueType type = ValueType::none;
  // An opaque write was on its way when stayd lost Redis or its own life: the value below is not
  // known to be current, so it never answers and never repairs (R17).
  bool stale = false;
  // Created while Redis was out and adoption was incomplete: a value Redis turns out to hold wins.
  // A tombstone: the key was not there when it was asked for, nobody has logged out.
  bool provisional = false;
  // Taken over from Redis, and not written through this stayd since: where several stayds have
  // ledgers of their own, another one may know better.
  bool adopted = false;
  std::uint32_t incarnation = 0;  // R8; a create after a tombstone opens the next one
  Hlc hlc = 0;                    // the row's version; rows never go back (I7)
  std::int64_t expires_at_ms = 0;
  std::int64_t created_at_ms = 0;  // start of this incarnation, for max_lifetime
  // A tombstone, or an expired row, may be forgotten after this: when no earlier version of the key
  // can be alive in an old snapshot of Redis any more (I9). 0: of a tombstone, never.
  std::int64_t tomb_until_ms = 0;
  Mark mark;  // at Redis' last confirmation (R4)
  // Of a fleet; all zero without a shared backup.
  std::uint64_t origin = 0;  // who made `hlc`
  Version base;              // of the backup's row that this one is, or was made from; 0: none
  Unshipped unshipped = Unshipped::nothing;
  // This version was made by a command that its maker's Redis has executed, while trusted (B11).
  bool through_redis = false;

  Version version() const { return {hlc, origin}; }
  bool live_at(std::int64_t wall_ms) const {
    return state == RowState::live && (expires_at_ms == 0 || expires_at_ms > wall_ms);
  }
  friend bool operator==(const RowMeta&, const RowMeta&) = default;
};

struct Row {
  RowMeta meta;
  Record record;       // empty unless meta.state == live
  bool alone = false;  // of a fleet: the shared backup could not be asked. Not stored
};

}  // namespace stayd
