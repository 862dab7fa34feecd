// Keys with a write that Redis has executed and the ledger could not take (W14), or of which nobody
// knows whether it has (R9). The adopter reads them back; until then a row is behind, and counts as
// stale, if its version is not above that of the last write it missed. A logout, or a whole value,
// that the ledger has taken since is above.
//
// In memory, because the ledger is what fails. As many as kMaxNoted keep a slot in the in-flight
// table: after kill -9 the next life reads them back. Loop thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "core/key_table.h"
#include "store/store.h"

namespace stayd {

class Unrecorded {
 public:
  static constexpr std::size_t kMax = 65'536;  // beyond it rows that are behind answer: about 10 MB
  static constexpr std::size_t kMaxNoted = 4096;  // half the table is left for what is on its way

  explicit Unrecorded(InFlightTable& in_flight) : in_flight_(in_flight) {}

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
    if (keys_.size() >= kMax && !keys_.contains(key)) return;
    Missed& missed = keys_[key];
    if (hlc > missed.hlc) missed = {hlc, removal, missed.slot};
    if (missed.slot != InFlightTable::kNone || noted_ >= kMaxNoted) return;
    missed.slot = in_flight_.begin({key});
    noted_ += missed.slot != InFlightTable::kNone;
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
    if (it == keys_.end() || it->second.hlc >= hlc) return;
    end(it->second);
    keys_.erase(it);
  }
  struct Missing {
    FullKey key;
    Hlc hlc = 0;
    bool removal = false;
  };
  // Takes out those for which `wanted` is true.
  template <class Wanted>
  std::vector<Missing> extract(const Wanted& wanted) {
    std::vector<Missing> out;
    extract_if(keys_, wanted, [&](const FullKey& key, const Missed& missed) {
      out.push_back({key, missed.hlc, missed.removal});
      end(missed);
    });
    return out;
  }
  void clear() {
    for (const auto& [key, missed] : keys_) end(missed);
    keys_ = {};
  }
  std::size_t size() const { return keys_.size(); }

 private:
  struct Missed {
    Hlc hlc = 0;
    bool removal = false;
    InFlightTable::Slot slot = InFlightTable::kNone;
  };
  void end(const Missed& missed) {
    if (missed.slot == InFlightTable::kNone) return;
    in_flight_.end(missed.slot);
    --noted_;
  }

  InFlightTable& in_flight_;
  KeyMap<Missed> keys_;
  std::size_t noted_ = 0;
};

}  // namespace stayd
