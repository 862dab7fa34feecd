// Reads: of keys, and of the feed (feed_cursor.h says how that is exact).
#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "store/backup/snapshot_cursor.h"
#include "store/backup/stored_value.h"
#include "store/postgres/statements.h"
#include "store/postgres/task.h"

namespace stayd {
namespace {

class ReadTask final : public Task {
 public:
  ReadTask(const ReadRequest& operation, ValueCodec& values)
      : keys_(operation.keys), values_(values) {
    std::vector<std::string_view> sorted(keys_.begin(), keys_.end());
    std::ranges::sort(sorted);
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    repeats_ = sorted.size() < keys_.size();
    ArrayParam keys(ArrayParam::Type::bytea);
    for (const std::string_view key : sorted) keys.add_bytes(key);
    Params params;
    params.add(keys);
    params.add_int8(kMaxBackupBytes);
    executions_.push_back({"read", std::move(params)});
  }

  void take(std::size_t, const PGresult* result) override {
    for (int row = 0; row < PQntuples(result); ++row) {
      BackupRow one = row_of(result, row, values_);
      beyond_ |= bool_at(result, row, kRowColumnCount);
      FullKey key = one.key;
      found_.emplace(std::move(key), std::move(one));
    }
  }

  Result<BackupResult> finish() override {
    Result<std::vector<BackupRow>> rows =
        rows_in_order(keys_, std::move(found_), repeats_, beyond_);
    if (!rows) return rows.error();
    return BackupResult(std::move(*rows));
  }

 private:
  const std::vector<FullKey>& keys_;
  ValueCodec& values_;
  std::map<FullKey, BackupRow> found_;
  bool beyond_ = false, repeats_ = false;  // a key is named again
};

class FeedTask final : public Task {
 public:
  FeedTask(const FeedRequest& operation, const BackupSession& session, ValueCodec& values)
      : era_base_(static_cast<std::uint64_t>(session.era_base)),
        limit_(std::clamp<std::size_t>(operation.limit, 1, 100'000)),
        values_(values) {
    auto position = parse_cursor(operation.after);
    if (position && position->epoch == session.epoch) from_ = std::move(*position);
    from_.epoch = session.epoch;
    // In a snapshot of its own, before that of the rows: so the rows lack nothing that an entry
    // speaks of.
    if (!from_.target) {
      Params day;
      day.add_int8(kHostSeenMs);
      executions_.push_back({"hosts", std::move(day)});
    }
    executions_.push_back({"feed", params()});
  }

  void take(std::size_t index, const PGresult* result) override {
    if (index + 1 < executions_.size()) return take_hosts(result);
    constexpr int kKey = 0, kValue = kRowColumnCount - 1, kSnapshot = kRowColumnCount;
    for (int row = 0; row < PQntuples(result); ++row) {
      snapshot_ = bytes_at(result, row, kSnapshot);
      if (PQgetisnull(result, row, kKey) != 0) continue;  // the snapshot alone
      page_.rows.push_back(row_of(result, row, values_));
      bytes_ += bytes_at(result, row, kValue).size();
    }
  }

  Result<BackupResult> finish() override {
    const bool standby = snapshot_.ends_with('!');
    if (standby) snapshot_.pop_back();
    auto now = parse_snapshot(snapshot_);
    if (!now) return make_error(Errc::corrupt, "backup: no snapshot: \"" + snapshot_ + "\"");
    // Older than what was seen before: the database has been put back behind our back.
    if (from_.base && !standby && from_.base->xmax > now->xmax) again = FeedCursor();
    if (again) return BackupResult(FeedPage());
    const bool full = page_.rows.size() > limit_ || bytes_ >= kMaxBackupBytes;
    // Later pages do not show the rows that have changed since the first one: the next round does.
    page_.more = full || from_.target;
    if (page_.more || standby) page_.hosts.reset();
    if (page_.rows.size() > limit_) page_.rows.pop_back();
    const Snapshot target = from_.target ? *from_.target : next_target(*now, standby);
    if (full) {
      page_.complete_to = from_.base ? era_base_ + from_.base->xmin - 1 : 0;
      page_.next = cursor_text(
          {from_.epoch, from_.base, target, page_.rows.back().change, page_.rows.back().key});
    } else {
      page_.complete_to = era_base_ + target.xmin - 1;
      page_.next = cursor_text({from_.epoch, target, std::nullopt, 0, ""});
    }
    return BackupResult(std::move(page_));
  }

 private:
  void take_hosts(const PGresult* result) {
    BackupHosts& hosts = page_.hosts.emplace();
    for (int row = 0; row < PQntuples(result); ++row) {
      hosts.clock_ms = int8_at(result, row, kHostColumnCount);
      if (PQgetisnull(result, row, 0) == 0) hosts.hosts.push_back(host_of(result, row));
    }
  }
  // A standby does not tell which transactions are under way, and may be behind what was seen.
  Snapshot next_target(const Snapshot& now, bool standby) const {
    if (!standby) return cut(now, kMaxUnderWay);
    if (from_.base && from_.base->xmax > now.xmin) return *from_.base;
    return {now.xmin, now.xmin, {}};
  }

  Params params() const {
    const auto change = [this](std::uint64_t xid) {
      return static_cast<std::int64_t>(era_base_ + xid);
    };
    ArrayParam late(ArrayParam::Type::int8), not_yet(ArrayParam::Type::int8);
    std::pair<std::int64_t, std::string> from(0, "");
    if (from_.target) from = {static_cast<std::int64_t>(from_.change), from_.key};
    std::pair<std::int64_t, std::string> behind(0, "");
    if (from_.base) {
      for (const std::uint64_t xid : from_.base->under_way) {
        if (change(xid) >= from.first) late.add_int8(change(xid));
      }
      behind.first = change(from_.base->xmax);
    }
    behind = std::max(behind, from);
    std::int64_t below = std::numeric_limits<std::int64_t>::max();
    if (from_.target) {
      below = change(from_.target->xmax);
      for (const std::uint64_t xid : from_.target->under_way) not_yet.add_int8(change(xid));
    }
    Params out;
    out.add(late);
    out.add_int8(from.first);
    out.add(from.second);
    out.add_int8(behind.first);
    out.add(behind.second);
    out.add_int8(below);
    out.add(not_yet);
    out.add_int8(static_cast<std::int64_t>(limit_ + 1));
    out.add_int8(kMaxBackupBytes);
    return out;
  }

  const std::uint64_t era_base_;
  const std::size_t limit_;
  ValueCodec& values_;
  CursorPosition from_;
  std::string snapshot_;
  std::size_t bytes_ = 0;
  FeedPage page_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_task(const BackupOperation& operation,
                                        const BackupSession& session, ValueCodec& values) {
  if (const auto* write = std::get_if<WriteRequest>(&operation.request)) {
    return make_write_task(*write, session, values);
  }
  if (const auto* read = std::get_if<ReadRequest>(&operation.request)) {
    return std::unique_ptr<Task>(std::make_unique<ReadTask>(*read, values));
  }
  const auto& feed = std::get<FeedRequest>(operation.request);
  return std::unique_ptr<Task>(std::make_unique<FeedTask>(feed, session, values));
}

}  // namespace stayd
