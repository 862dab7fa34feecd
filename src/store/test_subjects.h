// The stores that store_behaviour_test.cc is about, each with what it needs.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "store/faulty/faulty_store.h"
#include "store/ledger/test_ledger.h"
#include "store/memory/memory_store.h"
#include "store/test_support.h"

namespace stayd::test {

class Subject {
 public:
  virtual ~Subject() = default;
  virtual Store& store() = 0;
  // Reports what has ended; may wait for more.
  virtual void deliver() = 0;

  std::int64_t wall_ms = 1'000'000;
};

class MemorySubject : public Subject {
 public:
  Store& store() override { return memory_; }
  void deliver() override { memory_.deliver(); }

 private:
  MemoryStore memory_{[this] { return wall_ms; }};
};

class FaultySubject : public Subject {
 public:
  Store& store() override { return faulty_; }
  void deliver() override {
    memory_.deliver();
    faulty_.deliver();
  }

 private:
  MemoryStore memory_{[this] { return wall_ms; }};
  FaultyStore faulty_{memory_};
};

class LedgerSubject : public Subject {
 public:
  explicit LedgerSubject(const AtRestOptions& at_rest = {}) {
    LedgerOptions options = TestLedger::options(folder_.sub("ledger"));
    options.at_rest = at_rest;
    options.wall_ms = [this] { return clock_.load(); };
    Result<std::unique_ptr<Ledger>> opened = Ledger::open(options, waker_);
    EXPECT_TRUE(opened) << opened.error().message;
    ledger_ = std::move(*opened);
  }
  Store& store() override {
    clock_ = wall_ms;
    return *ledger_;
  }
  void deliver() override {
    waker_.wait();
    ledger_->deliver();
  }

 private:
  TempFolder folder_;
  std::atomic<std::int64_t> clock_ = 0;
  TestWaker waker_;
  std::unique_ptr<Ledger> ledger_;
};

}  // namespace stayd::test
