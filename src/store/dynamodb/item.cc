#include "store/dynamodb/item.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "store/backup/cursor_text.h"
#include "store/backup/stored_value.h"

namespace stayd::dynamo {
namespace {

// What a damaged clock or a host that is far ahead may be wrong by is nothing against this; TTL is
// for what nobody has purged.
constexpr std::int64_t kTtlSlackMs = 24 * 3'600'000;

std::string to_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out(3 * (text.size() / 4) + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  std::size_t padding = 0;  // counted as zeros
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - std::min(padding, static_cast<std::size_t>(size)));
  return out;
}

std::optional<std::string_view> string_of(const json::object& item, std::string_view name,
                                          const char* type) {
  const json::value* attribute = item.if_contains(name);
  if (attribute == nullptr || !attribute->is_object()) return std::nullopt;
  const json::value* value = attribute->get_object().if_contains(type);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->get_string());
}

json::object one(const char* type, std::string_view text) {
  json::object out;
  out.emplace(type, text);
  return out;
}

std::string big_endian(std::uint64_t number) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) {
    out[static_cast<std::size_t>(7 - i)] = static_cast<char>(number >> (8 * i) & 0xff);
  }
  return out;
}

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

// Takes one attribute after the other; remembers the first that is missing.
class Reader {
 public:
  explicit Reader(const json::object& item) : item_(item) {}
  template <class T, class Field>
  void number(const char* name, Field& out) {
    const std::optional<T> value = number_at<T>(item_, name);
    if (value) out = static_cast<Field>(*value);
    if (!value && missing_ == nullptr) missing_ = name;
  }
  const char* missing() const { return missing_; }

 private:
  const json::object& item_;
  const char* missing_ = nullptr;
};

}  // namespace

json::object text_value(std::string_view text) {
  return one("S", text);
}
json::object bytes_value(std::string_view bytes) {
  return one("B", to_base64(bytes));
}
json::object number_value(std::uint64_t number) {
  return one("N", std::to_string(number));
}
json::object number_value(std::int64_t number) {
  return one("N", std::to_string(number));
}

std::optional<std::string_view> text_at(const json::object& item, std::string_view name) {
  return string_of(item, name, "S");
}

std::optional<std::string> bytes_at(const json::object& item, std::string_view name) {
  const auto text = string_of(item, name, "B");
  return text ? from_base64(*text) : std::nullopt;
}

template <class T>
std::optional<T> number_at(const json::object& item, std::string_view name) {
  const auto text = string_of(item, name, "N");
  return text ? parsed_number<T>(*text) : std::nullopt;
}
template std::optional<std::int64_t> number_at(const json::object&, std::string_view);
template std::optional<std::uint32_t> number_at(const json::object&, std::string_view);
template std::optional<std::uint64_t> number_at(const json::object&, std::string_view);

// FNV-1a.
int shard_of(std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return static_cast<int>((hash ^ hash >> 32) % kShards);
}

std::string shard_name(int shard) {
  return fmt::format("r{}", shard);
}

json::object row_key(const FullKey& key) {
  json::object out;
  out.emplace("p", text_value(shard_name(shard_of(key))));
  out.emplace("k", bytes_value(key));
  return out;
}

std::optional<FullKey> row_key_of(const json::object& item) {
  return bytes_at(item, "k");
}

std::int64_t ttl_of(const BackupRow& row) {
  const bool live = row.state == RowState::live;
  const std::int64_t until = live ? row.record.expires_at_ms : row.tomb_until_ms;
  if (until <= 0) return 0;
  const std::int64_t slack = kTtlSlackMs + (live ? kPurgeExpiredMs : 0);
  return until / 1000 + slack / 1000;
}

