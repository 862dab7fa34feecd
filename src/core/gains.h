// Slots that a shard's place has gained, and with which of its versions (docs/adr/0012). A
// heartbeat of an older version says nothing of their rows: these came to Redis past it, and may be
// lost without it. Durable, so that a heartbeat from before is known for what it is after a restart
// too.
//
// At most kMax entries: beyond that the two oldest become one of the later version, which only
// makes more rows doubtful. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "base/slots.h"
#include "store/store.h"

namespace stayd {

class Gains {
 public:
  static constexpr std::size_t kMax = 16;

  explicit Gains(Store& store) : store_(store) {}

  void start();  // reads the durable fact
  void add(std::uint64_t version, const SlotSet& slots);
  // Gained with a later version than `version`.
  SlotSet since(std::uint64_t version) const;

 private:
  struct Gain {
    std::uint64_t version;
    SlotSet slots;
  };

  Store& store_;
  std::deque<Gain> gains_;  // by version
};

}  // namespace stayd
