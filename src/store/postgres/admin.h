// What `stayd backup` does to the schema and its rows. Blocking; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/postgres/blocking_connection.h"

namespace stayd {

class PostgresAdmin {
 public:
  // `options` outlive this.
  explicit PostgresAdmin(const PostgresOptions& options);
  Result<void> connect();

  enum class Made : std::uint8_t { nothing, schema, upgrade };
  // Creates the schema where there is none, or upgrades an older one. newer_format: a later stayd's
  // is there.
  Result<Made> init();

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
  Result<Stats> stats(std::int64_t wall_ms);

  // nullopt: no such row.
  Result<std::optional<BackupRow>> get(const FullKey& key);

  // Removes one batch of tombstones past their time and rows expired for longer than an hour; how
  // many. Less than kPurgeBatch: there are no more. And hosts that were not seen for a week.
  Result<std::int64_t> purge(std::int64_t wall_ms);
  static constexpr std::int64_t kPurgeBatch = 1000;

 private:
  Result<PostgresSession> session();

  const PostgresOptions& options_;
  BlockingConnection connection_;
};

}  // namespace stayd
