// A batch of writes: one transaction, which nobody else writes beside (statements.h). First the
// rows that are there, without their values; apply_write() says what becomes of them; then what has
// changed, and the commit.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "store/backup/apply_write.h"
#include "store/backup/stored_value.h"
#include "store/mysql/row_result.h"
#include "store/mysql/statements.h"
#include "store/mysql/task.h"
#include "store/record_codec.h"

namespace stayd::mysql {
namespace {

constexpr const char* kInsert =
    "INSERT INTO stayd_rows (row_key, incarnation, state, through_redis, hlc, touched_hlc, "
    "expires_at_ms, created_at_ms, tomb_until_ms, change_no, origin, value_bytes, value) VALUES ";
constexpr const char* kReplace =
    " ON DUPLICATE KEY UPDATE incarnation = VALUES(incarnation), state = VALUES(state), "
    "through_redis = VALUES(through_redis), hlc = VALUES(hlc), touched_hlc = VALUES(touched_hlc), "
    "expires_at_ms = VALUES(expires_at_ms), created_at_ms = VALUES(created_at_ms), "
    "tomb_until_ms = VALUES(tomb_until_ms), change_no = VALUES(change_no), "
    "origin = VALUES(origin), value_bytes = VALUES(value_bytes), value = VALUES(value)";
constexpr const char* kTouch =
    " ON DUPLICATE KEY UPDATE touched_hlc = VALUES(touched_hlc), "
    "expires_at_ms = VALUES(expires_at_ms), change_no = VALUES(change_no)";
// Sent together at most, if the server takes that much: enough to be worth a round trip.
constexpr std::size_t kPacketBytes = 4 << 20;

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Without the value, which its literal stands for.
BackupWrite head_of(const BackupWrite& write) {
  const BackupRow& row = write.row;
  BackupWrite out{write.kind, {}, write.expected};
  out.row.incarnation = row.incarnation;
  out.row.state = row.state;
  out.row.hlc = row.hlc;
  out.row.origin = row.origin;
  out.row.touched_hlc = row.touched_hlc;
  out.row.record.expires_at_ms = row.record.expires_at_ms;
  out.row.created_at_ms = row.created_at_ms;
  out.row.tomb_until_ms = row.tomb_until_ms;
  out.row.through_redis = row.through_redis;
  return out;
}

// A key of the batch: the row as the writes so far have made it.
struct Held {
  BackupRow row;
  bool value_there = false;        // the value is the one in the database
  std::size_t bytes_there = 0;     // ... and so long
  bool wanted = false;             // ... and is to be shown
  std::size_t value_from = kNone;  // ... or the one of this write
  bool changed = false;
};

// Statements that are packed into as few packets as the server takes.
class Packets {
 public:
  explicit Packets(Limits limits) : limits_(limits) {}

  void add(std::string statement) {
    const std::size_t most = std::min(limits_.max_packet, kPacketBytes);
    const bool fits = !all_.empty() && all_.back().size() + statement.size() + 8 < most;
    if (!fits) all_.emplace_back();
    if (all_.back().empty()) {
      all_.back() = std::move(statement);
      return;
    }
    all_.back() += "; ";
    all_.back() += statement;
  }
  // A row of `head` VALUES (columns,value), (columns,value) `tail`, which end_rows() closes.
  void add_row(const char* head, const char* tail, std::string_view columns,
               std::string_view value) {
    const std::size_t most = std::min(limits_.max_packet, kPacketBytes);
    const std::size_t more = columns.size() + value.size() + std::string_view(tail).size() + 8;
    const bool fits = !rows_.empty() && rows_.size() + more <= most;
    if (!fits) end_rows(tail);
    rows_ += fits ? "," : head;
    rows_ += '(';
    rows_ += columns;
    rows_ += ',';
    rows_ += value;
    rows_ += ')';
  }
  void end_rows(const char* tail) {
    if (rows_.empty()) return;
    rows_ += tail;
    add(std::exchange(rows_, {}));
  }
  std::vector<std::string> take() { return std::move(all_); }

 private:
  const Limits limits_;
  std::vector<std::string> all_;
  std::string rows_;
};

class WriteTask final : public Task {
 public:
  WriteTask(const BackupBatch& batch, ValueCodec& values, Limits limits)
      : batch_(batch),
        writes_(batch.writes),
        limits_(limits),
        values_(values),
        results_(batch.writes.size()) {}

