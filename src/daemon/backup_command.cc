// `stayd backup`: makes the schema of the shared backup, and looks after its rows.
#include <fmt/format.h>

#include <ostream>

#include "base/real_time.h"
#include "core/fleet.h"
#include "daemon/at_rest_keys.h"
#include "daemon/commands.h"
#include "daemon/credentials.h"
#include "daemon/log.h"
#include "daemon/row_text.h"
#include "store/open_backup.h"

namespace stayd {

namespace {

using Command = CommandLine::Command;

int failed(const Error& error, Terminal terminal) {
  terminal.err << fmt::format("stayd: {}\n", error.message);
  return 1;
}

int init(BackupAdmin& admin, Terminal terminal) {
  using Made = BackupAdmin::Made;
  const Result<Made> made = admin.init();
  if (!made) return failed(made.error(), terminal);
  terminal.out << (*made == Made::schema    ? "the schema stayd has been made\n"
                   : *made == Made::upgrade ? "the schema stayd has been upgraded\n"
                                            : "the schema stayd is there already, and as it "
                                              "should be\n");
  return 0;
}

int stats(BackupAdmin& admin, const CommandLine& line, Terminal terminal) {
  const auto got = admin.stats(real_now().wall_ms);
  if (!got) return failed(got.error(), terminal);
  const char* const format =
      line.json ? "{{\"live\":{},\"expired\":{},\"tombstones\":{},\"without_redis\":{},"
                  "\"value_bytes\":{},\"disk_bytes\":{},\"writable\":{},\"epoch\":\"{}\"}}\n"
                : "live           {}\n  expired      {}\ntombstones     {}\nwithout redis  {}\n"
                  "value bytes    {}\ndisk bytes     {}\nwritable       {}\nepoch          {}\n";
  terminal.out << fmt::format(fmt::runtime(format), got->live, got->expired, got->tombs,
                              got->without_redis, got->value_bytes, got->disk_bytes, got->writable,
                              got->epoch);
  return 0;
}

// As of the ledger, and what only the backup knows.
std::string backup_row_json(const BackupRow& row) {
  std::string out = row_json(row.key, {.meta = meta_of(row), .record = row.record});
  out.pop_back();
  out += fmt::format(
      ",\"incarnation\":{},\"touched\":{},\"through_redis\":{},\"change\":{},\"origin\":{}",
      row.incarnation, row.touched_hlc, row.through_redis, row.change, row.origin);
  return out + "}";
}

int get(BackupAdmin& admin, const CommandLine& line, Terminal terminal) {
  const FullKey key = full_key(std::max(line.db, 0), line.key);
  const auto row = admin.get(key);
  if (!row) return failed(row.error(), terminal);
  if (!*row) {
    return failed(
        make_error(Errc::not_found, fmt::format("the backup knows no key \"{}\" in database {}",
                                                line.key, db_of(key))),
        terminal);
  }
  if (!line.json) terminal.out << row_line(key, meta_of(**row)) << '\n';
  terminal.out << backup_row_json(**row) << '\n';
  if ((*row)->unreadable.empty()) return 0;
  return failed(make_error(Errc::corrupt, (*row)->unreadable), terminal);
}

int purge(BackupAdmin& admin, Terminal terminal) {
  std::int64_t removed = 0;
  for (std::int64_t last = BackupAdmin::kPurgeBatch; last == BackupAdmin::kPurgeBatch;) {
    const Result<std::int64_t> batch = admin.purge();
    if (!batch) return failed(batch.error(), terminal);
    last = *batch;
    removed += last;
    if (terminal.live) terminal.out << fmt::format("\r\x1b[K{} rows removed", removed);
    terminal.out.flush();
  }
  terminal.out << (terminal.live ? "\r\x1b[K" : "") << removed << " rows removed\n";
  return 0;
}

}  // namespace

int run_backup(const CommandLine& line, Terminal terminal) {
  BackupOptions options;
  options.url = line.backup_url;
  options.now = real_now;
  if (!line.password_file.empty()) {
    options.password = [&line] { return read_password_file(line.password_file); };
  }
  const auto at_rest =
      AtRestKeys::read(AtRestConfig{.encryption_key_file = line.encryption_key_file});
  if (!at_rest) return failed(at_rest.error(), terminal);
  options.master_keys = [&at_rest] { return at_rest->keys; };
  const std::unique_ptr<BackupAdmin> admin = open_backup_admin(options);
  const Result<void> connected = admin->connect();
  if (!connected) return failed(connected.error(), terminal);
  if (line.command == Command::backup_init) return init(*admin, terminal);
  if (line.command == Command::backup_stats) return stats(*admin, line, terminal);
  if (line.command == Command::backup_get) return get(*admin, line, terminal);
  return purge(*admin, terminal);
}

}  // namespace stayd
