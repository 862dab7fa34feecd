// Opens connections to a table, and looks at it. Blocking, up to a deadline; one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/dynamodb/key_provider.h"
#include "store/dynamodb/table.h"

namespace stayd::dynamo {

struct TableState {
  std::string home;  // of this very table: another one of that name has another
  bool active = false;
  bool fits = false;  // has the keys and the index that we need
  std::int64_t bytes = 0;
};
// nullopt: there is no such table.
Result<std::optional<TableState>> table_state_of(const Answer& answer);

// What GetItem of the meta item says. Errors: as check_schema(), and of the key ring.
Result<BackupSession> session_of(const Answer& answer, const std::string& home,
                                 const Service& service);

class Connection {
 public:
  // `cancel_fd` as BackupDriver::open().
  Connection(std::shared_ptr<Service> service, std::int64_t deadline_us, int cancel_fd)
      : service_(std::move(service)), deadline_us_(deadline_us), cancel_fd_(cancel_fd) {}
  void extend(std::int64_t deadline_us) { deadline_us_ = deadline_us; }

  Result<void> open(KeyProvider& keys);  // with credentials; asks nothing yet
  // Of a table with a schema, which is made its home's where it has been moved.
  Result<BackupSession> set_up();

  Result<std::vector<Answer>> run(std::vector<Request> requests);  // lost: an error
  Result<Answer> run_one(Request request);
  Result<std::optional<TableState>> describe();
  std::unique_ptr<Exchange> release() { return std::move(exchange_); }
  const std::string& home() const { return home_; }
  Service& service() { return *service_; }
  const std::string& table() const { return service_->target.table; }

 private:
  Result<void> move_to(const std::string& from, const std::string& home);

  const std::shared_ptr<Service> service_;
  std::int64_t deadline_us_;
  const int cancel_fd_;
  std::unique_ptr<Exchange> exchange_;
  std::string home_;
};

}  // namespace stayd::dynamo
