// Redis was asked to tell the value of a key whose row is live, and has none: has it lost the key,
// or has somebody removed it (R4)? What clients' commands find missing is judged alike, together
// with the command (engine_absent.cc).
//
//   no heartbeat was written yet    lost: this memory proves nothing
//   the heartbeat is another one    other_memory: not the one that was judged
//   evicted since (shared.cc, too)  lost
//   otherwise                       removed
//
// Loop thread only. Owns nothing; context, memory and events outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"

namespace stayd {

enum class Fate : std::uint8_t { lost, removed, other_memory, refused };

// What is believed of Redis' memory. Implemented by core/shard.h.
class MemoryFacts {
 public:
  virtual ~MemoryFacts() = default;
  // The heartbeat as last written in `db`; empty: none yet.
  virtual const std::string& last_canary(int db) const = 0;
  // Redis, whose heartbeat is intact and whose evicted_keys are these now, lacks the key of a live
  // row: was it lost?
  virtual bool was_lost(std::string_view full_key, const RowMeta& meta,
                        std::uint64_t evicted_keys) = 0;
};

class MissingKeysEvents {
 public:
  virtual ~MissingKeysEvents() = default;
  // Of ask(); `refused`: Redis would not say.
  virtual void on_fate(std::uint64_t tag, Fate fate) = 0;
};

class MissingKeys final : private ReplyHandler {
 public:
  MissingKeys(CoreContext& context, MemoryFacts& memory, MissingKeysEvents& events)
      : c_(context), memory_(memory), events_(events) {}

  // on_fate() follows, now or later, unless the connection is lost or forget() comes first.
  // Requires context.up().
  void ask(std::uint64_t tag, const FullKey& key, const RowMeta& meta);
  void forget();

 private:
  struct Asked {
    std::uint64_t tag;
    FullKey key;
    RowMeta meta;
    Fate heartbeat = Fate::removed;  // what its heartbeat says: as it should be
  };
  void on_upstream_reply(std::uint64_t reply_tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t) override {}

  CoreContext& c_;
  MemoryFacts& memory_;
  MissingKeysEvents& events_;
  std::vector<Asked> asked_;
  std::uint64_t generation_ = 0;
  std::string request_;
};

}  // namespace stayd
