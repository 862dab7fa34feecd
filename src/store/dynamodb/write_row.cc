#include "store/dynamodb/write_row.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "store/dynamodb/item.h"

namespace stayd::dynamo {
namespace {

// An item with its index entry, in which its key stands again, is at most 400 KB.
constexpr std::size_t kMaxItemBytes = 400 << 10;
constexpr std::size_t kItemOverhead = 512;
constexpr std::size_t kMaxTransactionBytes = 4 << 20;

Error too_much(std::string text) {
  return make_error(Errc::limit, "backup: " + std::move(text));
}

}  // namespace

Result<void> check_sizes(const std::vector<BackupWrite>& writes,
                         const std::vector<std::string>& values, bool together) {
  if (together && writes.size() > kMaxTogether) {
    return too_much(fmt::format("{} rows together, and a transaction of DynamoDB takes {}",
                                writes.size(), kMaxTogether));
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const std::size_t item = values[i].size() + 2 * writes[i].row.key.size() + kItemOverhead;
    if (item > kMaxItemBytes) {
      return too_much(
          fmt::format("row {}: a value of {} bytes as it is stored, and an item of "
                      "DynamoDB takes 400 KB with all that belongs to it",
                      i, values[i].size()));
    }
    bytes += item;
  }
  if (bytes > kMaxBackupBytes) return too_much("more than 64 MB of values in one batch");
  if (together && bytes > kMaxTransactionBytes) {
    return too_much("more than 4 MB together, and a transaction of DynamoDB takes no more");
  }
  return {};
}

Request write_row(const std::string& table, const BackupRow& row, const std::string* value,
                  const std::string& old_change) {
  Request out{value != nullptr ? "PutItem" : "UpdateItem", {}, {}};
  json::object& body = out.body;
  json::object values;
  body.emplace("TableName", table);
  if (value != nullptr) {
    body.emplace("Item", item_of(row, *value));
  } else {
    const std::int64_t ttl = ttl_of(row);
    values = {{":c", number_value(row.change)},
              {":l", number_value(row.touched_hlc)},
              {":e", number_value(row.record.expires_at_ms)}};
    if (ttl != 0) values.emplace(":x", number_value(ttl));
    body.emplace("Key", row_key(row.key));
    body.emplace("UpdateExpression", ttl != 0 ? "SET c = :c, l = :l, e = :e, x = :x"
                                              : "SET c = :c, l = :l, e = :e REMOVE x");
  }
  if (old_change.empty()) {
    body.emplace("ConditionExpression", "attribute_not_exists(c)");
  } else {
    body.emplace("ConditionExpression", "c = :old");
    values.emplace(":old", json::object{{"N", old_change}});
  }
  if (!values.empty()) body.emplace("ExpressionAttributeValues", std::move(values));
  return out;
}

Request transaction(std::vector<Request> writes, const std::string& name) {
  json::array items;
  for (Request& one : writes) {
    const bool put = one.operation == std::string_view("PutItem");
    items.emplace_back(json::object{{put ? "Put" : "Update", std::move(one.body)}});
  }
  Request out{"TransactWriteItems", {}, {}};
  out.body.emplace("TransactItems", std::move(items));
  out.body.emplace("ClientRequestToken", name);
  return out;
}

}  // namespace stayd::dynamo
