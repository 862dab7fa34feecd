// In front of the engines: hands what a turn's commands changed to the ledger at the turn's end,
// and keeps new commands back while stayd goes from one Redis to another. Loop thread only; the
// loop and the shards outlive it.
#pragma once

#include <deque>
#include <utility>

#include "core/call.h"
#include "net/loop.h"
#include "redis/shard_set.h"

namespace stayd {

class EngineGate final : public CallHandler, public TurnEnd {
 public:
  EngineGate(Loop& loop, ShardSet& shards)
      : loop_(loop), shards_(shards), handler_(shards.handler()) {}

  void submit(Call& call) override {
    loop_.request_turn_end(*this);
    if (held_) {
      waiting_.push_back(&call);
    } else {
      handler_.submit(call);
    }
  }
  bool redis_answers() const override { return handler_.redis_answers(); }
  void client_gone(std::uint64_t client_id) override { handler_.client_gone(client_id); }
  void on_turn_end(Now) override { shards_.on_turn_end(); }

  // What is new waits until release(), in order.
  void hold() { held_ = true; }
  void release() {
    held_ = false;
    loop_.request_turn_end(*this);
    for (auto waiting = std::exchange(waiting_, {}); !waiting.empty(); waiting.pop_front()) {
      handler_.submit(*waiting.front());
    }
  }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  Loop& loop_;
  ShardSet& shards_;
  CallHandler& handler_;
  std::deque<Call*> waiting_;
  bool held_ = false;
};

}  // namespace stayd