json::object item_of(const BackupRow& row, std::string_view value) {
  json::object out = row_key(row.key);
  out.emplace("c", number_value(row.change));
  out.emplace("i", number_value(std::uint64_t{row.incarnation}));
  out.emplace("s", number_value(std::uint64_t{row.state == RowState::tomb ? 2U : 1U}));
  out.emplace("t", number_value(std::uint64_t{row.through_redis ? 1U : 0U}));
  out.emplace("h", number_value(row.hlc));
  out.emplace("o", number_value(row.origin));
  out.emplace("l", number_value(row.touched_hlc));
  out.emplace("e", number_value(row.record.expires_at_ms));
  out.emplace("b", number_value(row.created_at_ms));
  out.emplace("u", number_value(row.tomb_until_ms));
  if (const std::int64_t ttl = ttl_of(row); ttl != 0) out.emplace("x", number_value(ttl));
  out.emplace("z", number_value(std::uint64_t{value.size()}));
  if (!value.empty()) out.emplace("v", bytes_value(value));
  return out;
}

StoredRow stored_row(const FullKey& key, const json::object* item, ValueCodec* values) {
  StoredRow out;
  BackupRow& row = out.row;
  row.key = key;
  if (item == nullptr) return out;
  out.exists = true;
  out.change = number_at<std::uint64_t>(*item, "c");
  Reader reader(*item);
  std::int64_t state = 1, expires_at_ms = 0;
  reader.number<std::int64_t>("s", state);
  reader.number<std::uint64_t>("c", row.change);
  reader.number<std::uint32_t>("i", row.incarnation);
  reader.number<std::int64_t>("t", row.through_redis);
  reader.number<std::uint64_t>("h", row.hlc);
  reader.number<std::uint64_t>("o", row.origin);
  reader.number<std::uint64_t>("l", row.touched_hlc);
  reader.number<std::int64_t>("e", expires_at_ms);
  reader.number<std::int64_t>("b", row.created_at_ms);
  reader.number<std::int64_t>("u", row.tomb_until_ms);
  if (values == nullptr) {
    row.state = state == 2 ? RowState::tomb : RowState::live;
  } else if (state == 1 && !bytes_at(*item, "v")) {
    row.state = RowState::live;
    row.unreadable = "item: no bytes \"v\"";
  } else {
    set_stored(row, state, bytes_at(*item, "v").value_or(""), *values);
  }
  row.record.expires_at_ms = expires_at_ms;
  if (reader.missing() != nullptr) {
    row.unreadable = fmt::format("item: no number \"{}\"", reader.missing());
    row.record.value = {};
  }
  return out;
}

json::object host_key(std::uint64_t instance) {
  json::object out;
  out.emplace("p", text_value("hosts"));
  out.emplace("k", bytes_value(big_endian(instance)));
  return out;
}

json::object item_of(const BackupHost& host) {
  json::object out = host_key(host.instance);
  if (!host.name.empty()) out.emplace("d", bytes_value(host.name));
  out.emplace("h", number_value(host.hlc));
  out.emplace("t", number_value(std::uint64_t{host.trusts_redis ? 1U : 0U}));
  out.emplace("l", number_value(host.shipped_to));
  out.emplace("e", number_value(host.seen_ms));
  out.emplace("x", number_value((host.seen_ms + kPurgeHostMs + kTtlSlackMs) / 1000));
  return out;
}

std::optional<BackupHost> host_of(const json::object& item) {
  const auto key = bytes_at(item, "k");
  if (!key || key->size() != 8) return std::nullopt;
  BackupHost out;
  out.instance = from_big_endian(*key);
  out.name = bytes_at(item, "d").value_or("");
  Reader reader(item);
  reader.number<std::uint64_t>("h", out.hlc);
  reader.number<std::uint64_t>("t", out.trusts_redis);
  reader.number<std::uint64_t>("l", out.shipped_to);
  reader.number<std::int64_t>("e", out.seen_ms);
  if (reader.missing() != nullptr || out.instance == 0) return std::nullopt;
  return out;
}

}  // namespace stayd::dynamo
