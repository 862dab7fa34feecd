#include "store/postgres/sql_error.h"

#include <fmt/format.h>

#include <algorithm>

namespace stayd {
namespace {

// The first line that says something, without its "FATAL: ".
std::string one_line(std::string_view text) {
  text = text.substr(0, text.find_last_not_of("\n ") + 1);
  std::string out(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

struct Meaning {
  const char* state;  // five characters, or a class of two
  Errc code;
  bool retry;
  bool read_only;
  bool fatal;
  const char* advice;
};

constexpr Meaning kMeanings[] = {
    {"40001", Errc::unavailable, true, false, false, ""},  // serialization_failure
    {"40P01", Errc::unavailable, true, false, false, ""},  // deadlock_detected
    {"55P03", Errc::unavailable, true, false, false, ""},  // lock_not_available
    {"57014", Errc::timed_out, false, false, false, ""},   // query_canceled: statement_timeout
    {"25006", Errc::unavailable, false, true, false, ""},  // read_only_sql_transaction
    {"42P01", Errc::unavailable, false, false, false, "run \"stayd backup init\""},
    {"3F000", Errc::unavailable, false, false, false, "run \"stayd backup init\""},
    {"42501", Errc::unavailable, false, false, false,
     "the role needs rights on the schema stayd: see docs/operating.md"},
    {"28P01", Errc::unavailable, false, false, true, ""},  // invalid_password
    {"3D000", Errc::unavailable, false, false, true, "create the database first"},
    {"53100", Errc::no_space, false, false, false, ""},  // disk_full
    {"53300", Errc::unavailable, false, false, true, "raise max_connections"},
    {"57P", Errc::unavailable, false, false, true, ""},  // shutting down, starting
    {"08", Errc::io, false, false, true, ""},            // connection_exception
    {"28", Errc::unavailable, false, false, true, ""},
    {"53", Errc::unavailable, false, false, false, ""},
    {"54", Errc::limit, false, false, false, ""},
    {"XX001", Errc::corrupt, false, false, false, ""},     // data_corrupted
    {"XX002", Errc::corrupt, false, false, false, ""},     // index_corrupted
    {"0A000", Errc::unavailable, false, false, true, ""},  // a table was replaced: prepare anew
    {"26000", Errc::unavailable, false, false, true, ""},  // a pooler swapped the session
};

}  // namespace

SqlError classify(std::string_view state, std::string_view message) {
  SqlError out;
  out.state = state;
  const auto* row =
      std::find_if(std::begin(kMeanings), std::end(kMeanings),
                   [state](const Meaning& one) { return state.starts_with(one.state); });
  std::string text = fmt::format("backup: {}", one_line(message));
  if (!state.empty()) text += fmt::format(" (SQLSTATE {})", state);
  if (row == std::end(kMeanings)) {
    out.error = make_error(Errc::io, text);
    out.fatal = state.empty();
    return out;
  }
  if (*row->advice != '\0') text += fmt::format(": {}", row->advice);
  out.error = make_error(row->code, text);
  out.retry = row->retry;
  out.read_only = row->read_only;
  out.fatal = row->fatal;
  return out;
}

}  // namespace stayd
