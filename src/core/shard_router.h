// In front of the engines of a Redis Cluster's shards: hands each command to the engine whose slot
// its keys are in, or parts of it to several (docs/adr/0012).
//
//   submit ─▶ keys of one slot ────────────▶ that slot's engine
//        │    of several, may be split ─▶ parts ─▶ engines ─▶ replies joined (split.h)
//        │    of several, may not ─────────▶ -CROSSSLOT
//        └─▶ no keys: one engine, all of them, or one after the other (SCAN)
//
// While slots change their engine, what is new for the engines concerned waits (hold, release).
// Loop thread only. Engines outlive the router; a call belongs to its sink.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/slots.h"
#include "core/call.h"
#include "core/split.h"

namespace stayd {

class ShardRouter final : public CallHandler {
 public:
  using Owners = std::array<std::uint16_t, kSlots>;  // index into the engines

  ShardRouter();
  ~ShardRouter() override;

  // Whose the slots are from now on: each has an engine.
  void set_owners(std::vector<CallHandler*> engines, const Owners& owners);
  // Calls for these engines, and such that concern all, wait until release().
  void hold(std::vector<bool> engines);
  void release();
  bool holding() const { return !held_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }

  void submit(Call& call) override;
  bool redis_answers() const override;
  void client_gone(std::uint64_t client_id) override;

 private:
  class Split;
  using Watches = std::map<std::uint64_t, CallHandler*>;

  void route(Call& call);
  void route_keyless(Call& call);
  void route_block(Call& call);
  std::string_view refusal_of(const Call& block);
  void to_all(Call& call, Join how);
  void to_engine(std::uint16_t engine, Call& call);
  bool is_held(std::uint16_t engine) const { return !held_.empty() && held_[engine]; }
  void to_any(Call& call);
  void split_by_keys(Call& call, Join how);
  void end(Split& split, std::string reply);
  void scan(Call& call);
  void watch(Call& call);
  void unwatch(Call& call);
  void end_watch(std::uint64_t client_id);
  std::uint16_t index_of(const CallHandler* engine) const;
  bool any_held() const;
  // Adds the slots of a command's keys. False: the arguments make no sense; Redis says which.
  bool add_slots(const Call& call, std::vector<Slot>& slots);

  std::vector<CallHandler*> engines_;
  std::unique_ptr<Owners> owners_;
  std::vector<bool> held_;  // by engine; empty: none
  std::deque<Call*> waiting_;
  std::map<Split*, std::unique_ptr<Split>> splits_;
  std::vector<std::unique_ptr<Split>>
      ended_;             // inside their own last reply; freed at the next call
  Watches watching_;      // client -> engine of its WATCH; nullptr: its slots have changed since
  std::size_t turn_ = 0;  // whose random key is told next
  std::vector<std::uint32_t> positions_;  // scratch
  std::vector<Slot> slots_;               // scratch
};

}  // namespace stayd
