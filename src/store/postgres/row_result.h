// Rows out of libpq's results. Pure; any thread.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "store/backup/backup.h"
#include "store/value_codec.h"

namespace stayd {

struct ResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ResultDeleter>;

// Fields in binary format.
std::string_view bytes_at(const PGresult* result, int row, int column);
std::int64_t int8_at(const PGresult* result, int row, int column);
bool bool_at(const PGresult* result, int row, int column);

// Columns as kHostColumns.
BackupHost host_of(const PGresult* result, int row);

// Columns as kRowColumns. A value that does not decode becomes `unreadable`.
BackupRow row_of(const PGresult* result, int row, ValueCodec& values);

}  // namespace stayd
