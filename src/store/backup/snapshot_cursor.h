// Where a reader of the feed stands: what it has seen is everything that was committed in one
// snapshot of the database. Pure; any thread.
//
// A snapshot says of each transaction whether it had been committed then: below xmax, and not among
// those under way. So what is new since is exact, whatever commits late: rows whose `change` is at
// least xmax, or one of those under way. Paging: the first page's snapshot is the `target`; later
// pages, each in a snapshot of its own, show what is committed in the target, in the order of
// (change, key); what has changed since the target comes after it.
//
// Text: "1 EPOCH BASE", between pages "1 EPOCH BASE TARGET CHANGE KEY" with the last row shown; a
// snapshot as PostgreSQL writes it ("XMIN:XMAX:XID,XID"), "-" the beginning; KEY in hex.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

struct Snapshot {
  std::uint64_t xmin = 0;                // everything below has ended
  std::uint64_t xmax = 0;                // nothing from here on had begun to commit
  std::vector<std::uint64_t> under_way;  // in between, ascending

  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

std::optional<Snapshot> parse_snapshot(std::string_view text);
std::string snapshot_text(const Snapshot& snapshot);

// A snapshot that shows no more, and fits a cursor: at most `most` under way. What it leaves out
// comes later.
Snapshot cut(Snapshot snapshot, std::size_t most);
inline constexpr std::size_t kMaxUnderWay = 40;

struct CursorPosition {
  std::string epoch;
  std::optional<Snapshot> base;    // nullopt: the beginning
  std::optional<Snapshot> target;  // set between pages
  std::uint64_t change = 0;        // of the last row shown since base
  std::string key;
};

std::optional<CursorPosition> parse_cursor(std::string_view text);
std::string cursor_text(const CursorPosition& position);

}  // namespace stayd
