#include "store/backup/memory/memory_backup.h"

#include <algorithm>
#include <map>
#include <utility>

#include "store/backup/apply_write.h"

namespace stayd {

namespace {

Error too_large() {
  return make_error(Errc::limit, "backup: too many bytes of values at once");
}

}  // namespace

void MemoryBackup::run(Now now) {
  depart(now.mono_us);
  arrive(now);
  Operations due = take_due(now.mono_us);
  notice();
  for (Operation& operation : due) report(operation);
}

std::optional<std::int64_t> MemoryBackup::next_us() const {
  std::optional<std::int64_t> next;
  const auto consider = [&next](std::int64_t at) { next = std::min(next.value_or(at), at); };
  for (const Operation& one : operations_) {
    if (one.there_us < 0) consider(0);
    if (!one.reported) consider(one.deadline_us);
    if (one.back_us >= 0) consider(one.back_us);
    if (one.there_us >= 0 && one.back_us < 0 && !database_.frozen) consider(one.there_us);
  }
  return next;
}

void MemoryBackup::write(BackupBatch batch, BackupToken token, std::int64_t deadline_us) {
  Operation operation{std::move(batch), token, deadline_us};
  operation.result = std::vector<BackupWritten>();
  ask(std::move(operation));
}

void MemoryBackup::read(std::vector<FullKey> keys, BackupToken token, std::int64_t deadline_us) {
  Operation operation{std::move(keys), token, deadline_us};
  operation.result = std::vector<BackupRow>();
  ask(std::move(operation));
}

void MemoryBackup::feed(FeedCursor after, std::size_t limit, BackupToken token,
                        std::int64_t deadline_us) {
  Operation operation{Page{std::move(after), limit}, token, deadline_us};
  operation.result = FeedPage();
  ask(std::move(operation));
}

void MemoryBackup::ask(Operation operation) {
  std::optional<Error> error;
  if (const auto* batch = std::get_if<BackupBatch>(&operation.request)) {
    error = check_batch(*batch);
  } else if (const auto* keys = std::get_if<std::vector<FullKey>>(&operation.request)) {
    error = check_keys(*keys);
  }
  if (error) {
    operation.error = *error;
    operation.there_us = operation.back_us = 0;
  }
  operations_.push_back(std::move(operation));
}

void MemoryBackup::depart(std::int64_t mono_us) {
  for (Operation& one : operations_) {
    if (one.there_us >= 0) continue;
    const Latency latency = latency_ ? latency_() : Latency{};
    one.there_us = mono_us + latency.there_us;
    one.way_back_us = latency.back_us;
  }
}

// In the order of arrival, not of the calls.
void MemoryBackup::arrive(Now now) {
  std::multimap<std::int64_t, Operation*> arrived;  // among equals, in the order of the calls
  for (Operation& one : operations_) {
    if (one.there_us <= now.mono_us && one.back_us < 0) arrived.emplace(one.there_us, &one);
  }
  for (const auto& [at_us, one] : arrived) {
    if (database_.frozen && reachable()) {
      one->there_us = now.mono_us;  // at the earliest
    } else {
      execute(*one, now.wall_ms);
      one->back_us = one->there_us + one->way_back_us;
    }
  }
}

void MemoryBackup::execute(Operation& operation, std::int64_t wall_ms) {
  if (!reachable()) {
    operation.error = make_error(Errc::unavailable, "backup: down");
  } else if (const auto* batch = std::get_if<BackupBatch>(&operation.request)) {
    std::size_t bytes = 0;
    for (const BackupWrite& write : batch->writes) bytes += write.row.record.memory_bytes();
    if (bytes > database_.max_bytes) {
      operation.error = too_large();
    } else if (database_.read_only) {
      operation.error = make_error(Errc::unavailable, "backup: takes no writes");
    } else {
      operation.result = database_.write(*batch, wall_ms);
    }
  } else if (const auto* keys = std::get_if<std::vector<FullKey>>(&operation.request)) {
    auto& rows = std::get<std::vector<BackupRow>>(operation.result);
    std::size_t bytes = 0;
    for (const FullKey& key : *keys) {
      rows.push_back(database_.read(key));
      bytes += rows.back().record.memory_bytes();
    }
    if (bytes > database_.max_bytes && keys->size() > 1) operation.error = too_large();
  } else {
    const Page& page = std::get<Page>(operation.request);
    operation.result = database_.feed(page.after, page.limit, wall_ms);
  }
}

// What is to be reported now, in the order in which it came due.
MemoryBackup::Operations MemoryBackup::take_due(std::int64_t mono_us) {
  Operations due;
  for (auto next = operations_.begin(); next != operations_.end();) {
    const auto one = next++;
    const bool done = one->back_us >= 0;
    if (one->reported) {
      if (done) operations_.erase(one);
    } else if (done && one->back_us <= std::min(mono_us, one->deadline_us)) {
      due.splice(due.end(), operations_, one);
    } else if (one->deadline_us <= mono_us) {
      Operation late{{}, one->token, one->deadline_us};
      late.back_us = one->deadline_us;
      late.error = make_error(Errc::timed_out, "backup: no answer within the deadline");
      late.result = one->result;
      due.push_back(std::move(late));
      one->reported = true;
      if (done) operations_.erase(one);
    }
  }
  due.sort([](const Operation& a, const Operation& b) { return a.back_us < b.back_us; });
  return due;
}

void MemoryBackup::report(Operation& operation) {
  const Error& error = operation.error;
  const bool failed = !error.message.empty();
  if (auto* written = std::get_if<std::vector<BackupWritten>>(&operation.result)) {
    if (failed) written->clear();
    events_->on_written(operation.token, error, std::move(*written));
  } else if (auto* rows = std::get_if<std::vector<BackupRow>>(&operation.result)) {
    if (failed) rows->clear();
    events_->on_read(operation.token, error, std::move(*rows));
  } else {
    FeedPage page;
    if (!failed) page = std::move(std::get<FeedPage>(operation.result));
    events_->on_feed(operation.token, error, std::move(page));
  }
}

void MemoryBackup::notice() {
  const BackupStatus now = status();
  const bool other =
      now.up != told_.up || now.writable != told_.writable || now.epoch != told_.epoch;
  told_ = now;
  if (other) events_->on_status(now);
  if (!now.up || database_.frozen || hinted_ == database_.last_change()) return;
  hinted_ = database_.last_change();
  events_->on_hint();
}

BackupStatus MemoryBackup::status() const {
  BackupStatus out;
  out.up = reachable();
  out.writable = out.up && !database_.read_only;
  if (!out.up) out.error = "backup: down";
  out.epoch = out.up ? database_.epoch() : told_.epoch;
  out.clock_offset_ms = database_.clock_offset_ms;
  out.queued = static_cast<std::size_t>(std::count_if(
      operations_.begin(), operations_.end(), [](const Operation& one) { return !one.reported; }));
  return out;
}

}  // namespace stayd
