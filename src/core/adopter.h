// Takes keys over from Redis into the ledger: all of them once, gently, at first contact
// (backfill), and single ones whose value only Redis knows (read-back): those that are wanted, and
// those whose last write the ledger has missed (unrecorded.h), until it has them.
//
// Runs only while the shard is TRUSTED. Its end is a durable fact; interrupted, it scans again and
// skips what the ledger knows. A value is read by one script on the data connection, so it stands
// in order with every write. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/missing_keys.h"
#include "resp/reply.h"

namespace stayd {

class AdopterEvents {
 public:
  virtual ~AdopterEvents() = default;
  virtual void on_adopted(const FullKey& key) = 0;
  // A TRUSTED Redis does not hold the key; nothing of it is in the ledger that Redis must tell.
  virtual void on_not_found(const FullKey& key) = 0;
  // Redis lost the key together with its memory: the last value known is the row again, and owed.
  virtual void on_restored(const FullKey& key, Hlc hlc) = 0;
  virtual void on_heartbeat_lost() = 0;
};

inline constexpr std::size_t kMaxHints = 1024;
inline constexpr std::int64_t kUnnoticedUs = 15'000'000;  // until a topology is known, at most

class Adopter final : private ReplyHandler, private StoreClient, private MissingKeysEvents {
 public:
  Adopter(CoreContext& context, MemoryFacts& memory, AdopterEvents& events)
      : c_(context), events_(events), missing_(context, memory, *this) {}

  void start();  // reads the durable facts
  // True when every key that Redis held at first contact is in the ledger: no row means no key.
  bool complete() const { return c_.place.everything() ? complete_ : settled(); }
  bool ended() const { return complete_; }
  // And since so long that no slot can have come or gone unnoticed while it went on: a key that
  // moved then was seen by neither engine's scan.
  bool settled() const {
    return complete_ && (completed_us_ == 0 || c_.now.mono_us - completed_us_ > kUnnoticedUs);
  }
  void on_tick(bool trusted);
  void on_link_lost();
  // Reads `key` from Redis soon; `force`: what Redis holds replaces the row. Bounded: beyond 65,536
  // waiting keys the whole backfill starts over instead.
  void want(const FullKey& key, bool force);
  // A client has just asked Redis for `key` and the backfill has not ended: find out about it soon,
  // if there is room.
  void hint(const FullKey& key) {
    if (wanted_.size() < kMaxHints) wanted_.push_back({.key = key});
  }
  void restart();
  struct Wanted {
    FullKey key;
    bool force = false;
  };
  // Those that wait and that the place does not own any more. Not while a page is under way.
  std::vector<Wanted> give_up();
  // Keys that are to be read, or are being read.
  std::size_t waiting() const { return wanted_.size() + items_.size(); }
  std::uint64_t adopted() const { return adopted_; }
  // Keys that the backfill has seen, and how many Redis counted when it began.
  std::uint64_t scanned() const { return scanned_; }
  std::uint64_t expected() const { return expected_; }

 private:
  enum class Step : std::uint8_t { idle, listing, scanning, reading };
  struct Item {
    FullKey key;
    Hlc hlc = 0;
    bool force = false;
    Row row;  // once Redis has said that it does not have it
  };
  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t tag, const Error& error, Row row) override;

  void start_over();
  void list_databases();
  void on_databases(std::string_view info);
  void scan_next();
  void on_scan_page(std::string_view frame);
  void read(std::size_t index);
  void put_off(std::size_t index);
  void want_again(const Item& item);
  void on_value(std::size_t index, const ReplyView& reply);
  void settle_missing(std::size_t index, Row row);
  void on_fate(std::uint64_t tag, Fate fate) override;
  void restore(std::size_t index);
  void remove(std::size_t index, bool provisional = false);
  void item_done();
  void note_complete();
  void save_end();

  CoreContext& c_;
  AdopterEvents& events_;
  MissingKeys missing_;
  bool complete_ = false;
  std::int64_t completed_us_ = 0;  // in this life; of a Cluster
  bool saved_ = false;             // its end
  Step step_ = Step::idle;
  std::vector<int> dbs_;  // still to scan, the current one last
  std::string cursor_ = "0";
  std::deque<Item> wanted_;
  std::vector<Item> items_;  // of the page under way
  std::size_t unfinished_ = 0;
  bool failed_ = false;        // a key could not be taken over: the end is not the end
  bool page_is_scan_ = false;  // the items come from SCAN, not from want()
  bool last_page_ = false;
  std::int64_t paused_until_us_ = 0;  // Redis or the ledger has just refused
  std::uint64_t generation_ = 0;
  std::uint64_t adopted_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t expected_ = 0;
  std::string request_;
};

}  // namespace stayd
