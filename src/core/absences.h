// Keys that a TRUSTED Redis had no value for, before the backfill has ended, and that nobody has
// written since: ABSENT stays ABSENT in an outage a second later (R4). Loop thread only.
//
// In memory rather than in the ledger: anybody can ask for keys that do not exist, so rows of them
// would be a stranger's to write. After a restart, or beyond the bound, such a key is UNKNOWN
// again, which is the safe side.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "core/key_table.h"

namespace stayd {

inline constexpr std::size_t kMaxAbsences = 1 << 16;    // about 8 MB; the oldest half goes first
inline constexpr std::size_t kMaxAbsentKeyBytes = 256;  // longer keys are no session ids

class Absences {
 public:
  bool empty() const { return recent_.empty() && older_.empty(); }
  std::size_t size() const { return recent_.size() + older_.size(); }
  bool has(std::string_view key) const { return recent_.contains(key) || older_.contains(key); }

  void remember(const FullKey& key) {
    if (key.size() > kMaxAbsentKeyBytes || has(key)) return;
    if (recent_.size() >= kMaxAbsences / 2) {
      older_ = std::move(recent_);
      recent_.clear();
    }
    recent_.emplace(key, true);
  }
  // It is being written: to be called before Redis is asked to.
  void forget(std::string_view key) {
    recent_.erase(key);
    older_.erase(key);
  }
  void clear() {
    recent_ = {};
    older_ = {};
  }

 private:
  KeyMap<bool> recent_;
  KeyMap<bool> older_;
};

}  // namespace stayd
