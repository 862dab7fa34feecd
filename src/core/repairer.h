// Writes rows from the ledger to Redis (R7), a chunk of keys at a time:
//
//   lease in Redis (SET NX PX) ──▶ then read the row in the ledger ──▶ one script: "if the lease is
//   mine, write the value with its absolute expiry, drop the lease"
//
// The lease comes before the read, so that a logout acknowledged in between (it deletes the lease)
// turns the script into nothing (I6). Tombstones need no lease: removing is always safe.
// A row that is behind gives way to what Redis holds. Where Redis has lost its memory and holds
// nothing, the last value known is the best there is: written, and read back.
// Everything is bound to one connection; a lost connection ends the chunk, its keys unsettled.
// Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/context.h"

namespace stayd {

inline constexpr std::size_t kRepairChunk =
    256;  // keys under way at once: bounds memory and the burst
// Longer than any healthy chunk; a repair never holds the connection against its own heartbeat.
inline constexpr std::int64_t kRepairDeadlineMs = 1000;

enum class RepairOutcome : std::uint8_t {
  confirmed,    // Redis now holds the row as of `hlc`
  refused,      // Redis refused the write (OOM, MISCONF, ...), or the ledger the row: try later
  leased,       // the lease is someone else's, or of an earlier connection: try in a moment
  lost,         // connection gone, or no room in this chunk: try again
  unknown_row,  // the row is behind: only Redis knows the value; read it back
  foreign,      // a provisional row, and Redis holds a value of its own, which wins
};

class RepairEvents {
 public:
  virtual ~RepairEvents() = default;
  virtual void on_repaired(const FullKey& key, Hlc hlc, RepairOutcome outcome) = 0;
  virtual void on_chunk_done() = 0;
};

class Repairer final : private ReplyHandler, private StoreClient {
 public:
  Repairer(CoreContext& context, RepairEvents& events) : c_(context), events_(events) {}

  bool busy() const { return !items_.empty(); }
  // Starts a chunk of at most kRepairChunk keys. on_repaired is called once for each, then
  // on_chunk_done. Requires !busy() and context.up().
  void start(std::vector<FullKey> keys);
  void on_tick();  // of a fleet: others may have shipped what was waited for

 private:
  struct Item {
    FullKey key;
    Hlc hlc = 0;
    Hlc owed = 0;  // when the row was asked for: whatever it says, this much is in it
    bool leased = false;
    bool refused = false;
    bool done = false;
    bool provisional = false;
    bool behind = false;     // the row is, and was written before Redis lost its memory
    bool asking = false;     // whether Redis holds a value of its own
    bool vacant = false;     // it does not
    std::string token;       // of a fleet: the lease's, and what Redis held then
    bool held = false;       // something
    bool comparing = false;  // with `row`, read before
    Row row;
  };
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult&) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;

  void load_rows();
  void load_row(std::size_t index);
  void compare(std::size_t index);  // repairer_fleet.cc
  void ask_what_is_held(std::size_t index, Row row);
  void on_compared(std::size_t index, std::string_view frame);
  void park(std::size_t index);
  void release(const Item& item);
  bool write_exactly(std::size_t index, const Row& row);
  void write_row(std::size_t index, const Row& row);
  void ask_for_another(std::size_t index);
  void on_existence(std::size_t index, std::string_view frame);
  void finish(std::size_t index, RepairOutcome outcome);
  void place(std::size_t index);
  std::uint64_t tag(std::size_t index) const { return (generation_ << 16) | index; }

  CoreContext& c_;
  RepairEvents& events_;
  std::vector<Item> items_;
  KeyMap<std::int64_t> differs_since_us_;  // of a fleet: Redis from what is owed
  ReplySink swallow_;
  std::string token_;
  std::string request_;
  std::uint64_t generation_ = 0;
  std::size_t bytes_ = 0;    // of values in this chunk
  std::size_t waiting_ = 0;  // replies or loads of the current step
  std::size_t unfinished_ = 0;
  bool leasing_ = false;
  std::int64_t leased_us_ = 0;       // of a fleet: since then Redis may not change unseen
  std::vector<std::size_t> parked_;  // items that wait until all have shipped
};

}  // namespace stayd
