// A batch of writes, in rounds: read the rows; apply_write() says what becomes of them; take a
// number; write each row if it still is what was read; say that the batch has ended. Rows that were
// not go into the next round. What is to be done together is written in one transaction.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "store/backup/apply_write.h"
#include "store/backup/stored_value.h"
#include "store/dynamodb/batch_get.h"
#include "store/dynamodb/table.h"
#include "store/dynamodb/task.h"
#include "store/dynamodb/write_row.h"
#include "store/record_codec.h"

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kContendedPauseUs = 20'000;
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

using Requests = std::vector<Request>;

// Without the value.
BackupWrite without_value(const BackupWrite& write) {
  BackupWrite out{write.kind, write.row, write.expected};
  out.row.record.value = {};
  return out;
}

// A key of the batch.
struct Held {
  std::vector<std::size_t> writes;  // that name it, in their order
  std::string old_change;           // as DynamoDB wrote it; empty: there is none
  BackupRow row;                    // as the writes so far have made it
  bool value_there = false;         // its value is the one in the database
  std::size_t value_from = kNone;   // ... or the one of this write
  bool changed = false, done = false;
  bool unsure = false;  // written with `number`, and the answer did not come
};

class WriteTask final : public Task {
 public:
  WriteTask(const BackupBatch& batch, Context context)
      : batch_(batch),
        writes_(batch.writes),
        context_(context),
        together_(batch.together && batch.writes.size() > 1),
        results_(batch.writes.size()) {}

  Result<void> build() {
    for (std::size_t i = 0; i < writes_.size(); ++i) {
      const BackupRow& row = writes_[i].row;
      held_[row.key].writes.push_back(i);
      std::string& value = values_.emplace_back();
      if (writes_[i].kind != BackupWrite::Kind::touch && row.state == RowState::live) {
        value = encode_value(row.record, context_.values, row.key);
      }
    }
    return check_sizes(writes_, values_, together_);
  }

  Result<std::optional<Requests>> next(std::vector<Answer>& answers) override {
    pause_us = 0;
    switch (step_) {
      case Step::begin:
        return writes_.empty() ? finish_round() : read_round();
      case Step::read:
        return read(answers);
      case Step::number:
        return numbered(answers);
      case Step::write:
        return written(answers);
      case Step::end:
        return ended(answers);
    }
    return std::optional<Requests>();
  }

  Result<BackupResult> finish() override { return BackupResult(std::move(results_)); }

 private:
  enum class Step : std::uint8_t { begin, read, number, write, end };

  // -- reading, and what becomes of it -----------------------------------------------------------

  // Values only of those of which somebody is to be shown what is there.
  Result<std::optional<Requests>> read_round() {
    step_ = Step::read;
    headers_.emplace(context_.table(), false);
    full_.emplace(context_.table(), true);
    for (const auto& [key, held] : held_) {
      if (!held.done) (shown_.contains(key) ? *full_ : *headers_).want(key);
    }
    return std::optional(read_requests());
  }

  Requests read_requests() {
    Requests out = headers_->next();
    asked_headers_ = out.size();
    for (Request& one : full_->next()) out.push_back(std::move(one));
    return out;
  }

  Result<std::optional<Requests>> read(std::vector<Answer>& answers) {
    if (const auto error = first_error(answers)) return failed(*error);
    const auto middle = answers.begin() + static_cast<std::ptrdiff_t>(asked_headers_);
    const std::vector<Answer> full(std::make_move_iterator(middle),
                                   std::make_move_iterator(answers.end()));
    answers.erase(middle, answers.end());
    const Result<void> taken = headers_->take(answers);
    if (!taken) return failed(taken.error());
    const Result<void> taken_full = full_->take(full);
    if (!taken_full) return failed(taken_full.error());
    if (!headers_->done() || !full_->done()) {
      const bool stuck = (answers.empty() || headers_->stuck()) && (full.empty() || full_->stuck());
      if (stuck) pause_us = kContendedPauseUs;
      return std::optional(read_requests());
    }
    return judge();
  }

  Result<std::optional<Requests>> judge() {
    bool lacks_values = false;
    for (auto& [key, held] : held_) {
      if (held.done) continue;
      const bool full = shown_.contains(key);
      const json::object* item = (full ? *full_ : *headers_).find(key);
      if (held.unsure && item != nullptr && number_at<std::uint64_t>(*item, "c") == number_) {
        held.done = some_done_ = true;  // it was executed; only its answer was lost
        set_changes();
        continue;
      }
      if (held.unsure) unsure_ = true;  // replaced since, or not: nobody can tell
      if (apply_all(key, held, item, full)) lacks_values = true;
    }
    if (unsure_)
      return failed(make_error(Errc::io,
                               "backup: a row was written, or not: another one "
                               "has written it since"));
    if (lacks_values) return read_round();
    for (auto& [key, held] : held_) held.done |= !held.changed;
    if (together_ && !all_applied()) {
      for (BackupWritten& one : results_) {
        one.change = one.outcome == BackupOutcome::applied ? 0 : one.current.change;
      }
      return std::optional<Requests>();
    }
    return take_number();
  }

