// Rows and hosts as items of DynamoDB: docs/formats/backup_dynamodb.md. Pure; any thread. Reading
// never throws: what is missing or of another type makes the row `unreadable`.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/backup/backup.h"
#include "store/value_codec.h"

namespace stayd::dynamo {

namespace json = boost::json;

// Attribute values.
json::object text_value(std::string_view text);
json::object bytes_value(std::string_view bytes);
json::object number_value(std::uint64_t number);
json::object number_value(std::int64_t number);
// Of the item's attribute; nullopt: there is none of that type.
std::optional<std::string_view> text_at(const json::object& item, std::string_view name);
std::optional<std::string> bytes_at(const json::object& item, std::string_view name);
template <class T>
std::optional<T> number_at(const json::object& item, std::string_view name);
extern template std::optional<std::int64_t> number_at(const json::object&, std::string_view);
extern template std::optional<std::uint64_t> number_at(const json::object&, std::string_view);

// -- rows -----------------------------------------------------------------------------------------

inline constexpr int kShards = 16;
int shard_of(std::string_view key);
std::string shard_name(int shard);
json::object row_key(const FullKey& key);
// nullopt: the item is no row's.
std::optional<FullKey> row_key_of(const json::object& item);

// Attributes of a row but for its value, as ProjectionExpression takes them.
inline constexpr const char* kHeaderNames = "k, c, i, s, t, h, o, l, e, b, u";

// `value`: encoded; empty for a tombstone.
json::object item_of(const BackupRow& row, std::string_view value);
// When DynamoDB itself may remove the row, Unix seconds; 0: never. Not before a purge would.
std::int64_t ttl_of(const BackupRow& row);

struct StoredRow {
  BackupRow row;  // state absent: there is no item
  bool exists = false;
  // As it is in the item; nullopt although it exists: damaged.
  std::optional<std::uint64_t> change;
};
// `item`: nullptr: there is none. Without values the record has none either.
StoredRow stored_row(const FullKey& key, const json::object* item, ValueCodec* values);

// -- hosts ----------------------------------------------------------------------------------------

json::object host_key(std::uint64_t instance);
json::object item_of(const BackupHost& host);
// nullopt: it is damaged.
std::optional<BackupHost> host_of(const json::object& item);

}  // namespace stayd::dynamo
