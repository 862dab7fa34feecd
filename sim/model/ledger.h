// The ledger in the small world: a MemoryStore whose writing, reporting and syncing are steps of
// their own. One instance's; outlives its lives.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "store/memory/memory_store.h"

namespace stayd::sim::model {

class Ledger final : public Store {
 public:
  explicit Ledger(std::function<std::int64_t()> wall_ms)
      : memory_(std::move(wall_ms), kSmallTable) {
    memory_.late_syncs = true;
  }

  // --- steps, and whether there is anything for them to do
  bool may_write() const { return submitted_; }
  void write() {
    submitted_ = false;
    memory_.submit();
    memory_.forget_counts();
    if (!memory_.sync_wanted()) memory_.sync();  // keeps the undo for power cuts short: none occur
  }
  bool may_sync() const { return memory_.sync_wanted(); }
  void sync() {
    memory_.start_sync();
    memory_.end_sync();
  }
  bool may_report() const { return memory_.undelivered() > 0; }
  void report() { memory_.deliver(); }
  // kill -9 of stayd: what had not been written is lost.
  void crash() {
    submitted_ = gathered_ = false;
    memory_.crash();
  }
  const std::map<FullKey, Row>& rows() const { return memory_.rows(); }

  void set_events(StoreEvents* events) override { memory_.set_events(events); }
  void apply(std::vector<Change> changes, Durability durability) override {
    gathered_ = true;
    memory_.apply(std::move(changes), durability);
  }
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override {
    gathered_ = true;
    memory_.apply_one(std::move(mutation), token, durability);
  }
  void load(FullKey key, StoreToken token) override {
    gathered_ = true;
    memory_.load(std::move(key), token);
  }
  void load_meta(FullKey key, StoreToken token) override {
    gathered_ = true;
    memory_.load_meta(std::move(key), token);
  }
  void scan(ScanQuery query, StoreToken token) override {
    gathered_ = true;
    memory_.scan(std::move(query), token);
  }
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override {
    gathered_ = true;
    memory_.flush(db, hlc, std::move(slots), token);
  }
  void swap_databases(int a, int b, StoreToken token) override {
    gathered_ = true;
    memory_.swap_databases(a, b, token);
  }
  void put_fact(std::string name, std::string value) override {
    gathered_ = true;
    memory_.put_fact(std::move(name), std::move(value));
  }
  std::string fact(std::string_view name) const override { return memory_.fact(name); }
  InFlightTable& in_flight() override { return memory_.in_flight(); }
  Hlc highest_hlc() const override { return memory_.highest_hlc(); }
  void submit() override { submitted_ = std::exchange(gathered_, false) || submitted_; }
  StoreStats stats() const override { return memory_.stats(); }

 private:
  static constexpr InFlightTable::Classes kSmallTable = {{{256, 4}, {1024, 1}, {16'384, 0}}};

  MemoryStore memory_;
  bool gathered_ = false;
  bool submitted_ = false;
};

}  // namespace stayd::sim::model
