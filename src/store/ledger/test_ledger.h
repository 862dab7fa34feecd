// A ledger with a recorder and a waker around it. Tests only.
#pragma once

#include <memory>
#include <string>

#include "store/ledger/ledger.h"
#include "store/test_support.h"

namespace stayd::test {

// Sealed under a master key made of `byte`; the ones made of `older` open as well.
inline AtRestOptions sealed(char byte, const std::string& older = "", bool compress = false) {
  AtRestOptions out;
  out.keys.emplace_back(std::string(SecretKey::kBytes, byte));
  for (const char one : older) out.keys.emplace_back(std::string(SecretKey::kBytes, one));
  out.setting = "[at_rest] encryption_key_file";
  out.compress = compress;
  return out;
}

class TestLedger {
 public:
  static LedgerOptions options(std::string path) {
    LedgerOptions out;
    out.path = std::move(path);
    out.wall_ms = [] { return std::int64_t{1'000'000}; };
    out.write_buffer_bytes = std::size_t{1} << 20;
    out.ballast_bytes = 0;
    return out;
  }

  explicit TestLedger(LedgerOptions options) {
    Result<std::unique_ptr<Ledger>> opened = Ledger::open(std::move(options), waker);
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      std::abort();
    }
    ledger = std::move(*opened);
    ledger->set_events(&recorder);
  }

  // Until `token` has been reported.
  void until(StoreToken token) {
    ledger->submit();
    ledger->deliver();
    while (!recorder.seen(token) && !::testing::Test::HasFatalFailure()) {
      waker.wait();
      ledger->deliver();
    }
  }

  ApplyResult apply(Mutation mutation, Durability durability = Durability::written) {
    const StoreToken token = next_token++;
    ledger->apply_one(std::move(mutation), token, durability);
    until(token);
    last_error = recorder.errors[token];
    return recorder.applied[token];
  }

  Row load(FullKey key) {
    const StoreToken token = next_token++;
    ledger->load(std::move(key), token);
    until(token);
    last_error = recorder.errors[token];
    return recorder.loaded[token];
  }

  TestWaker waker;
  Recorder recorder;
  std::unique_ptr<Ledger> ledger;
  StoreToken next_token = 1'000'000;
  Error last_error;
};

}  // namespace stayd::test
