// One ledger for several engines, each of which thinks that it has one of its own (docs/adr/0012).
//
//   engine 1 ─▶ StoreShare ─┐                 scans see only the slots of the share; facts stand
//   engine 2 ─▶ StoreShare ─┴▶ SharedStore ─▶ Store      under the share's prefix
//
// Keys, versions and the in-flight table are common: their engines have different keys. So is the
// clock of versions. Loop thread only. The store outlives SharedStore, and that its shares. A share
// may end while operations of it are under way; what they come to is dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hlc.h"
#include "store/store.h"

namespace stayd {

class StoreShare;

class SharedStore final : private StoreEvents {
 public:
  explicit SharedStore(Store& store) : store_(store) { store.set_events(this); }

  Store& store() { return store_; }
  HlcClock& clock() { return clock_; }

 private:
  friend class StoreShare;
  static constexpr int kTokenBits = 40;  // of a share's own; the share's number stands above

  StoreToken outer(std::size_t share, StoreToken token) const {
    return token == 0 ? 0 : static_cast<StoreToken>(share) << kTokenBits | token;
  }
  StoreEvents* events_of(StoreToken outer) const;
  void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override;
  void on_loaded(StoreToken token, const Error& error, Row row) override;
  void on_scanned(StoreToken token, const Error& error, ScanPage page) override;

  Store& store_;
  HlcClock clock_;
  std::vector<StoreShare*> shares_;  // by number; nullptr: it has ended, numbers are not used again
};

class StoreShare final : public Store {
 public:
  // Facts of this share are called `facts_under` + name, but for the few that are common.
  StoreShare(SharedStore& shared, std::string facts_under);
  ~StoreShare() override;
  StoreShare(const StoreShare&) = delete;
  StoreShare& operator=(const StoreShare&) = delete;

  void set_slots(std::shared_ptr<const SlotSet> slots) { slots_ = std::move(slots); }

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
  InFlightTable& in_flight() override { return shared_.store_.in_flight(); }
  Hlc highest_hlc() const override { return shared_.store_.highest_hlc(); }
  void submit() override { shared_.store_.submit(); }
  StoreStats stats() const override { return shared_.store_.stats(); }

 private:
  friend class SharedStore;
  std::string full_name(std::string_view name) const;

  SharedStore& shared_;
  std::string facts_under_;
  std::size_t number_;
  StoreEvents* events_ = nullptr;
  std::shared_ptr<const SlotSet> slots_;
};

}  // namespace stayd
