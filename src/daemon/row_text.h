// What is in the ledger as text. A row: one JSON object (`ledger export`, `ledger get`) or one line
// of a list (`ledger ls`). Its counts (`ledger stats`). Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session/record.h"
#include "store/ledger/reader.h"

namespace stayd {

// RFC 4648, with padding.
std::string base64(std::string_view bytes);

// {"db":0,"key":"sess:1","state":"live","type":"string","expires_at_ms":0,...,"value":...} without
// a line's end. Bytes that are not UTF-8 become {"base64":"..."}. Values: a string; a hash as
// pairs; a set as a list; a sorted set as pairs of member and score; other types
// {"dump":{"base64":"..."}}.
std::string row_json(std::string_view full_key, const Row& row);

// "0  live  string  2026-01-02T03:04:05.678Z  sess:1"; keys that are not printable are JSON texts.
std::string row_line(std::string_view full_key, const RowMeta& meta);

// One line of JSON; lines of a name and a number.
std::string stats_json(const LedgerReader::AtRestStats& stats);
std::string stats_text(const LedgerReader::AtRestStats& stats);

std::string_view state_name(const RowMeta& meta);  // "live", "stale", "tomb", "absent"
std::string_view type_name(ValueType type);

}  // namespace stayd