  // Values become SQL before the transaction begins, which holds up everybody else's: in it each is
  // copied once more, into its packet.
  Result<void> build() {
    std::size_t bytes = 0;
    for (const BackupWrite& write : writes_) {
      literals_.emplace_back();
      if (write.kind == BackupWrite::Kind::touch || write.row.state != RowState::live) continue;
      const std::string value = encode_value(write.row.record, values_, write.row.key);
      bytes += value.size();
      literals_.back().bytes = value.size();
      literals_.back().sql = quoted(value);
      // With the rest of its statement.
      if (literals_.back().sql.size() + 2 * write.row.key.size() + 2048 >= limits_.max_packet) {
        return make_error(
            Errc::limit, fmt::format("backup: row {}: a value of {} bytes, of which a statement is "
                                     "made, and the server's max_allowed_packet is {}: raise it",
                                     literals_.size() - 1, value.size(), limits_.max_packet));
      }
    }
    if (bytes <= kMaxBackupBytes) return {};
    return make_error(Errc::limit, "backup: more than 64 MB of values in one batch");
  }

  Result<std::optional<std::string>> next(std::vector<Rows>& results) override {
    if (!begun_) return begin();
    if (!decided_) {
      const Result<void> decided = decide(results);
      if (!decided) return decided.error();
    } else if (fetches_ && sent_ == 1) {
      take_values(results.at(0));
    }
    if (sent_ == packets_.size()) return std::optional<std::string>();
    return std::optional(std::move(packets_[sent_++]));
  }

  bool in_transaction() const override { return begun_; }
  Result<BackupResult> finish() override { return BackupResult(std::move(results_)); }

 private:
  struct Literal {
    std::string sql = "NULL";
    std::size_t bytes = 0;
  };

  Result<std::optional<std::string>> begin() {
    std::string sql = kBegin;
    if (!writes_.empty()) {
      sql += fmt::format(
          "; SELECT {}, r.value_bytes FROM stayd_rows r FORCE INDEX (PRIMARY) "
          "WHERE r.row_key IN {} FOR UPDATE",
          kHeaderColumns, key_list(keys()));
    }
    if (const auto error = check_packet(sql, limits_)) return *error;
    begun_ = true;
    return std::optional(std::move(sql));
  }

  std::vector<FullKey> keys() const {
    std::vector<FullKey> out;
    for (const BackupWrite& write : writes_) out.push_back(write.row.key);
    return out;
  }

  Result<void> decide(std::vector<Rows>& results) {
    Rows& meta = results.at(kBeginResults - 1);
    if (!meta.next()) {
      return make_error(Errc::unavailable,
                        "backup: stayd_meta is empty: run \"stayd backup init\"");
    }
    read_only = is_on(meta.bytes(1));
    if (read_only) {  // some users may write all the same
      return make_error(Errc::unavailable, "backup: the server is read-only");
    }
    const auto change = meta.number<std::uint64_t>(0);
    for (const BackupWrite& write : writes_) held_[write.row.key].row.key = write.row.key;
    if (!writes_.empty()) {
      for (Rows& rows = results.at(kBeginResults); rows.next();) {
        Held& held = held_[FullKey(rows.bytes(0))];
        held.row = header_of(rows);
        held.value_there = held.row.state == RowState::live;
        held.bytes_there = rows.number<std::uint64_t>(kHeaderColumnCount);
      }
    }
    for (std::size_t i = 0; i < writes_.size(); ++i) apply(i, change);
    make_packets(change);
    decided_ = true;
    return {};
  }

  void apply(std::size_t index, std::uint64_t change) {
    const BackupWrite& write = writes_[index];
    Held& held = held_.at(write.row.key);
    AppliedWrite applied = apply_write(held.row, head_of(write));
    BackupWritten& out = results_[index];
    out.outcome = applied.outcome;
    out.incarnation = applied.row.incarnation;
    if (applied.outcome != BackupOutcome::applied) {
      all_applied_ = false;
      out.change = applied.row.change;
      out.current = std::move(applied.row);
      if (held.value_there) want_value(held, index);
      const bool earlier = held.value_from != kNone && out.current.state == RowState::live;
      if (earlier) out.current.record.value = writes_[held.value_from].row.record.value;
      return;
    }
    held.row = std::move(applied.row);
    held.row.key = write.row.key;
    held.row.change = out.change = change;
    held.changed = true;
    if (write.kind == BackupWrite::Kind::touch) return;
    held.value_there = false;
    held.value_from = index;
  }

