#include "core/fleet_sample.h"

#include <sstream>

namespace stayd {

namespace {

constexpr const char* kSample = "backup_sample";
constexpr std::int64_t kEachMs = 1000;
constexpr std::int64_t kAgainMs = 200;
constexpr std::int64_t kSaveMs = 100;
constexpr std::size_t kMaxBytes = 64 << 10;
constexpr std::int64_t kClocksMs = 60'000;  // by so much they may differ

// Numbers, then the key as it is.
std::string text_of(const BackupRow& row) {
  if (row.state == RowState::absent) return {};
  std::ostringstream out;
  out << row.incarnation << ' ' << static_cast<int>(row.state) << ' ' << row.hlc << ' '
      << row.origin << ' ' << row.record.expires_at_ms << ' ' << row.tomb_until_ms << ' '
      << row.key;
  return out.str();
}

BackupRow row_of(const std::string& text) {
  BackupRow row;
  int state = 0;
  std::istringstream in(text);
  in >> row.incarnation >> state >> row.hlc >> row.origin >> row.record.expires_at_ms >>
      row.tomb_until_ms;
  if (!in) return {};
  row.state = state == static_cast<int>(RowState::tomb) ? RowState::tomb : RowState::live;
  row.key = text.substr(static_cast<std::size_t>(in.tellg()) + 1);
  return row;
}

}  // namespace

void FleetSample::start() {
  saved_ = c_.ledger.fact(kSample);
  latest_ = next_ = row_of(saved_);
}

void FleetSample::saw(const BackupRow& row) {
  if (!must_be_there(row) || row.record.memory_bytes() > kMaxBytes) return;
  if (first_.state == RowState::absent) first_ = sample_of(row);
  if (row.hlc > latest_.hlc || !must_be_there(latest_)) latest_ = sample_of(row);
}

BackupRow FleetSample::sample_of(const BackupRow& row) const {
  BackupRow out{.key = row.key,
                .incarnation = row.incarnation,
                .state = row.state,
                .hlc = row.hlc,
                .origin = row.origin,
                .tomb_until_ms = row.tomb_until_ms};
  out.record.expires_at_ms = row.record.expires_at_ms;
  return out;
}

// No purge has removed it, by the backup's clock.
bool FleetSample::must_be_there(const BackupRow& row) const {
  if (row.state == RowState::absent) return false;
  const std::int64_t clock_ms = c_.now.wall_ms + c_.status.clock_offset_ms + kClocksMs;
  const std::int64_t expires_at_ms = row.record.expires_at_ms;
  if (row.state == RowState::tomb) return row.tomb_until_ms == 0 || row.tomb_until_ms > clock_ms;
  return expires_at_ms == 0 || expires_at_ms + kPurgeExpiredMs > clock_ms;
}

void FleetSample::on_tick() {
  if (c_.now.mono_us >= save_us_) {
    save_us_ = c_.in(kSaveMs);
    save(text_of(latest_));
  }
  const bool due = wanted_ || c_.now.mono_us >= due_us_;
  if (due && !under_way_ && c_.can_write()) ask();
}

void FleetSample::ask() {
  due_us_ = c_.in(kEachMs);
  look_ = std::exchange(wanted_, false);
  if (read_.empty()) {
    if (!must_be_there(next_)) next_ = latest_;
    for (const BackupRow& row : {next_, std::exchange(first_, {})}) {
      if (must_be_there(row)) read_.push_back(row);
    }
    next_ = latest_;
  }
  if (read_.empty()) return;
  under_way_ = true;
  std::vector<FullKey> keys;
  for (const BackupRow& row : read_) keys.push_back(row.key);
  c_.backup.read(std::move(keys), c_.backup_ops.token(*this, 0),
                 c_.in(c_.options.ship_deadline_ms));
}

void FleetSample::on_read(std::uint64_t, const Error& error, std::vector<BackupRow> rows) {
  under_way_ = false;
  if (!error.message.empty() || !c_.status.writable) {
    due_us_ = c_.in(kAgainMs);
    wanted_ = wanted_ || look_;
    return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const BackupRow& read = read_[i];
    if (!must_be_there(read)) continue;
    if (newer(read.incarnation, read.state, read.version(), rows[i])) gone_back_ = true;
  }
  read_.clear();
  if (gone_back_) latest_ = next_ = first_ = {};
}

void FleetSample::save(std::string text) {
  if (text == saved_) return;
  c_.ledger.put_fact(kSample, text);
  saved_ = std::move(text);
}

}  // namespace stayd
