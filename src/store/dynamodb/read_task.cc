// Reads of keys.
#include <algorithm>
#include <map>
#include <utility>

#include "store/backup/stored_value.h"
#include "store/dynamodb/batch_get.h"
#include "store/dynamodb/task.h"

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kBusyPauseUs = 50'000;

class ReadTask final : public Task {
 public:
  ReadTask(const ReadRequest& request, Context context)
      : keys_(request.keys), values_(context.values), rows_(context.table(), true) {
    std::vector<FullKey> sorted = keys_;
    std::ranges::sort(sorted);
    const auto end = std::unique(sorted.begin(), sorted.end());
    repeats_ = end != sorted.end();
    std::for_each(sorted.begin(), end, [this](const FullKey& key) { rows_.want(key); });
  }

  Result<std::optional<std::vector<Request>>> next(std::vector<Answer>& answers) override {
    if (const auto error = first_error(answers)) return *error;
    const Result<void> taken = rows_.take(answers);
    if (!taken) return taken.error();
    beyond_ = rows_.bytes() / 4 * 3 > kMaxBackupBytes;
    if (rows_.done() || beyond_) return std::optional<std::vector<Request>>();
    pause_us = !answers.empty() && rows_.stuck() ? kBusyPauseUs : 0;
    return std::optional(rows_.next());
  }

  Result<BackupResult> finish() override {
    std::map<FullKey, BackupRow> found;
    for (const FullKey& key : keys_) {
      const json::object* item = rows_.find(key);
      if (item == nullptr || beyond_ || found.contains(key)) continue;
      found.emplace(key, stored_row(key, item, &values_).row);
    }
    Result<std::vector<BackupRow>> rows = rows_in_order(keys_, std::move(found), repeats_, beyond_);
    if (!rows) return rows.error();
    return BackupResult(std::move(*rows));
  }

 private:
  const std::vector<FullKey>& keys_;
  ValueCodec& values_;
  BatchGet rows_;
  bool repeats_ = false, beyond_ = false;
};

}  // namespace

std::optional<Error> first_error(const std::vector<Answer>& answers) {
  for (const Answer& answer : answers) {
    if (answer.error) return answer.error->error;
  }
  return std::nullopt;
}

std::unique_ptr<Task> make_read_task(const ReadRequest& request, Context context) {
  return std::make_unique<ReadTask>(request, context);
}

}  // namespace stayd::dynamo
