// Routes a Store's answers to whoever asked: the store knows tokens, the core knows clients and
// tags. Loop thread only.
#pragma once

#include <cstdint>
#include <utility>

#include "base/slot_table.h"
#include "store/store.h"

namespace stayd {

class StoreClient {
 public:
  virtual ~StoreClient() = default;
  virtual void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) = 0;
  virtual void on_loaded(std::uint64_t tag, const Error& error, Row row) = 0;
  virtual void on_scanned(std::uint64_t, const Error&, ScanPage) {}
};

class StoreOps final : public StoreEvents {
 public:
  // A token for one operation of `client`; it comes back once, with `tag`.
  StoreToken token(StoreClient& client, std::uint64_t tag) {
    return slots_.add({&client, tag}) + 1;
  }
  std::size_t under_way() const { return slots_.used(); }

 private:
  struct Slot {
    StoreClient* client = nullptr;
    std::uint64_t tag = 0;
  };
  void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override {
    const Slot slot = slots_.take(token - 1);
    slot.client->on_applied(slot.tag, error, result);
  }
  void on_loaded(StoreToken token, const Error& error, Row row) override {
    const Slot slot = slots_.take(token - 1);
    slot.client->on_loaded(slot.tag, error, std::move(row));
  }
  void on_scanned(StoreToken token, const Error& error, ScanPage page) override {
    const Slot slot = slots_.take(token - 1);
    slot.client->on_scanned(slot.tag, error, std::move(page));
  }

  SlotTable<Slot> slots_;
};

}  // namespace stayd
