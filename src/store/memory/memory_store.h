// A Store in memory with the ledger's meaning, for unit tests and the simulator.
//
// Work is done at submit(), in order; results wait until deliver(), so that callers meet the same
// asynchrony as with a real store. A `synced` change is synced at once, unless late_syncs: then it
// waits, and its report with it, for a run of the owner's start_sync() and end_sync() that started
// after it was done. Deterministic, single-threaded, no clock of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "store/store.h"

namespace stayd {

class MemoryStore final : public Store {
 public:
  // `wall_ms`: Unix milliseconds, asked once per call. `in_flight`: the in-flight table's sizes.
  explicit MemoryStore(std::function<std::int64_t()> wall_ms,
                       const InFlightTable::Classes& in_flight = InFlightTable::kClasses)
      : wall_ms_(std::move(wall_ms)),
        in_flight_memory_(InFlightTable::bytes_of(in_flight)),
        in_flight_(in_flight_memory_, in_flight) {}

  // Reports everything submitted; what the events ask for comes with a later deliver().
  void deliver();
  // Reports at most one result, for a simulator that interleaves. False: there was none.
  bool deliver_one();
  std::size_t undelivered() const { return reports_.size(); }

  // kill -9 and a new start: what was not submitted and what was not delivered is gone, what was
  // written stays. Of what was asked for and not submitted the first `done` are written, each as a
  // whole: the kill came in the middle.
  void crash(std::size_t done = 0);
  std::size_t unsubmitted() const { return gathered_.size(); }
  // A power cut and a new start: also goes back to the last sync(), and the in-flight table is
  // lost. Of what was written since, the first `kept` changes may have reached the disk all the
  // same. Returns the keys that lost a change.
  std::vector<FullKey> lose_power(std::size_t kept = 0);
  std::size_t unsynced() const { return undo_.size(); }
  // fdatasync of everything done so far; also done by flush and swap.
  void sync();
  bool late_syncs = false;
  bool sync_wanted() const { return !held_.empty() && !sync_started_; }
  void start_sync();
  // Without a run under way: nothing. `lie`: it is reported, and nothing has reached the disk.
  void end_sync(bool lie = false);

  // For a simulator to which two stores with the same rows are the same.
  void forget_counts() { stats_.applied_total = stats_.batches_total = 0; }
  // Rows as they are, for assertions.
  const std::map<FullKey, Row>& rows() const { return rows_; }

  void set_events(StoreEvents* events) override { events_ = events; }
  void apply(std::vector<Change> changes, Durability durability) override;
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override;
  void load(FullKey key, StoreToken token) override;
  void load_meta(FullKey key, StoreToken token) override;
  void scan(ScanQuery query, StoreToken token) override;
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override;
  void swap_databases(int a, int b, StoreToken token) override;
  void put_fact(std::string name, std::string value) override;
  std::string fact(std::string_view name) const override;
  InFlightTable& in_flight() override { return in_flight_; }
  Hlc highest_hlc() const override { return highest_hlc_; }
  void submit() override;
  StoreStats stats() const override;

 private:
  struct Report {
    StoreToken token = 0;
    std::variant<ApplyResult, Row, ScanPage> result;
  };
  using Facts = std::map<std::string, std::string, std::less<>>;
  struct Undo {
    FullKey key;
    std::optional<Row> before;
    std::shared_ptr<const Facts> facts;  // then: what reaches a disk is the beginning of one log
  };

  // What a power cut leaves: the undo's beginning, the highest version, the facts.
  struct Moment {
    std::size_t undo = 0;
    std::size_t held = 0;
    Hlc highest_hlc = 0;
    std::shared_ptr<const Facts> facts;
  };

  void gather(std::function<void()> operation) { gathered_.push_back(std::move(operation)); }
  Report apply_now(Mutation& mutation, StoreToken token, std::int64_t wall_ms);
  ScanPage scan_now(const ScanQuery& query, std::int64_t wall_ms) const;
  void forget_over(const FullKey& key, std::int64_t wall_ms);
  Row row(const FullKey& key) const;

  std::function<std::int64_t()> wall_ms_;
  StoreEvents* events_ = nullptr;
  std::map<FullKey, Row> rows_;
  Facts facts_;
  std::shared_ptr<const Facts> written_facts_ = std::make_shared<Facts>();
  std::shared_ptr<const Facts> synced_facts_ = written_facts_;
  std::vector<std::function<void()>> gathered_;
  std::deque<Report> reports_;
  std::deque<Report> held_;  // of synced changes; the first `run_.held` end with the run under way
  bool sync_started_ = false;
  Moment run_;
  std::vector<Undo> undo_;
  std::vector<std::byte> in_flight_memory_;
  InFlightTable in_flight_;
  Hlc highest_hlc_ = 0;
  Hlc synced_highest_hlc_ = 0;
  StoreStats stats_;
};

}  // namespace stayd