  // True: a value that is to be shown has not been read.
  bool apply_all(const FullKey& key, Held& held, const json::object* item, bool full) {
    StoredRow stored = stored_row(key, item, full ? &context_.values : nullptr);
    held.old_change = stored.exists && stored.change ? std::to_string(*stored.change) : "";
    held.row = std::move(stored.row);
    held.value_there = held.row.state == RowState::live;
    held.value_from = kNone;
    held.changed = held.unsure = false;
    const std::string unreadable = std::exchange(held.row.unreadable, {});
    const decltype(Record::value) value = std::exchange(held.row.record.value, {});
    bool lacks = false;
    for (const std::size_t index : held.writes) {
      const BackupWrite& write = writes_[index];
      AppliedWrite applied = apply_write(held.row, without_value(write));
      BackupWritten& out = results_[index];
      out = {};
      out.outcome = applied.outcome;
      out.incarnation = applied.row.incarnation;
      if (applied.outcome == BackupOutcome::applied) {
        held.row = std::move(applied.row);
        held.row.key = key;
        held.changed = true;
        if (write.kind == BackupWrite::Kind::touch) continue;
        held.value_there = false;
        held.value_from = index;
        continue;
      }
      out.change = applied.row.change;
      out.current = std::move(applied.row);
      if (out.current.state != RowState::live) continue;
      if (held.value_from != kNone) {
        out.current.record.value = writes_[held.value_from].row.record.value;
      } else if (full) {
        show(out.current, value, unreadable);
      } else {
        lacks = shown_.insert(key).second || lacks;
      }
    }
    return lacks;
  }

  void show(BackupRow& current, const decltype(Record::value)& value,
            const std::string& unreadable) {
    Record record;
    record.value = value;
    shown_bytes_ += record.memory_bytes();
    if (shown_bytes_ > kMaxBackupBytes) {
      current.unreadable = kLeftOut;
    } else {
      current.record.value = value;
      current.unreadable = unreadable;
    }
  }

  bool all_applied() const {
    return std::ranges::all_of(
        results_, [](const BackupWritten& one) { return one.outcome == BackupOutcome::applied; });
  }

  // -- writing
  // -------------------------------------------------------------------------------------

  Result<std::optional<Requests>> take_number() {
    std::uint32_t shards = 0;
    for (const auto& [key, held] : held_) {
      if (!held.done) shards |= std::uint32_t{1} << shard_of(key);
    }
    if (shards == 0) return finish_round();
    step_ = Step::number;
    valid_until_us = context_.service.options.now().mono_us + kValidUs;
    batches.push_back(new_batch_name());
    Requests out;
    out.push_back(
        begin_batch(context_.table(), batches.back(), shards, context_.service.wall_ms()));
    return std::optional(std::move(out));
  }

  Result<std::optional<Requests>> numbered(std::vector<Answer>& answers) {
    const Answer& answer = answers.at(0);
    // An earlier try has come through. Its number is not known to us: another one.
    if (answer.type == "ConditionalCheckFailedException" && answer.unsure) return take_number();
    if (answer.type == "ConditionalCheckFailedException") {
      return failed(make_error(Errc::unavailable,
                               "backup: the item \"head\" is not there: run "
                               "\"stayd backup init\""));
    }
    if (answer.error) return failed(answer.error->error);
    const Result<Head> head = head_of(item_in(answer, "Attributes"));
    if (!head) return failed(head.error());
    const auto mine = head->under_way.find(batches.back());
    if (mine == head->under_way.end()) {
      return failed(make_error(Errc::corrupt, "backup: DynamoDB gave no number"));
    }
    number_ = mine->second.number;
    stale_ = stale_batches(*head, context_.service.wall_ms());
    step_ = Step::write;
    wrote_ = true;
    return std::optional(write_requests());
  }

  Requests write_requests() {
    asked_.clear();
    Requests out;
    for (auto& [key, held] : held_) {
      if (held.done) continue;
      held.row.change = number_;
      asked_.push_back(key);
      const std::string* value = held.value_from != kNone ? &values_[held.value_from] : nullptr;
      out.push_back(write_row(context_.table(), held.row, value, held.old_change));
    }
    return together_ ? Requests{transaction(std::move(out), batches.back())} : out;
  }