  void want_value(Held& held, std::size_t index) {
    if (!held.wanted && wanted_bytes_ >= kMaxBackupBytes) {
      results_[index].current.unreadable = kLeftOut;
      return;
    }
    if (!held.wanted) wanted_bytes_ += held.bytes_there;
    held.wanted = true;
    wanted_.push_back(index);
  }

  void make_packets(std::uint64_t change) {
    Packets packets(limits_);
    // As they are before anything is written.
    fetches_ = !wanted_.empty();
    if (fetches_) packets.add(value_statement());
    if (batch_.together && !all_applied_) {
      for (BackupWritten& one : results_) {
        if (one.outcome == BackupOutcome::applied) one.change = 0;
      }
      packets.add(kUndo);
      packets_ = packets.take();
      return;
    }
    bool any = false;
    for (const bool touches : {false, true}) {
      for (const auto& [key, held] : held_) {
        if (!held.changed || touches != (held.value_from == kNone)) continue;
        packets.add_row(kInsert, touches ? kTouch : kReplace, columns_of(held),
                        literal_of(held).sql);
        any = true;
      }
      packets.end_rows(touches ? kTouch : kReplace);
    }
    if (any)
      packets.add(fmt::format("UPDATE stayd_meta SET last_change = {} WHERE one = 1", change));
    if (batch_.host) packets.add(host_statement(*batch_.host));
    packets.add(kCommit);
    packets_ = packets.take();
  }

  std::string value_statement() const {
    std::vector<FullKey> wanted;
    for (const std::size_t index : wanted_) wanted.push_back(writes_[index].row.key);
    return fmt::format("SELECT {}, r.value FROM stayd_rows r WHERE r.row_key IN {}", kHeaderColumns,
                       key_list(std::move(wanted)));
  }

  void take_values(Rows& rows) {
    std::map<FullKey, BackupRow> found;
    while (rows.next()) {
      BackupRow row = row_of(rows, values_);
      FullKey key = row.key;
      found.emplace(std::move(key), std::move(row));
    }
    for (const std::size_t index : wanted_) {
      BackupRow& current = results_[index].current;
      const auto row = found.find(current.key);
      if (row == found.end()) continue;
      current.record.value = row->second.record.value;
      current.unreadable = row->second.unreadable;
    }
  }

  const Literal& literal_of(const Held& held) const {
    static const Literal null;
    return held.value_from == kNone ? null : literals_[held.value_from];
  }

  // All but the value.
  std::string columns_of(const Held& held) const {
    const BackupRow& row = held.row;
    return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}", quoted(row.key), row.incarnation,
                       static_cast<int>(row.state), row.through_redis ? 1 : 0, row.hlc,
                       row.touched_hlc, row.record.expires_at_ms, row.created_at_ms,
                       row.tomb_until_ms, row.change, row.origin, literal_of(held).bytes);
  }

  // What decides comes last: the assignments see each other.
  static std::string host_statement(const BackupHost& host) {
    std::string set;
    for (const char* column : {"name", "trusts_redis", "shipped_to", "seen_ms", "hlc"}) {
      set += fmt::format("{0}{1} = IF(VALUES(hlc) > hlc, VALUES({1}), {1})",
                         set.empty() ? "" : ", ", column);
    }
    return fmt::format(
        "INSERT INTO stayd_hosts (instance, name, hlc, trusts_redis, shipped_to, seen_ms) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON DUPLICATE KEY UPDATE {}",
        host.instance, quoted(host.name), host.hlc, host.trusts_redis ? 1 : 0, host.shipped_to,
        kClockMs, set);
  }

  const BackupBatch& batch_;
  const std::vector<BackupWrite>& writes_;
  const Limits limits_;
  ValueCodec& values_;
  std::vector<Literal> literals_;    // of each write
  std::map<FullKey, Held> held_;     // by key: everybody writes in that order
  std::vector<std::size_t> wanted_;  // writes whose `current` needs the value that is there
  std::size_t wanted_bytes_ = 0;
  std::vector<BackupWritten> results_;
  std::vector<std::string> packets_;
  std::size_t sent_ = 0;
  bool begun_ = false, decided_ = false, fetches_ = false, all_applied_ = true;
};

}  // namespace

Result<std::unique_ptr<Task>> make_write_task(const BackupBatch& batch, ValueCodec& values,
                                              Limits limits) {
  auto task = std::make_unique<WriteTask>(batch, values, limits);
  const Result<void> built = task->build();
  if (!built) return built.error();
  return std::unique_ptr<Task>(std::move(task));
}

}  // namespace stayd::mysql
