// What `stayd backup` does to a table of DynamoDB. Blocking; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "store/backup/admin.h"
#include "store/dynamodb/connection.h"

namespace stayd {

class DynamoAdmin final : public BackupAdmin {
 public:
  // `options` outlive this.
  explicit DynamoAdmin(const BackupOptions& options);
  Result<void> connect() override;
  Result<Made> init() override;
  Result<State> state() override;
  Result<Stats> stats(std::int64_t wall_ms) override;
  Result<std::optional<BackupRow>> get(const FullKey& key) override;
  Result<std::int64_t> purge() override;

 private:
  Result<void> make_table();
  Result<void> enable_ttl();
  Result<Made> make_items();
  Result<void> make_ring();
  Result<dynamo::Meta> meta();
  Result<void> find_purgeable(std::int64_t clock_ms);
  Result<void> purge_hosts(std::int64_t clock_ms);
  Result<void> remove(std::vector<dynamo::Request> requests);

  const BackupOptions& options_;
  std::shared_ptr<dynamo::Service> service_;
  std::optional<Error> wrong_url_;
  std::unique_ptr<dynamo::KeyProvider> keys_;
  std::unique_ptr<dynamo::Connection> connection_;
  // Of a purge: where its scan goes on, and what it has found.
  std::deque<dynamo::Request> found_;
  boost::json::object scan_from_;
  bool scanned_ = false;
};

}  // namespace stayd
