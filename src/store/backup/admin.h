// What `stayd backup` does to the schema and its rows, whatever the database is. Blocking; one
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "store/backup/backup.h"

namespace stayd {

class BackupAdmin {
 public:
  virtual ~BackupAdmin() = default;
  virtual Result<void> connect() = 0;

  enum class Made : std::uint8_t { nothing, schema, upgrade };
  // Creates the schema where there is none, or upgrades an older one. newer_format: a later stayd's
  // is there.
  virtual Result<Made> init() = 0;

  // What a server would find: the schema, whether the key ring opens. Errors as a server tells
  // them.
  struct State {
    bool writable = false;
    std::int64_t clock_ms = 0;
    bool sealed = false;
  };
  virtual Result<State> state() = 0;

  struct Stats {
    std::string epoch;
    bool writable = false;
    std::int64_t live = 0;
    std::int64_t expired = 0;  // of the live ones
    std::int64_t tombs = 0;
    std::int64_t without_redis = 0;  // made without Redis, tombstones too
    std::int64_t value_bytes = 0;
    std::int64_t disk_bytes = 0;  // with indexes and what is dead
  };
  virtual Result<Stats> stats(std::int64_t wall_ms) = 0;

  // nullopt: no such row.
  virtual Result<std::optional<BackupRow>> get(const FullKey& key) = 0;

  // Removes one batch of tombstones past their time and rows expired for longer than an hour; how
  // many. Less than kPurgeBatch: there are no more. And hosts that were not seen for a week. All by
  // the database's clock.
  virtual Result<std::int64_t> purge() = 0;
  static constexpr std::int64_t kPurgeBatch = 1000;
};

}  // namespace stayd
