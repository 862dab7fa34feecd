#include <fmt/format.h>

#include <ostream>

#include "base/real_time.h"
#include "core/policy.h"
#include "daemon/at_rest_keys.h"
#include "daemon/commands.h"
#include "daemon/log.h"
#include "daemon/row_text.h"
#include "store/ledger/reader.h"

namespace stayd {

namespace {

std::int64_t wall_ms() {
  return real_now().wall_ms;
}

// Live rows, or tombstones with --tombs; expired ones neither way.
bool wanted(const CommandLine& line, const FullKey& key, const RowMeta& meta, std::int64_t now) {
  if (line.db >= 0 && db_of(key) != line.db) return false;
  const bool state = line.tombs ? meta.state == RowState::tomb : meta.live_at(now);
  return state && glob_match(line.match, key_of(key));
}

int list(const LedgerReader& reader, const CommandLine& line, Terminal terminal) {
  const bool as_json = line.json || line.command == CommandLine::Command::ledger_export;
  const std::int64_t now = wall_ms();
  std::int64_t count = 0;
  int exit_code = 0;
  reader.for_each([&](const FullKey& key, const Result<Row>& row) {
    if (!row) {
      terminal.err << fmt::format("stayd: key {} in database {}: {}\n", json_quoted(key_of(key)),
                                  db_of(key), row.error().message);
      exit_code = 1;
      return true;
    }
    if (!wanted(line, key, row->meta, now)) return true;
    terminal.out << (as_json ? row_json(key, *row) : row_line(key, row->meta)) << '\n';
    // A reader that has gone (head) ends it.
    return terminal.out.good() && (line.limit == 0 || ++count < line.limit);
  });
  return exit_code;
}

int get(const LedgerReader& reader, const CommandLine& line, Terminal terminal) {
  const FullKey key = full_key(std::max(line.db, 0), line.key);
  const auto row = reader.get(key);
  if (!row) {
    terminal.err << fmt::format("stayd: {}\n", row.error().message);
    return 1;
  }
  if (row->meta.state == RowState::absent) {
    terminal.err << fmt::format("stayd: the ledger knows no key \"{}\" in database {}\n", line.key,
                                db_of(key));
    return 1;
  }
  if (line.json) {
    terminal.out << row_json(key, *row) << '\n';
  } else {
    terminal.out << row_line(key, row->meta) << '\n' << row_json(key, *row) << '\n';
  }
  return 0;
}

}  // namespace

int run_ledger(const Config& config, const CommandLine& line, Terminal terminal) {
  const auto failed = [&terminal](const Error& error) {
    terminal.err << fmt::format("stayd: {}\n", error.message);
    return 1;
  };
  if (line.command == CommandLine::Command::ledger_stats) {
    const auto reader = open_reader(config.ledger.path, nullptr);
    if (!reader) return failed(reader.error());
    const auto stats = (*reader)->at_rest_stats();
    if (!stats) return failed(stats.error());
    terminal.out << (line.json ? stats_json(*stats) : stats_text(*stats));
    return 0;
  }
  const auto at_rest = AtRestKeys::read(config.at_rest);
  if (!at_rest) return failed(at_rest.error());
  const auto reader = open_reader(config.ledger.path, &*at_rest);
  if (!reader) return failed(reader.error());
  return line.command == CommandLine::Command::ledger_get ? get(**reader, line, terminal)
                                                          : list(**reader, line, terminal);
}

}  // namespace stayd
