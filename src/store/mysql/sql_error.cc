#include "store/mysql/sql_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace stayd::mysql {
namespace {

enum Flag : unsigned { kRetry = 1, kReadOnly = 2, kFatal = 4 };

struct Meaning {
  unsigned from, to;
  Errc code;
  unsigned flags;
  const char* advice;
};

constexpr Meaning kMeanings[] = {
    {1021, 1021, Errc::no_space, 0, ""},  // disk full
    {1040, 1040, Errc::unavailable, kFatal, "raise max_connections"},
    {1044, 1044, Errc::unavailable, kFatal, "see docs/operating.md for the rights it needs"},
    {1045, 1045, Errc::unavailable, kFatal, ""},  // wrong password
    {1047, 1047, Errc::unavailable, kFatal, ""},  // a node of a cluster that is not ready
    {1049, 1049, Errc::unavailable, kFatal, "create the database first"},
    {1053, 1053, Errc::unavailable, kFatal, ""},  // it shuts down
    {1114, 1114, Errc::no_space, 0, ""},          // a table is full: the disk, or a limit
    {1129, 1130, Errc::unavailable, kFatal, ""},  // our address is blocked, or may not connect
    {1142, 1143, Errc::unavailable, 0, "see docs/operating.md for the rights it needs"},
    {1146, 1146, Errc::unavailable, 0, "run \"stayd backup init\""},
    {1153, 1153, Errc::limit, kFatal, "raise max_allowed_packet"},
    {1158, 1161, Errc::io, kFatal, ""},  // the network
    {1184, 1184, Errc::io, kFatal, ""},
    {1203, 1203, Errc::unavailable, kFatal, "raise max_user_connections"},
    {1205, 1205, Errc::unavailable, kRetry, ""},  // waited too long for a lock
    {1213, 1213, Errc::unavailable, kRetry, ""},  // deadlock
    {1226, 1226, Errc::unavailable, kFatal, "raise the user's limits"},
    {1227, 1227, Errc::unavailable, 0, "see docs/operating.md for the rights it needs"},
    {1290, 1290, Errc::unavailable, kReadOnly, ""},  // read_only, super_read_only
    {1317, 1317, Errc::timed_out, 0, ""},            // KILL QUERY
    {1665, 1665, Errc::unavailable, 0, "set binlog_format to MIXED or ROW"},
    {1698, 1698, Errc::unavailable, kFatal, ""},     // no password was asked for, and none will do
    {1792, 1792, Errc::unavailable, kReadOnly, ""},  // a read-only transaction
    {1836, 1836, Errc::unavailable, kReadOnly, ""},  // read-only mode
    {1927, 1927, Errc::io, kFatal, ""},              // the connection was killed
    {1969, 1969, Errc::timed_out, 0, ""},            // max_statement_time
    {3024, 3024, Errc::timed_out, 0, ""},            // max_execution_time
    {3118, 3118, Errc::unavailable, kFatal, ""},     // the account is locked
    {2013, 2013, Errc::io, kFatal, ""},              // lost on the way
    {2006, 2006, Errc::io, kFatal, ""},              // has gone away
    {2020, 2020, Errc::limit, kFatal, "raise max_allowed_packet"},
    {2055, 2055, Errc::io, kFatal, ""},
    {2000, 2999, Errc::unavailable, kFatal, ""},  // no connection: host, TLS, authentication
};

std::string one_line(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

}  // namespace

SqlError error_of(unsigned number, std::string_view message) {
  SqlError out;
  out.state = std::to_string(number);
  const auto* row = std::ranges::find_if(
      kMeanings, [number](const Meaning& one) { return one.from <= number && number <= one.to; });
  std::string text = fmt::format("backup: {} (error {})", one_line(message), number);
  if (row == std::end(kMeanings)) {
    out.error = make_error(Errc::io, text);
    return out;
  }
  if (*row->advice != '\0') text += fmt::format(": {}", row->advice);
  out.error = make_error(row->code, text);
  out.retry = (row->flags & kRetry) != 0;
  out.read_only = (row->flags & kReadOnly) != 0;
  out.fatal = (row->flags & kFatal) != 0;
  return out;
}

}  // namespace stayd::mysql
