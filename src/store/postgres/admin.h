// What `stayd backup` does to PostgreSQL. Blocking; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/backup/admin.h"
#include "store/postgres/blocking_connection.h"

namespace stayd {

class PostgresAdmin final : public BackupAdmin {
 public:
  // `options` outlive this.
  explicit PostgresAdmin(const BackupOptions& options);
  Result<void> connect() override;
  Result<Made> init() override;
  Result<State> state() override;
  Result<Stats> stats(std::int64_t wall_ms) override;
  Result<std::optional<BackupRow>> get(const FullKey& key) override;
  Result<std::int64_t> purge() override;

 private:
  Result<BackupSession> session();

  const BackupOptions& options_;
  BlockingConnection connection_;
};

}  // namespace stayd
