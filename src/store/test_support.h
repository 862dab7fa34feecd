// Helpers of the stores' tests: a recorder of results, a waker that can be waited for, a folder of
// its own, and short ways to write mutations. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/hlc.h"
#include "base/waker.h"
#include "store/store.h"

namespace stayd::test {

class Recorder : public StoreEvents {
 public:
  void on_applied(StoreToken token, const Error& error, const ApplyResult& result) override {
    add(token, error);
    applied[token] = result;
  }
  void on_loaded(StoreToken token, const Error& error, Row row) override {
    add(token, error);
    loaded[token] = std::move(row);
  }
  void on_scanned(StoreToken token, const Error& error, ScanPage page) override {
    add(token, error);
    scanned[token] = std::move(page);
  }
  bool seen(StoreToken token) const { return errors.contains(token); }

  std::vector<StoreToken> order;
  std::map<StoreToken, Error> errors;
  std::map<StoreToken, ApplyResult> applied;
  std::map<StoreToken, Row> loaded;
  std::map<StoreToken, ScanPage> scanned;

 private:
  void add(StoreToken token, const Error& error) {
    order.push_back(token);
    EXPECT_TRUE(errors.emplace(token, error).second) << "token " << token << " reported twice";
  }
};

class TestWaker : public Waker {
 public:
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return woken_; }))
        << "the store never called wake()";
    woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

class TempFolder {
 public:
  // In memory where there is such a place: these tests sync hundreds of times.
  TempFolder() {
    const bool shm = ::access("/dev/shm", W_OK) == 0;
    const auto parent =
        shm ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    std::string name = (parent / "stayd-store-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string sub(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Record text_record(std::string text, std::int64_t expires_at_ms = 0) {
  Record record;
  record.value = std::move(text);
  record.expires_at_ms = expires_at_ms;
  return record;
}

inline Mutation mutation(Mutation::Kind kind, FullKey key, Hlc hlc) {
  Mutation out;
  out.kind = kind;
  out.key = std::move(key);
  out.hlc = hlc;
  return out;
}

inline Mutation put(FullKey key, Hlc hlc, std::string text, std::int64_t expires_at_ms = 0) {
  Mutation out = mutation(Mutation::Kind::put, std::move(key), hlc);
  out.record = text_record(std::move(text), expires_at_ms);
  return out;
}

inline Mutation tomb(FullKey key, Hlc hlc, std::int64_t tomb_until_ms) {
  Mutation out = mutation(Mutation::Kind::tomb, std::move(key), hlc);
  out.tomb_until_ms = tomb_until_ms;
  return out;
}

inline Mutation expiry(FullKey key, Hlc hlc, std::int64_t expires_at_ms) {
  Mutation out = mutation(Mutation::Kind::expiry, std::move(key), hlc);
  out.record.expires_at_ms = expires_at_ms;
  return out;
}

inline Mutation elements(FullKey key, Hlc hlc, ValueType type, std::vector<ElementChange> changes) {
  Mutation out = mutation(Mutation::Kind::elements, std::move(key), hlc);
  out.type = type;
  out.elements = std::move(changes);
  return out;
}

}  // namespace stayd::test
