// The ledger's disk in the simulator: a MemoryStore behind a FaultyStore, whose work is done and
// reported a little later, each at its own time, so that a kill may fall in between. Synced changes
// wait for one sync after the other, while everything else passes. Outlives the engine that uses
// it, as a disk does. One loop; owned by the World.
#pragma once

#include <cstdint>
#include <functional>
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
  void be_fast() { max_delay_us = 200, max_sync_us = 5000; }

  // kill -9 of stayd: what had not been written is lost.
  void crash() {
    faulty_.crash();
    memory_.crash();
    submit_scheduled_ = gathered_ = false;
    ++life_;
  }
  // A power cut: what had not been synced is lost too.
  void lose_power() {
    crash();
    memory_.lose_power();
  }
  FaultyStore& faults() { return faulty_; }
  const std::map<FullKey, Row>& rows() const { return memory_.rows(); }

  void set_events(StoreEvents* events) override { faulty_.set_events(events); }
  void apply(std::vector<Change> changes, Durability durability) override {
    gather().apply(std::move(changes), durability);
  }
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override {
    gather().apply_one(std::move(mutation), token, durability);
  }
  void load(FullKey key, StoreToken token) override { gather().load(std::move(key), token); }
  void load_meta(FullKey key, StoreToken token) override {
    gather().load_meta(std::move(key), token);
  }
  void scan(ScanQuery query, StoreToken token) override { gather().scan(std::move(query), token); }
  void flush(int db, Hlc hlc, StoreToken token) override { gather().flush(db, hlc, token); }
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
      });
    });
  }

 private:
  FaultyStore& gather() {
    gathered_ = true;
    return faulty_;
  }
  std::int64_t delay(std::int64_t max_us) {
    return 10 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max_us)));
  }
  void sync_if_wanted() {
    if (!memory_.sync_wanted()) return;
    memory_.start_sync();
    scheduler_.after(delay(max_sync_us), [this, life = life_] {
      if (life != life_) return;
      deliver_([this] {
        memory_.end_sync();
        report();
        sync_if_wanted();
      });
    });
  }
  void report() {
    memory_.deliver();
    faulty_.deliver();
  }

  Scheduler& scheduler_;
  Random& random_;
  Deliver deliver_;
  MemoryStore memory_{[this] { return scheduler_.wall_ms(); }};
  FaultyStore faulty_{memory_};
  bool gathered_ = false;  // something was asked for since the last submit
  bool submit_scheduled_ = false;
  std::uint64_t life_ = 0;  // of the process: what a dead one began ends nothing in the next
};

}  // namespace stayd::sim
