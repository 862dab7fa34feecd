// Routes a Store's answers to whoever asked: the store knows tokens, the core knows clients and
// tags. Loop thread only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

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
    std::uint32_t index;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back({});
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index] = {&client, tag};
    ++under_way_;
    return index + 1;
  }
  std::size_t under_way() const { return under_way_; }

 private:
  struct Slot {
    StoreClient* client = nullptr;
    std::uint64_t tag = 0;
  };
  Slot take(StoreToken token) {
    const auto index = static_cast<std::uint32_t>(token - 1);
    const Slot slot = std::exchange(slots_[index], Slot{});
    free_.push_back(index);
    --under_way_;
    return slot;
  }
  void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override {
    const Slot slot = take(token);
    slot.client->on_applied(slot.tag, error, result);
  }
  void on_loaded(StoreToken token, const Error& error, Row row) override {
    const Slot slot = take(token);
    slot.client->on_loaded(slot.tag, error, std::move(row));
  }
  void on_scanned(StoreToken token, const Error& error, ScanPage page) override {
    const Slot slot = take(token);
    slot.client->on_scanned(slot.tag, error, std::move(page));
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t under_way_ = 0;
};

}  // namespace stayd
