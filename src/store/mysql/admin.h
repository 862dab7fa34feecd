// What `stayd backup` does to MySQL and MariaDB. Blocking; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "store/backup/admin.h"
#include "store/mysql/connection.h"

namespace stayd {

class MysqlAdmin final : public BackupAdmin {
 public:
  // `options` outlive this.
  explicit MysqlAdmin(const BackupOptions& options);
  Result<void> connect() override;
  Result<Made> init() override;
  Result<State> state() override;
  Result<Stats> stats(std::int64_t wall_ms) override;
  Result<std::optional<BackupRow>> get(const FullKey& key) override;
  Result<std::int64_t> purge() override;
  // init() waits so long for another one's.
  int init_patience_s = 60;

 private:
  Result<mysql::Look> look();
  Result<bool> has_schema();
  Result<void> create();
  Result<void> make_ring();
  Result<std::vector<FullKey>> purgeable(std::int64_t clock_ms);

  const BackupOptions& options_;
  mysql::Connection connection_;
};

}  // namespace stayd
