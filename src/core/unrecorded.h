// Keys with a write that Redis has executed and the ledger could not take (W14). The adopter reads
// them back; until then a row is behind, and counts as stale, if its version is not above that of
// the last write it missed. A logout, or a whole value, that the ledger has taken since is above.
// In memory, because the ledger is what fails; lost when stayd ends. Loop thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "core/key_table.h"

namespace stayd {

class Unrecorded {
 public:
  static constexpr std::size_t kMax = 65'536;  // beyond it rows that are behind answer: about 10 MB

  bool has(std::string_view key) const { return !keys_.empty() && keys_.contains(key); }
  // True when the row of version `row` lacks a write.
  bool behind(std::string_view key, Hlc row) const {
    const auto it = keys_.find(key);
    return it != keys_.end() && row <= it->second.hlc;
  }
  // The ledger takes a change of a part of the row: what lacked a write still does.
  void on_change(std::string_view key, Hlc hlc) {
    const auto it = keys_.find(key);
    if (it != keys_.end()) it->second.hlc = std::max(it->second.hlc, hlc);
  }
  // `hlc`: the write's.
  void add(const FullKey& key, Hlc hlc, bool removal) {
    if (keys_.size() < kMax || keys_.contains(key)) {
      Missed& missed = keys_[key];
      if (hlc > missed.hlc) missed = {hlc, removal};
    }
  }
  // True when the row of version `row` is that of a key that Redis has removed since.
  bool removed_since(std::string_view key, Hlc row) const {
    const auto it = keys_.find(key);
    return it != keys_.end() && it->second.removal && it->second.hlc > row;
  }
  // Up to `limit` of them.
  std::vector<FullKey> some(std::size_t limit) const {
    std::vector<FullKey> out;
    for (auto it = keys_.begin(); it != keys_.end() && out.size() < limit; ++it) {
      out.push_back(it->first);
    }
    return out;
  }
  // The ledger has the key as Redis had it at `hlc`.
  void settle(std::string_view key, Hlc hlc) {
    const auto it = keys_.find(key);
    if (it != keys_.end() && it->second.hlc < hlc) keys_.erase(it);
  }
  void clear() { keys_ = {}; }
  std::size_t size() const { return keys_.size(); }

 private:
  struct Missed {
    Hlc hlc = 0;
    bool removal = false;
  };
  KeyMap<Missed> keys_;
};

}  // namespace stayd
