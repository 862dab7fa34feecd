#include "store/backup/memory/memory_database.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "store/backup/apply_write.h"

namespace stayd {
namespace {

// "EPOCH/CHANGE": everything up to CHANGE has been seen.
std::uint64_t position(const FeedCursor& cursor, const std::string& epoch) {
  if (!cursor.starts_with(epoch + "/")) return 0;
  std::uint64_t out = 0;
  const char* end = cursor.data() + cursor.size();
  const auto read = std::from_chars(cursor.data() + epoch.size() + 1, end, out);
  return read.ec == std::errc() && read.ptr == end ? out : 0;
}

bool may_go(const BackupRow& row, std::int64_t wall_ms) {
  if (row.state == RowState::tomb) return row.tomb_until_ms != 0 && row.tomb_until_ms < wall_ms;
  const std::int64_t expiry = row.record.expires_at_ms;
  return expiry != 0 && expiry < wall_ms - kPurgeExpiredMs;
}

}  // namespace

std::vector<BackupWritten> MemoryDatabase::write(const BackupBatch& batch, std::int64_t wall_ms) {
  std::vector<BackupWritten> out;
  std::vector<BackupRow> held;  // until all of them are known
  bool all = true;
  for (const BackupWrite& write : batch.writes) {
    AppliedWrite applied = apply_write(read(write.row.key), write);
    BackupWritten& written = out.emplace_back();
    written.outcome = applied.outcome;
    written.incarnation = applied.row.incarnation;
    if (applied.outcome != BackupOutcome::applied) {
      all = false;
      written.change = applied.row.change;
      written.current = std::move(applied.row);
    } else if (batch.together) {
      held.push_back(std::move(applied.row));
    } else {
      put(std::move(applied.row));
      written.change = last_change_;
    }
  }
  if (batch.together && !all) return out;
  for (std::size_t i = 0; i < held.size(); ++i) {  // all were applied
    put(std::move(held[i]));
    out[i].change = last_change_;
  }
  if (batch.host) put(*batch.host, wall_ms);
  return out;
}

BackupRow MemoryDatabase::read(const FullKey& key) const {
  const auto found = rows_.find(key);
  if (found != rows_.end()) return found->second;
  BackupRow absent;
  absent.key = key;
  return absent;
}

void MemoryDatabase::damage(const FullKey& key) {
  BackupRow& row = rows_.at(key);
  row.record.value = {};
  row.unreadable = "damaged";
}

FeedPage MemoryDatabase::feed(const FeedCursor& after, std::size_t limit,
                              std::int64_t wall_ms) const {
  FeedPage page;
  auto next = by_change_.upper_bound(position(after, epoch_));
  for (; next != by_change_.end() && page.rows.size() < limit; ++next) {
    page.rows.push_back(rows_.at(next->second));
  }
  page.more = next != by_change_.end();
  page.complete_to = page.more ? std::prev(next)->first : last_change_;
  if (page.more && page.rows.empty()) page.complete_to = position(after, epoch_);
  page.next = fmt::format("{}/{}", epoch_, page.complete_to);
  if (page.more) return page;
  BackupHosts& hosts = page.hosts.emplace();
  hosts.clock_ms = wall_ms + clock_offset_ms;
  for (const auto& [instance, host] : hosts_) {
    if (host.seen_ms > hosts.clock_ms - kHostSeenMs) hosts.hosts.push_back(host);
  }
  return page;
}

std::size_t MemoryDatabase::purge(std::int64_t wall_ms) {
  std::vector<FullKey> going;
  for (const auto& [key, row] : rows_) {
    if (may_go(row, wall_ms)) going.push_back(key);
  }
  for (const FullKey& key : going) erase(key);
  std::erase_if(hosts_, [&](const auto& one) {
    return one.second.seen_ms < wall_ms + clock_offset_ms - kPurgeHostMs;
  });
  return going.size();
}

void MemoryDatabase::load_rows(const MemoryDatabase& then) {
  rows_ = then.rows_;
  by_change_ = then.by_change_;
  last_change_ = then.last_change_;
}

void MemoryDatabase::restore(Copy copy) {
  rows_ = std::move(copy.rows);
  last_change_ = copy.last_change;
  hosts_ = std::move(copy.hosts);
  by_change_.clear();
  for (const auto& [key, row] : rows_) by_change_.emplace(row.change, key);
  epoch_ = fmt::format("memory-{}", ++restores_);
}

void MemoryDatabase::put(BackupRow row) {
  erase(row.key);
  row.change = ++last_change_;
  by_change_.emplace(row.change, row.key);
  FullKey key = row.key;
  rows_.emplace(std::move(key), std::move(row));
}

void MemoryDatabase::put(BackupHost host, std::int64_t wall_ms) {
  BackupHost& there = hosts_[host.instance];
  if (there.instance != 0 && host.hlc <= there.hlc) return;
  there = std::move(host);
  there.seen_ms = wall_ms + clock_offset_ms;
}

void MemoryDatabase::erase(const FullKey& key) {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return;
  by_change_.erase(found->second.change);
  rows_.erase(found);
}

}  // namespace stayd
