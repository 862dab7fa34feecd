// Slots of which Redis has just said MOVED, ASK or TRYAGAIN (docs/adr/0012): for a moment the
// ledger answers for them, as asking again would get the same. Then Redis is asked again. What it
// lacks in such a slot for a while yet was not removed: the key may have gone with the slot, whose
// move was given up. Loop thread only.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/slots.h"
#include "core/key_table.h"

namespace stayd {

class Redirected {
 public:
  static constexpr std::int64_t kAskAgainUs = 200'000;
  static constexpr std::int64_t kLatelyUs = 15'000'000;  // up to twice as long

  void add(std::string_view full_key, std::int64_t now_us) {
    if (since_us_ == 0) since_us_ = now_us;
    const auto slot = slot_of(key_of(full_key));
    slots_.set(slot);
    lately_.set(slot);
  }
  bool lately(std::string_view full_key) const {
    const auto slot = slot_of(key_of(full_key));
    return lately_[slot] || earlier_[slot];
  }
  bool has(std::string_view full_key) const {
    return since_us_ != 0 && slots_[slot_of(key_of(full_key))];
  }
  void on_tick(std::int64_t now_us) {
    if (since_us_ != 0 && now_us - since_us_ > kAskAgainUs) clear();
    if (now_us - turned_us_ < kLatelyUs) return;
    turned_us_ = now_us;
    earlier_ = lately_;
    lately_.reset();
  }
  void clear() {
    since_us_ = 0;
    slots_.reset();
  }

 private:
  SlotSet slots_;
  std::int64_t since_us_ = 0;  // 0: none
  SlotSet lately_;             // since turned_us_
  SlotSet earlier_;
  std::int64_t turned_us_ = 0;
};

}  // namespace stayd
