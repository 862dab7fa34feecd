// The ledger's disk in the simulator: a MemoryStore behind a FaultyStore, whose work is done and
// reported a little later, each at its own time, so that a kill may fall in between. Synced changes
// wait for one sync after the other, while everything else passes. Outlives the engine that uses
// it, as a disk does. One loop; owned by the World.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "sim/scheduler.h"
#include "store/faulty/faulty_store.h"
#include "store/memory/memory_store.h"

namespace stayd::sim {

class Disk final : public Store {
 public:
  // `deliver` runs an event inside stayd's process, or drops it when the process is dead.
  using Deliver = std::function<void(std::function<void()>)>;
  Disk(Scheduler& scheduler, Random& random, Deliver deliver)
      : scheduler_(scheduler), random_(random), deliver_(std::move(deliver)) {
    memory_.late_syncs = true;
  }

  std::int64_t max_delay_us = 200;  // of writing, and again of reporting
  std::int64_t max_sync_us = 5000;
  std::int64_t sync_interval_us = 100 * kMs;  // of the sync that nobody waits for
  std::int64_t clock_offset_ms = 0;           // of its host's clock
  bool lies = false;                          // about having synced
  std::set<FullKey> unreadable;               // rows with a flipped bit; until they are written
  std::set<FullKey> ever_unreadable;
  void flip_bit(const FullKey& key) {
    unreadable.insert(key);
    ever_unreadable.insert(key);
  }
  void be_fast() { max_delay_us = 200, max_sync_us = 5000; }
  void be_well();  // ends every fault of the disk

  // kill -9 of stayd: what had not been written is lost; it was in the middle of that.
  void crash() {
    faulty_.crash();
    memory_.crash(random_.below(memory_.unsubmitted() + 1));
    submit_scheduled_ = gathered_ = syncing_ = sync_planned_ = false;
    unreadable.clear();
    ++life_;
  }
  // A power cut: of what had not been synced a random end is lost too. Returns its keys.
  std::vector<FullKey> lose_power() {
    crash();
    return memory_.lose_power(random_.below(memory_.unsynced() + 1));
  }
  FaultyStore& faults() { return faulty_; }
  // Nothing can be written, or read, until it is taken back. Replaces what faults() had injected.
  void fail(FaultyStore::Operation operation, bool fails);
  bool fails(FaultyStore::Operation operation) const {
    return operation == FaultyStore::Operation::apply ? unwritable_ : unreadable_;
  }
  const std::map<FullKey, Row>& rows() const { return memory_.rows(); }

  void set_events(StoreEvents* events) override { faulty_.set_events(events); }
  void apply(std::vector<Change> changes, Durability durability) override {
    for (const Change& change : changes) unreadable.erase(change.mutation.key);
    gather().apply(std::move(changes), durability);
  }
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override {
    unreadable.erase(mutation.key);
    gather().apply_one(std::move(mutation), token, durability);
  }
  void load(FullKey key, StoreToken token) override {
    if (unreadable.contains(key)) fail_one(FaultyStore::Operation::load);
    gather().load(std::move(key), token);
  }
  void load_meta(FullKey key, StoreToken token) override {
    if (unreadable.contains(key)) fail_one(FaultyStore::Operation::load_meta);
    gather().load_meta(std::move(key), token);
  }
  void scan(ScanQuery query, StoreToken token) override { gather().scan(std::move(query), token); }
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override {
    gather().flush(db, hlc, std::move(slots), token);
  }
  void swap_databases(int a, int b, StoreToken token) override {
    gather().swap_databases(a, b, token);
  }
  void put_fact(std::string name, std::string value) override {
    gather().put_fact(std::move(name), std::move(value));
  }
  std::string fact(std::string_view name) const override { return faulty_.fact(name); }
  InFlightTable& in_flight() override { return faulty_.in_flight(); }
  Hlc highest_hlc() const override { return faulty_.highest_hlc(); }
  StoreStats stats() const override { return faulty_.stats(); }
  void submit() override {
    if (!gathered_ || submit_scheduled_) return;
    submit_scheduled_ = true;
    scheduler_.after(delay(max_delay_us), [this] {
      deliver_([this] {
        submit_scheduled_ = gathered_ = false;
        memory_.submit();
        scheduler_.after(delay(max_delay_us), [this] { deliver_([this] { report(); }); });
        sync_if_wanted();
        sync_some_time();
      });
    });
  }

 private:
  // The next call of this kind finds that the row does not read.
  void fail_one(FaultyStore::Operation operation) {
    faulty_.inject(operation, {.error = {Errc::io, "checksum mismatch"}});
  }
  FaultyStore& gather() {
    gathered_ = true;
    return faulty_;
  }
  std::int64_t delay(std::int64_t max_us) {
    return 10 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max_us)));
  }
  void sync_if_wanted() {
    if (memory_.sync_wanted()) start_sync();
  }
  void start_sync() {
    memory_.start_sync();
    syncing_ = true;
    scheduler_.after(delay(max_sync_us), [this, life = life_] {
      if (life != life_) return;
      memory_.end_sync(lies);  // the disk works on while the process stands still
      syncing_ = false;
      deliver_([this] {
        report();
        if (!syncing_) sync_if_wanted();
      });
    });
  }
  // The sync that nobody waits for.
  void sync_some_time() {
    if (sync_planned_) return;
    sync_planned_ = true;
    scheduler_.after(sync_interval_us, [this, life = life_] {
      if (life != life_) return;
      sync_planned_ = false;
      if (!syncing_) start_sync();
    });
  }
  void report() {
    memory_.deliver();
    faulty_.deliver();
  }

  Scheduler& scheduler_;
  Random& random_;
  Deliver deliver_;
  MemoryStore memory_{[this] { return scheduler_.wall_ms() + clock_offset_ms; }};
  FaultyStore faulty_{memory_};
  bool unwritable_ = false, unreadable_ = false;
  bool gathered_ = false;  // something was asked for since the last submit
  bool submit_scheduled_ = false;
  bool syncing_ = false, sync_planned_ = false;
  std::uint64_t life_ = 0;  // of the process: what a dead one began ends nothing in the next
};

inline void Disk::be_well() {
  be_fast();
  fail(FaultyStore::Operation::apply, false);
  fail(FaultyStore::Operation::load, false);
  unreadable.clear();
  lies = false;
}

inline void Disk::fail(FaultyStore::Operation operation, bool fails) {
  using Operation = FaultyStore::Operation;
  (operation == Operation::apply ? unwritable_ : unreadable_) = fails;
  faulty_.heal();
  const FaultyStore::Fault full{.error = {Errc::no_space, "no space left on device"},
                                .times = UINT64_MAX};
  const FaultyStore::Fault broken{.error = {Errc::io, "input/output error"}, .times = UINT64_MAX};
  if (unwritable_) faulty_.inject(Operation::apply, full);
  if (!unreadable_) return;
  for (const auto one : {Operation::load, Operation::load_meta, Operation::scan}) {
    faulty_.inject(one, broken);
  }
}

}  // namespace stayd::sim
