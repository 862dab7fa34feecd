// Leftovers: writes that were on their way when stayd's last life ended (store/in_flight.h). Redis
// may have executed them, the ledger has not recorded them. So it is with writes that a lost
// connection left in doubt while the ledger could not be read: nobody could do them again. Once
// Redis has what the ledger knows, and before it is trusted, their keys are read back, a chunk at a
// time:
//
//   owed by now            nothing: a newer version is on its way to Redis
//   Redis has a value      it is the row
//   Redis has none, ledger has (as R4):
//     evicted since        owed
//     heartbeat changed    this memory is not the one that was judged: a new connection
//     otherwise            tombstone
//   ... and this is one of several Redises (docs/adr/0015), of which another may have executed the
//   write: what the ledger knows gets a version of now, and counts there too
//
// Until then the row answers as it stands: the write is in doubt, and takes effect when it is read
// back; unless somebody has been told that its key has expired, which removes it. Its slot in the
// in-flight table is freed at the very end. Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/missing_keys.h"
#include "resp/reply.h"

namespace stayd {

inline constexpr std::size_t kLeftoverChunk = 64;  // values are held whole, the heartbeat waits

class LeftoverEvents {
 public:
  virtual ~LeftoverEvents() = default;
  // Redis has lost the key of a row that is live at `hlc`: it is owed.
  virtual void on_leftover_lost(const FullKey& key, Hlc hlc) = 0;
  // Redis would not say, or the ledger could not record it: ask again later.
  virtual void on_leftover_put_off(const FullKey& key) = 0;
  virtual void on_leftovers_done() = 0;
};

class Leftovers final : private ReplyHandler, private StoreClient, private MissingKeysEvents {
 public:
  Leftovers(CoreContext& context, MemoryFacts& memory, LeftoverEvents& events)
      : c_(context), events_(events), missing_(context, memory, *this) {}

  // The key waits to be read back. Few do.
  bool has(std::string_view key) const;
  void start();  // takes what the in-flight table holds
  // One more, of this life; `slot` may be none. Not while reading.
  void add(InFlightTable::Slot slot, const std::vector<FullKey>& keys);
  // Those that the place does not own any more. Not while reading.
  std::vector<FullKey> give_up();
  // Reads back what is left, then on_leftovers_done(); at once when there is nothing. Requires
  // context.up().
  void read();
  void on_tick();  // while reading: keys that were in use are asked for again
  // The connection, or the reconcile, has ended: what was under way is read again by the next one.
  void stop();

 private:
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t) override {}
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;

  struct Item {
    FullKey key;
    Hlc hlc = 0;      // of what is read back: a write since then stands above it
    Hlc row_hlc = 0;  // of the live row that Redis does not have
    Record row;       // and what it holds, where there are several Redises
  };
  void next_chunk();
  void ask(std::size_t index);
  bool settled_otherwise(std::size_t index);
  void on_value(std::size_t index, const ReplyView& reply);
  void on_fate(std::uint64_t tag, Fate fate) override;
  void bury(std::size_t index, bool provisional = false);
  void renew(std::size_t index);
  void apply(Mutation mutation, std::size_t index);
  void item_done();
  std::uint64_t tag(std::size_t index) const { return generation_ << 32 | index; }

  CoreContext& c_;
  LeftoverEvents& events_;
  MissingKeys missing_;
  std::vector<Item> items_;
  std::vector<std::size_t> in_use_;  // items to ask for again
  std::vector<InFlightTable::Slot> slots_;
  std::size_t chunk_begin_ = 0;
  std::size_t chunk_end_ = 0;
  std::size_t unfinished_ = 0;  // of the chunk
  bool failed_ = false;         // the ledger did not take one: its slot must stay
  std::uint64_t generation_ = 0;
  std::string request_;
};

}  // namespace stayd
