// Reads: of keys, and of the feed. One packet each.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "store/backup/stored_value.h"
#include "store/mysql/feed_cursor.h"
#include "store/mysql/row_result.h"
#include "store/mysql/statements.h"
#include "store/mysql/task.h"

namespace stayd::mysql {
namespace {

constexpr unsigned kBeyond = kHeaderColumnCount + 1;

// How many bytes of values come before each row of `from`, in `order`.
std::string bytes_before(const char* from_alias, const char* order) {
  return fmt::format(
      "SUM({0}.value_bytes) OVER (ORDER BY {1} ROWS UNBOUNDED PRECEDING) - {0}.value_bytes "
      "AS bytes_before",
      from_alias, order);
}

// One statement or several, in one packet.
class OnePacket : public Task {
 public:
  Result<std::optional<std::string>> next(std::vector<Rows>& results) final {
    if (std::exchange(sent_, true)) {
      take(results);
      return std::optional<std::string>();
    }
    std::string sql = statement();
    if (const auto error = check_packet(sql, limits_)) return *error;
    return std::optional(std::move(sql));
  }

 protected:
  explicit OnePacket(Limits limits) : limits_(limits) {}
  virtual std::string statement() = 0;
  virtual void take(std::vector<Rows>& results) = 0;

 private:
  const Limits limits_;
  bool sent_ = false;
};

class ReadTask final : public OnePacket {
 public:
  ReadTask(const ReadRequest& request, ValueCodec& values, Limits limits)
      : OnePacket(limits), keys_(request.keys), values_(values) {}

  Result<BackupResult> finish() override {
    Result<std::vector<BackupRow>> rows =
        rows_in_order(keys_, std::move(found_), repeats_, beyond_);
    if (!rows) return rows.error();
    return BackupResult(std::move(*rows));
  }

 private:
  std::string statement() override {
    std::vector<FullKey> sorted = keys_;
    std::ranges::sort(sorted);
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    repeats_ = sorted.size() < keys_.size();
    const std::string keys = key_list(sorted);
    if (sorted.size() <= 1) {
      return fmt::format("SELECT {}, r.value, 0 FROM stayd_rows r WHERE r.row_key IN {}",
                         kHeaderColumns, keys);
    }
    return fmt::format(
        "SELECT {0}, CASE WHEN b.bytes_before < {1} THEN r.value END, b.bytes_before >= {1} "
        "FROM (SELECT q.row_key, {2} FROM stayd_rows q FORCE INDEX (PRIMARY) "
        "WHERE q.row_key IN {3}) b STRAIGHT_JOIN stayd_rows r ON r.row_key = b.row_key",
        kHeaderColumns, kMaxBackupBytes, bytes_before("q", "q.row_key"), keys);
  }

  void take(std::vector<Rows>& results) override {
    for (Rows& rows = results.at(0); rows.next();) {
      beyond_ |= rows.number<std::int64_t>(kBeyond) != 0;
      if (beyond_) return;
      BackupRow one = row_of(rows, values_);
      FullKey key = one.key;
      found_.emplace(std::move(key), std::move(one));
    }
  }

