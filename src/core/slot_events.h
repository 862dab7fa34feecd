// What an engine tells when Redis Cluster has slots elsewhere than thought. Implemented by
// redis/shard_set.h. Loop thread only.
#pragma once

#include <string_view>

#include "core/call.h"

namespace stayd {

class SlotEvents {
 public:
  virtual ~SlotEvents() = default;
  // Some slot of its place. May come often.
  virtual void on_slot_elsewhere() = 0;
  // The reply to a key that is no session, and so is proxied to wherever its slot is, is `frame`,
  // MOVED or ASK. The call is the receiver's now: Engine::submit_redirected(), or its sink.
  virtual void on_redirected(Call& call, std::string_view frame) = 0;
};

}  // namespace stayd
