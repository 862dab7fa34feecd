// The ledger: the Store that is always there. RocksDB on local disk, embedded, owned by one thread.
//
// Thread rule: made, used and closed on the engine loop; results arrive from deliver(), which the
// loop calls after `waker.wake()`. Acknowledgement `written` is after write(), so that kill -9
// loses nothing; `synced` is after fdatasync, shared by every operation in the batch. What was only
// `written` is synced each 100 ms.
//
// Failures: a write that fails is reported with `io` or `no_space`, remembered in stats(), and does
// not stop later operations; RocksDB is resumed or reopened at most once per second. Without space
// the ballast file is freed and only tombstones and stale marks are taken until there is room
// again. Reads go on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/waker.h"
#include "store/ledger/in_flight_file.h"
#include "store/ledger/ledger_options.h"
#include "store/ledger/operation.h"
#include "store/store.h"

namespace stayd {

class Worker;

class Ledger final : public Store {
 public:
  // Opens or creates; replays the log's tail after a crash, never scans. `waker` outlives the
  // ledger.
  //   invalid       not usable as a folder; no clock; encrypted under a key that was not given
  //   busy          another process has it            newer_format  written by a later stayd
  //   corrupt       damaged; the message says what to do; nothing was changed
  //   not_found     no ledger and `create` is false
  static Result<std::unique_ptr<Ledger>> open(LedgerOptions options, Waker& waker);
  ~Ledger() override;  // close()

  // Executes everything called so far and flushes, so that the next start replays nothing. Reports
  // not yet delivered still come from deliver(); operations after close() are ignored.
  void close();

  // Calls StoreEvents for everything that has ended. The events may call this store, not deliver().
  void deliver();

  void set_events(StoreEvents* events) override { events_ = events; }
  void apply(std::vector<Change> changes, Durability durability) override;
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override;
  void load(FullKey key, StoreToken token) override;
  void load_meta(FullKey key, StoreToken token) override;
  void scan(ScanQuery query, StoreToken token) override;
  // Reported by on_applied.
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override;
  void swap_databases(int a, int b, StoreToken token) override;
  // Takes up other master keys and the way of compression, as open() does; reported by `done` from
  // deliver().
  void rekey(AtRestOptions at_rest, std::function<void(const Error&)> done);
  void put_fact(std::string name, std::string value) override;
  std::string fact(std::string_view name) const override;
  InFlightTable& in_flight() override { return in_flight_; }
  // Why writes on their way would not be found again after a kill -9; empty: they would.
  const std::string& in_flight_problem() const { return in_flight_file_.problem(); }
  Hlc highest_hlc() const override;
  void submit() override;
  StoreStats stats() const override;

 private:
  using Facts = std::map<std::string, std::string, std::less<>>;
  Ledger(LedgerOptions options, Facts facts, std::unique_ptr<Worker> worker);

  const std::function<std::int64_t()> wall_ms_;
  StoreEvents* events_ = nullptr;
  Facts facts_;
  std::vector<Operation> gathered_;
  InFlightFile in_flight_file_;
  InFlightTable in_flight_{in_flight_file_.memory()};
  std::unique_ptr<Worker> worker_;
  bool closed_ = false;
};

}  // namespace stayd