  Result<std::optional<Requests>> written(std::vector<Answer>& answers) {
    return together_ ? written_together(answers.at(0)) : written_one_by_one(answers);
  }

  Result<std::optional<Requests>> written_one_by_one(const std::vector<Answer>& answers) {
    std::optional<Error> error;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      Held& held = held_.at(asked_[i]);
      if (!answers[i].error) {
        held.done = true;
        some_done_ = true;
      } else if (answers[i].type == "ConditionalCheckFailedException") {
        held.unsure = answers[i].unsure;
      } else {
        error = answers[i].error->error;
      }
    }
    if (error) return failed(*error);
    set_changes();
    return finish_round();
  }

  void set_changes() {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const bool done = held_.at(writes_[i].row.key).done;
      const bool applied = results_[i].outcome == BackupOutcome::applied;
      if (done && applied && results_[i].change == 0) results_[i].change = number_;
    }
  }

  Result<std::optional<Requests>> written_together(const Answer& answer) {
    if (answer.type == "TransactionCanceledException") {
      contended_ = true;  // somebody else has been at one of these rows: look again
      return finish_round();
    }
    if (answer.error) return failed(answer.error->error);
    for (auto& [key, held] : held_) held.done = true;
    for (BackupWritten& one : results_) one.change = number_;
    some_done_ = true;
    return finish_round();
  }

  // -- the end
  // -------------------------------------------------------------------------------------

  bool all_done() const {
    return std::ranges::all_of(held_, [](const auto& one) { return one.second.done; });
  }

  // What has ended, is no longer under way; and the host's entry, once all rows are there.
  Result<std::optional<Requests>> finish_round() {
    step_ = Step::end;
    Requests out;
    if (!batches.empty()) {
      std::vector<std::string> ending = batches;
      ending.insert(ending.end(), stale_.begin(), stale_.end());
      out.push_back(end_batches(context_.table(), ending));
    }
    const bool refused = batch_.together && !all_applied();
    if (batch_.host && all_done() && !refused && !host_done_) {
      BackupHost host = *batch_.host;
      host.seen_ms = context_.service.wall_ms();
      out.push_back(put_host(context_.table(), host));
      host_done_ = true;
    }
    if (out.empty()) return next_round();
    return std::optional(std::move(out));
  }

  Result<std::optional<Requests>> ended(const std::vector<Answer>& answers) {
    for (const Answer& answer : answers) {
      // A host's entry that is not later is none of our concern.
      if (answer.error && answer.type != "ConditionalCheckFailedException") {
        return failed(answer.error->error);
      }
    }
    batches.clear();
    valid_until_us = 0;
    return next_round();
  }

  Result<std::optional<Requests>> next_round() {
    if (all_done()) return std::optional<Requests>();
    if (++rounds_ > 2 || contended_) pause_us = kContendedPauseUs;
    contended_ = false;
    return read_round();
  }

  // Of rows that were written, or may have been, nobody may say that nothing has happened.
  Error failed(Error error) const {
    const bool nothing =
        !some_done_ && (error.code == Errc::unavailable || error.code == Errc::limit);
    if (wrote_ && !nothing) error.code = Errc::io;
    return error;
  }

  const BackupBatch& batch_;
  const std::vector<BackupWrite>& writes_;
  const Context context_;
  const bool together_;
  std::vector<std::string> values_;  // of each write, encoded
  std::map<FullKey, Held> held_;
  std::set<FullKey> shown_;  // keys of which somebody is shown what is there
  std::size_t shown_bytes_ = 0;
  std::vector<BackupWritten> results_;

  Step step_ = Step::begin;
  std::optional<BatchGet> headers_, full_;
  std::size_t asked_headers_ = 0;
  std::uint64_t number_ = 0;
  std::vector<FullKey> asked_;  // whose writes are on the way
  std::vector<std::string> stale_;
  bool wrote_ = false, some_done_ = false, host_done_ = false, contended_ = false;
  bool unsure_ = false;  // of a row nobody can tell whether it was written
  int rounds_ = 0;
};

}  // namespace

Result<std::unique_ptr<Task>> make_write_task(const BackupBatch& batch, Context context) {
  if (context.service.left() >= kMaxLeft) {
    return make_error(Errc::unavailable,
                      "backup: of too many writes it is not known yet whether "
                      "they were executed");
  }
  auto task = std::make_unique<WriteTask>(batch, context);
  const Result<void> built = task->build();
  if (!built) return built.error();
  return std::unique_ptr<Task>(std::move(task));
}

}  // namespace stayd::dynamo
