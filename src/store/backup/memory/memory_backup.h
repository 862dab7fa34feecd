// One stayd's way to a MemoryDatabase, for tests and the simulator. Single-threaded, no clock:
// nothing happens but in run(), which does and reports what is due by then.
//
//   write()/read()/feed() -> on its way for `there_us` -> done by the database -> `back_us` ->
//   report
//
// An operation whose report would come after its deadline is reported `timed_out` at the deadline,
// and is done all the same when it arrives.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <variant>
#include <vector>

#include "store/backup/memory/memory_database.h"

namespace stayd {

class MemoryBackup final : public Backup {
 public:
  struct Latency {
    std::int64_t there_us = 0;
    std::int64_t back_us = 0;
  };
  // `latency` is asked once for each operation. `database` outlives this.
  explicit MemoryBackup(MemoryDatabase& database, std::function<Latency()> latency = {})
      : database_(database), latency_(std::move(latency)) {}

  bool cut_off = false;  // as if the database were down, for this stayd alone

  // Operations called since the last run() start on their way now. Events may call this backup, not
  // run(); what they ask for starts with the next one.
  void run(Now now);
  // When the next thing is due that run() would do; nullopt: nothing. Changes of the database and
  // hints aside: those are noticed by any run().
  std::optional<std::int64_t> next_us() const;

  void set_events(BackupEvents* events) override { events_ = events; }
  void start() override { started_ = true; }
  void write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) override;
  void read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) override;
  void feed(FeedCursor after, std::size_t limit, BackupToken token,
            std::int64_t deadline_us) override;
  BackupStatus status() const override;

 private:
  struct Page {
    FeedCursor after;
    std::size_t limit = 0;
  };
  struct Operation {
    std::variant<BackupBatch, std::vector<FullKey>, Page> request;
    BackupToken token = 0;
    std::int64_t deadline_us = 0;
    std::int64_t there_us = -1;  // not on its way yet
    std::int64_t back_us = -1;   // not done yet
    std::int64_t way_back_us = 0;
    bool reported = false;
    Error error;
    std::variant<std::vector<BackupWritten>, std::vector<BackupRow>, FeedPage> result;
  };
  using Operations = std::list<Operation>;

  void ask(Operation operation);
  void depart(std::int64_t mono_us);
  void arrive(Now now);
  void execute(Operation& operation, std::int64_t wall_ms);
  Operations take_due(std::int64_t mono_us);
  void report(Operation& operation);
  void notice();
  bool reachable() const { return started_ && !cut_off && !database_.down; }

  MemoryDatabase& database_;
  std::function<Latency()> latency_;
  BackupEvents* events_ = nullptr;
  bool started_ = false;
  Operations operations_;  // in the order of the calls
  BackupStatus told_;
  std::uint64_t hinted_ = 0;
};

}  // namespace stayd
