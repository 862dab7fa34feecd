#include "daemon/row_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/log.h"
#include "resp/reply.h"

namespace stayd {

namespace {

std::string bytes_json(std::string_view bytes) {
  return is_utf8(bytes) ? json_quoted(bytes) : fmt::format("{{\"base64\":\"{}\"}}", base64(bytes));
}

// Appends "," before every item but the first.
void next_item(std::string& out, bool& first) {
  if (!first) out.push_back(',');
  first = false;
}

struct ValueWriter {
  std::string out;

  void operator()(const std::monostate&) { out = "null"; }
  void operator()(const std::string& value) { out = bytes_json(value); }
  void operator()(const OpaqueValue& value) {
    out = fmt::format("{{\"dump\":{{\"base64\":\"{}\"}}}}", base64(value.dump));
  }
  void operator()(const HashValue& value) {
    pairs(value, [](const auto& field) {
      return fmt::format("[{},{}]", bytes_json(field.first), bytes_json(field.second));
    });
  }
  void operator()(const SetValue& value) {
    pairs(value, [](const std::string& member) { return bytes_json(member); });
  }
  void operator()(const SortedSetValue& value) {
    // Quoted, because JSON has no infinity.
    pairs(value.ordered(), [](const auto& item) {
      return fmt::format("[{},\"{}\"]", bytes_json(item.second), format_double(item.first));
    });
  }

 private:
  template <class Items, class Text>
  void pairs(const Items& items, Text text) {
    out = "[";
    bool first = true;
    for (const auto& item : items) {
      next_item(out, first);
      out += text(item);
    }
    out.push_back(']');
  }
};

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= count ? kAlphabet[group >> (18 - 6 * j) & 63] : '=');
    }
  }
  return out;
}

std::string_view state_name(const RowMeta& meta) {
  if (meta.state == RowState::absent) return "absent";
  if (meta.state == RowState::tomb) return "tomb";
  return meta.stale ? "stale" : "live";
}

std::string_view type_name(ValueType type) {
  constexpr std::string_view kNames[] = {"none", "string", "hash", "set", "zset", "opaque"};
  return kNames[static_cast<int>(type)];
}

std::string row_json(std::string_view full_key, const Row& row) {
  const RowMeta& meta = row.meta;
  std::string out = fmt::format(
      "{{\"db\":{},\"key\":{},\"state\":\"{}\",\"type\":\"{}\",\"expires_at_ms\":{},"
      "\"created_at_ms\":{},\"version\":{}",
      db_of(full_key), bytes_json(key_of(full_key)), state_name(meta), type_name(meta.type),
      meta.expires_at_ms, meta.created_at_ms, meta.hlc);
  if (meta.state == RowState::tomb) {
    out += fmt::format(",\"tomb_until_ms\":{}", meta.tomb_until_ms);
  }
  if (meta.provisional) out += ",\"provisional\":true";
  if (meta.state == RowState::live) {
    ValueWriter writer;
    std::visit(writer, row.record.value);
    out += ",\"value\":" + writer.out;
  }
  return out + "}";
}

std::string row_line(std::string_view full_key, const RowMeta& meta) {
  const std::string_view key = key_of(full_key);
  const bool printable = is_utf8(key) && !key.empty() && std::ranges::none_of(key, [](char c) {
                           return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
                         });
  const std::int64_t until = meta.state == RowState::tomb ? meta.tomb_until_ms : meta.expires_at_ms;
  return fmt::format("{:<3}{:<7}{:<8}{:<26}{}", db_of(full_key), state_name(meta),
                     type_name(meta.type), until == 0 ? "-" : format_timestamp(until),
                     printable ? std::string(key) : json_quoted(key));
}

std::string stats_json(const LedgerReader::AtRestStats& stats) {
  std::string sealed;
  for (const auto& [key, count] : stats.sealed) {
    sealed += fmt::format("{}\"{}\":{}", sealed.empty() ? "" : ",", key, count);
  }
  return fmt::format(
      "{{\"live\":{},\"tombstones\":{},\"unreadable\":{},\"values_in_clear\":{},"
      "\"values_sealed\":{{{}}},\"master_key\":\"{}\",\"resealing\":{}}}\n",
      stats.live, stats.tombs, stats.unreadable, stats.plain, sealed, stats.master_key,
      stats.resealing);
}

std::string stats_text(const LedgerReader::AtRestStats& stats) {
  std::string out =
      fmt::format("live               {}\ntombstones         {}\n", stats.live, stats.tombs);
  if (stats.unreadable > 0) out += fmt::format("unreadable         {}\n", stats.unreadable);
  out += fmt::format("values in clear    {}\n", stats.plain);
  for (const auto& [key, count] : stats.sealed) {
    out += fmt::format("{:<19}{}\n", fmt::format("sealed, data key {} ", key), count);
  }
  if (stats.resealing) out += "older values are being sealed anew\n";
  return out + fmt::format("master key         {}\n",
                           stats.master_key.empty() ? "none" : stats.master_key);
}

}  // namespace stayd
