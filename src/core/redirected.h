// Slots of which Redis has just said MOVED, ASK or TRYAGAIN (docs/adr/0012): for a moment the
// ledger answers for them, as asking again would get the same. Then Redis is asked again. Loop
// thread only.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/slots.h"
#include "core/key_table.h"

namespace stayd {

class Redirected {
 public:
  static constexpr std::int64_t kAskAgainUs = 200'000;

  void add(std::string_view full_key, std::int64_t now_us) {
    if (since_us_ == 0) since_us_ = now_us;
    slots_.set(slot_of(key_of(full_key)));
  }
  bool has(std::string_view full_key) const {
    return since_us_ != 0 && slots_[slot_of(key_of(full_key))];
  }
  void on_tick(std::int64_t now_us) {
    if (since_us_ != 0 && now_us - since_us_ > kAskAgainUs) clear();
  }
  void clear() {
    since_us_ = 0;
    slots_.reset();
  }

 private:
  SlotSet slots_;
  std::int64_t since_us_ = 0;  // 0: none
};

}  // namespace stayd
