#include "store/dynamodb/table.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>

#include "base/hex.h"
#include "store/backup/cursor_text.h"

namespace stayd::dynamo {
namespace {

json::object own_key(const char* name) {
  json::object out;
  out.emplace("p", text_value(name));
  out.emplace("k", bytes_value(std::string_view("\0", 1)));
  return out;
}

Error damaged(const char* item, const std::string& name) {
  return make_error(Errc::corrupt, fmt::format("backup: the item \"{}\" of the table is damaged: "
                                               "attribute \"{}\"",
                                               item, name));
}

// "SHARDS SINCE".
std::optional<UnderWay> under_way_of(const json::object& head, const std::string& batch) {
  const auto number = number_at<std::uint64_t>(head, "u" + batch);
  const auto what = text_at(head, "v" + batch);
  if (!number || !what) return std::nullopt;
  const auto parts = split_text(*what, ' ');
  if (parts.size() != 2) return std::nullopt;
  const auto shards = parsed_number<std::uint32_t>(parts[0], 16);
  const auto since = parsed_number<std::int64_t>(parts[1]);
  if (!shards || !since) return std::nullopt;
  return UnderWay{*number, *shards, *since};
}

}  // namespace

json::object meta_key() {
  return own_key("meta");
}
json::object head_key() {
  return own_key("head");
}

const json::object* item_in(const Answer& answer, const char* name) {
  const json::value* item = answer.body.if_contains(name);
  return item != nullptr ? item->if_object() : nullptr;
}

const json::array& items_in(const Answer& answer) {
  static const json::array none;
  const json::value* items = answer.body.if_contains("Items");
  const json::array* found = items != nullptr ? items->if_array() : nullptr;
  return found != nullptr ? *found : none;
}

Result<std::optional<Meta>> meta_of(const Answer& answer) {
  const json::object* item = item_in(answer);
  if (item == nullptr) return std::optional<Meta>();
  Meta out;
  const auto version = number_at<std::int64_t>(*item, "n");
  const auto id = text_at(*item, "i");
  const auto home = text_at(*item, "h");
  if (!version) return damaged("meta", "n");
  if (!id || !home) return damaged("meta", id ? "h" : "i");
  out.version = *version;
  out.id = *id;
  out.home = *home;
  out.ring = bytes_at(*item, "r").value_or("");
  return std::optional(std::move(out));
}

Result<Head> head_of(const json::object* item) {
  if (item == nullptr) {
    return make_error(Errc::unavailable,
                      "backup: the item \"head\" is not there: run \"stayd backup init\"");
  }
  Head out;
  const auto last = number_at<std::uint64_t>(*item, "n");
  if (!last) return damaged("head", "n");
  out.last = *last;
  for (int shard = 0; shard < kShards; ++shard) {
    const std::string name = fmt::format("s{}", shard);
    if (item->contains(name)) {
      const auto number = number_at<std::uint64_t>(*item, name);
      if (!number) return damaged("head", name);
      out.shards[static_cast<std::size_t>(shard)] = *number;
    }
  }
  for (const auto& attribute : *item) {
    const std::string name(attribute.key());
    if (!name.starts_with('u')) continue;
    const auto one = under_way_of(*item, name.substr(1));
    if (!one) return damaged("head", name);
    out.under_way[name.substr(1)] = *one;
  }
  return out;
}

Snapshot snapshot_of(const Head& head, std::int64_t now_ms) {
  Snapshot out{head.last + 1, head.last + 1, {}};
  for (const auto& [batch, one] : head.under_way) {
    if (one.since_ms + kLateMs >= now_ms) out.under_way.push_back(one.number);
  }
  std::ranges::sort(out.under_way);
  if (!out.under_way.empty()) out.xmin = out.under_way.front();
  return out;
}

std::vector<std::string> stale_batches(const Head& head, std::int64_t now_ms) {
  std::vector<std::string> out;
  for (const auto& [batch, one] : head.under_way) {
    // Those who read are to see it go by their own clocks first.
    if (one.since_ms + 2 * kLateMs < now_ms && out.size() < 50) out.push_back(batch);
  }
  return out;
}

Request get_item(const std::string& table, json::object key) {
  Request out{"GetItem", {}, {}};
  out.body.emplace("TableName", table);
  out.body.emplace("ConsistentRead", true);
  out.body.emplace("Key", std::move(key));
  return out;
}

Request begin_batch(const std::string& table, const std::string& batch, std::uint32_t shards,
                    std::int64_t now_ms) {
  std::string expression = "SET n = n + :one, #u = n + :one, #v = :v";
  for (int shard = 0; shard < kShards; ++shard) {
    if ((shards >> shard & 1) != 0) expression += fmt::format(", s{} = n + :one", shard);
  }
  Request out{"UpdateItem", {}, {}};
  json::object& body = out.body;
  body.emplace("TableName", table);
  body.emplace("Key", head_key());
  body.emplace("UpdateExpression", expression);
  // The head is there; and a late copy of this request finds that it has come already.
  body.emplace("ConditionExpression", "attribute_exists(n) AND attribute_not_exists(#u)");
  body.emplace("ExpressionAttributeNames", json::object{{"#u", "u" + batch}, {"#v", "v" + batch}});
  body.emplace("ExpressionAttributeValues",
               json::object{{":one", number_value(std::uint64_t{1})},
                            {":v", text_value(fmt::format("{:x} {}", shards, now_ms))}});
  body.emplace("ReturnValues", "ALL_NEW");
  return out;
}

Request end_batches(const std::string& table, const std::vector<std::string>& batches) {
  std::string expression = "REMOVE ";
  json::object names;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    expression += fmt::format("{}#u{}, #v{}", i == 0 ? "" : ", ", i, i);
    names.emplace(fmt::format("#u{}", i), "u" + batches[i]);
    names.emplace(fmt::format("#v{}", i), "v" + batches[i]);
  }
  Request out{"UpdateItem", {}, {}};
  out.body.emplace("TableName", table);
  out.body.emplace("Key", head_key());
  out.body.emplace("UpdateExpression", expression);
  out.body.emplace("ConditionExpression", "attribute_exists(n)");
  out.body.emplace("ExpressionAttributeNames", std::move(names));
  return out;
}

std::string new_batch_name() {
  std::string bytes(8, '\0');
  STAYD_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), 8) == 1);
  return to_hex(bytes);
}

Request query_hosts(const std::string& table) {
  Request out{"Query", {}, {}};
  out.body.emplace("TableName", table);
  out.body.emplace("ConsistentRead", true);
  out.body.emplace("KeyConditionExpression", "p = :p");
  out.body.emplace("ExpressionAttributeValues", json::object{{":p", text_value("hosts")}});
  return out;
}

Request put_host(const std::string& table, const BackupHost& host) {
  Request out{"PutItem", {}, {}};
  out.body.emplace("TableName", table);
  out.body.emplace("Item", item_of(host));
  out.body.emplace("ConditionExpression", "attribute_not_exists(h) OR h < :h");
  out.body.emplace("ExpressionAttributeValues", json::object{{":h", number_value(host.hlc)}});
  return out;
}

}  // namespace stayd::dynamo
