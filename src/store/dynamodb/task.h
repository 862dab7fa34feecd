// One operation: the requests that it sends at once, one set after the other, each made of what the
// last one brought. Holds its own copy of nothing that its operation owns. Pure; the backup
// thread's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/backup/link.h"
#include "store/dynamodb/exchange.h"
#include "store/value_codec.h"

namespace stayd::dynamo {

// What the tasks of a connection have in common; all of it outlives them.
struct Context {
  Service& service;
  const BackupSession& session;
  ValueCodec& values;
  const std::string& table() const { return service.target.table; }
};

class Task {
 public:
  virtual ~Task() = default;
  // The next requests; `answers`: of the last ones, none the first time. nullopt: there are no
  // more, finish() follows. An error: of the operation.
  virtual Result<std::optional<std::vector<Request>>> next(std::vector<Answer>& answers) = 0;
  virtual Result<BackupResult> finish() = 0;
  // The next requests are to wait so long.
  std::int64_t pause_us = 0;
  // ... and are not to be sent after this.
  std::int64_t valid_until_us = 0;
  // Set by finish(): the operation is to be done again with this.
  std::optional<FeedCursor> again;
  // Said to be under way in the head (table.h), and not yet said to have ended.
  std::vector<std::string> batches;
};

// `operation` outlives the task. Errors: limit.
Result<std::unique_ptr<Task>> make_write_task(const BackupBatch& batch, Context context);
std::unique_ptr<Task> make_read_task(const ReadRequest& request, Context context);
std::unique_ptr<Task> make_feed_task(const FeedRequest& request, Context context);

// The first error among them, which is none that its asker looks at itself.
std::optional<Error> first_error(const std::vector<Answer>& answers);

}  // namespace stayd::dynamo
