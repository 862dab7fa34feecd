// Wraps a Store and makes it fail or dawdle on command, for tests and the simulator.
//
// Single-threaded, deterministic. Reports keep the order of the calls, injected ones included, but
// for those of synced changes, which others may pass (store.h). They arrive only from deliver();
// the wrapped store is delivered (by its owner) before.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "store/store.h"

namespace stayd {

class FaultyStore final : public Store, private StoreEvents {
 public:
  enum class Operation : std::uint8_t { apply, load, load_meta, scan, flush, swap };
  static constexpr std::size_t kOperations = 6;

  struct Fault {
    Error error;               // empty message: no error, only the delay
    bool take_effect = false;  // the operation is done all the same: in doubt for the caller
    int deliveries = 0;        // reported only after this many further deliver() calls
    std::uint64_t times = 1;   // how many operations it meets; UINT64_MAX: until heal()
  };

  explicit FaultyStore(Store& inner) : inner_(inner) { inner_.set_events(this); }

  // Faults of one operation are met in the order they were injected, one per call.
  void inject(Operation operation, Fault fault);
  void heal();  // no faults left; delays already begun go on
  // While held nothing is reported at all: a stalled disk.
  void hold(bool held) { held_ = held; }

  void deliver();
  // Nothing of what is unreported will ever be reported: goes with the wrapped store's crash().
  void crash();

  void set_events(StoreEvents* events) override { events_ = events; }
  void apply(std::vector<Change> changes, Durability durability) override;
  void apply_one(Mutation mutation, StoreToken token, Durability durability) override;
  void load(FullKey key, StoreToken token) override;
  void load_meta(FullKey key, StoreToken token) override;
  void scan(ScanQuery query, StoreToken token) override;
  void flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) override;
  void swap_databases(int a, int b, StoreToken token) override;
  void put_fact(std::string name, std::string value) override;
  std::string fact(std::string_view name) const override { return inner_.fact(name); }
  InFlightTable& in_flight() override { return inner_.in_flight(); }
  Hlc highest_hlc() const override { return inner_.highest_hlc(); }
  void submit() override { inner_.submit(); }
  StoreStats stats() const override;

 private:
  using Value = std::variant<ApplyResult, Row, ScanPage>;
  struct Pending {
    StoreToken token = 0;
    Operation operation = Operation::apply;
    std::int64_t due = 0;  // the delivery that may report it
    bool synced = false;   // others may pass
    bool ended = false;
    bool reported = false;
    Error error;
    Value result;
  };

  // The fault this call meets.
  std::optional<Fault> meet(Operation operation);
  // Queues the report; the wrapped store knows it by the number returned.
  StoreToken expect(StoreToken token, Operation operation, const std::optional<Fault>& fault,
                    Durability durability = Durability::written);
  void end(StoreToken number, const Error& error, Value result);
  void report(Pending& pending);

  void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override;
  void on_loaded(StoreToken token, const Error& error, Row row) override;
  void on_scanned(StoreToken token, const Error& error, ScanPage page) override;

  Store& inner_;
  StoreEvents* events_ = nullptr;
  std::deque<Fault> faults_[kOperations];
  std::deque<Pending> pending_;
  StoreToken first_number_ = 1;  // of pending_.front()
  std::int64_t deliveries_ = 0;
  bool held_ = false;
  std::string last_error_;
};

}  // namespace stayd
