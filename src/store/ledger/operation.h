// What the loop asks of the ledger's thread, and what comes back. Plain values, moved between
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "store/ledger/ledger_options.h"
#include "store/store.h"

namespace stayd {

// `wall_ms` in these: when the loop asked.
struct ApplyOne {
  Store::Change change;
  Durability durability = Durability::written;
  std::int64_t wall_ms = 0;
};
struct ApplyGroup {
  std::vector<Store::Change> changes;
  Durability durability = Durability::written;
  std::int64_t wall_ms = 0;
};
struct LoadOne {
  FullKey key;
  StoreToken token = 0;
  bool meta_only = false;
};
struct ScanOne {
  ScanQuery query;
  StoreToken token = 0;
  std::int64_t wall_ms = 0;
};
struct FlushOne {
  int db = -1;
  Hlc hlc = 0;
  std::shared_ptr<const SlotSet> slots;
  StoreToken token = 0;
};
struct SwapOne {
  int a = 0;
  int b = 0;
  StoreToken token = 0;
};
struct FactOne {
  std::string name;
  std::string value;
};

struct RekeyOne {
  AtRestOptions at_rest;
  std::function<void(const Error&)> done;  // on the loop; an empty message: it worked
};

using Operation =
    std::variant<ApplyOne, ApplyGroup, LoadOne, ScanOne, FlushOne, SwapOne, FactOne, RekeyOne>;

struct Rekeyed {
  std::function<void(const Error&)> done;
};

struct Report {
  StoreToken token = 0;
  Error error;
  std::variant<ApplyResult, Row, ScanPage, Rekeyed> result;  // on_applied, on_loaded, on_scanned
};

}  // namespace stayd