  const std::vector<FullKey>& keys_;
  ValueCodec& values_;
  std::map<FullKey, BackupRow> found_;
  bool beyond_ = false, repeats_ = false;  // a key is named again
};

class FeedTask final : public OnePacket {
 public:
  FeedTask(const FeedRequest& request, const BackupSession& session, ValueCodec& values,
           Limits limits)
      : OnePacket(limits),
        limit_(std::clamp<std::size_t>(request.limit, 1, 100'000)),
        values_(values) {
    auto position = parse_cursor(request.after);
    if (position && position->epoch == session.epoch) from_ = std::move(*position);
    from_.epoch = session.epoch;
  }

  Result<BackupResult> finish() override {
    // It has seen more than there is: the database has been put back behind our back.
    if (from_.change > last_change_) again = FeedCursor();
    if (again) return BackupResult(FeedPage());
    page_.more = page_.rows.size() > limit_ || bytes_ >= kMaxBackupBytes;
    if (page_.more || read_only_) page_.hosts.reset();
    if (page_.rows.size() > limit_) page_.rows.pop_back();
    CursorPosition next{from_.epoch, last_change_, std::nullopt};
    if (page_.more) {
      next.change = page_.rows.back().change;
      next.key = page_.rows.back().key;
      page_.complete_to = next.change - 1;
    } else {
      if (!page_.rows.empty()) next.change = std::max(next.change, page_.rows.back().change);
      page_.complete_to = next.change;
    }
    page_.next = cursor_text(next);
    return BackupResult(std::move(page_));
  }

 private:
  // Each statement sees what is committed when it begins: the hosts first, so that the rows lack
  // nothing that an entry speaks of, and no change after the last one that we call complete.
  // Whether it is a standby is asked each time: it may have taken over since this connection was
  // opened.
  std::string statement() override {
    return fmt::format("{}; SELECT last_change, @@global.read_only FROM stayd_meta; {}", hosts(),
                       row_statement());
  }

  std::string row_statement() const {
    std::string after = fmt::format("q.change_no > {}", from_.change);
    if (from_.key) {
      after = fmt::format("q.change_no >= {0} AND (q.change_no > {0} OR q.row_key > {1})",
                          from_.change, quoted(*from_.key));
    }
    return fmt::format(
        "SELECT {0}, r.value, b.bytes_before + r.value_bytes FROM (SELECT p.row_key, {1} FROM "
        "(SELECT q.row_key, q.change_no, "
        "q.value_bytes FROM stayd_rows q FORCE INDEX (stayd_rows_change) WHERE {2} "
        "ORDER BY q.change_no, q.row_key LIMIT {3}) p) b STRAIGHT_JOIN stayd_rows r "
        "ON r.row_key = b.row_key WHERE b.bytes_before < {4} ORDER BY r.change_no, r.row_key",
        kHeaderColumns, bytes_before("p", "p.change_no, p.row_key"), after, limit_ + 1,
        kMaxBackupBytes);
  }

  void take(std::vector<Rows>& results) override {
    BackupHosts& hosts = page_.hosts.emplace();
    for (Rows& rows = results.at(0); rows.next();) {
      hosts.clock_ms = rows.number<std::int64_t>(6);
      if (!rows.is_null(0)) hosts.hosts.push_back(host_of(rows));
    }
    if (Rows& meta = results.at(1); meta.next()) {
      last_change_ = meta.number<std::uint64_t>(0);
      read_only_ = is_on(meta.bytes(1));
    }
    for (Rows& rows = results.at(2); rows.next();) {
      page_.rows.push_back(row_of(rows, values_));
      bytes_ = rows.number<std::uint64_t>(kBeyond);  // as the server counts, which has cut there
    }
  }

  const std::size_t limit_;
  ValueCodec& values_;
  CursorPosition from_;
  std::uint64_t last_change_ = 0;
  std::size_t bytes_ = 0;
  FeedPage page_;
  bool read_only_ = true;
};

}  // namespace

std::optional<Error> check_packet(const std::string& packet, Limits limits) {
  if (packet.size() + 1 < limits.max_packet) return std::nullopt;
  return make_error(
      Errc::limit,
      fmt::format("backup: a statement of {} bytes, and the server's max_allowed_packet is {}: "
                  "raise it",
                  packet.size(), limits.max_packet));
}

Result<std::unique_ptr<Task>> make_task(const BackupOperation& operation,
                                        const BackupSession& session, ValueCodec& values,
                                        Limits limits) {
  if (const auto* write = std::get_if<WriteRequest>(&operation.request)) {
    return make_write_task(write->batch, values, limits);
  }
  if (const auto* read = std::get_if<ReadRequest>(&operation.request)) {
    return std::unique_ptr<Task>(std::make_unique<ReadTask>(*read, values, limits));
  }
  const auto& feed = std::get<FeedRequest>(operation.request);
  return std::unique_ptr<Task>(std::make_unique<FeedTask>(feed, session, values, limits));
}

}  // namespace stayd::mysql
