#include "store/dynamodb/batch_get.h"

#include <utility>

namespace stayd::dynamo {
namespace {

constexpr std::size_t kKeysAtOnce = 100;     // BatchGetItem's limit
constexpr std::size_t kRequestsAtOnce = 11;  // a whole batch, of small rows
constexpr std::size_t kLargeAtOnce = 4;      // of 16 MB each, where values may be large

Error wrong() {
  return make_error(Errc::corrupt, "backup: DynamoDB's answer to BatchGetItem does not read");
}

std::size_t value_size(const json::object& item) {
  const json::value* value = item.if_contains("v");
  const json::value* bytes =
      value != nullptr && value->is_object() ? value->get_object().if_contains("B") : nullptr;
  return bytes != nullptr && bytes->is_string() ? bytes->get_string().size() : 0;
}

}  // namespace

std::vector<Request> BatchGet::next() {
  std::vector<Request> out;
  const std::size_t most = with_values_ && keys_.size() > 400 ? kLargeAtOnce : kRequestsAtOnce;
  while (!keys_.empty() && out.size() < most) {
    json::array keys;
    while (!keys_.empty() && keys.size() < kKeysAtOnce) {
      keys.emplace_back(row_key(keys_.front()));
      keys_.pop_front();
    }
    json::object wanted{{"Keys", std::move(keys)}, {"ConsistentRead", true}};
    if (!with_values_) wanted.emplace("ProjectionExpression", kHeaderNames);
    Request request{"BatchGetItem", {}, {}};
    request.body.emplace("RequestItems", json::object{{table_, std::move(wanted)}});
    out.push_back(std::move(request));
  }
  return out;
}

Result<void> BatchGet::take(const std::vector<Answer>& answers) {
  stuck_ = true;
  for (const Answer& answer : answers) {
    const json::value* responses = answer.body.if_contains("Responses");
    const json::object* tables = responses != nullptr ? responses->if_object() : nullptr;
    if (tables == nullptr) return wrong();
    const json::value* items = tables->if_contains(table_);
    if (items != nullptr && !items->is_array()) return wrong();
    static const json::array none;
    for (const json::value& item : items != nullptr ? items->get_array() : none) {
      if (!item.is_object()) return wrong();
      auto key = row_key_of(item.get_object());
      if (!key) return wrong();
      bytes_ += value_size(item.get_object());
      found_.insert_or_assign(std::move(*key), item.get_object());
      stuck_ = false;
    }
    const json::value* left = answer.body.if_contains("UnprocessedKeys");
    const json::object* again = left != nullptr ? left->if_object() : nullptr;
    const json::value* wanted = again != nullptr ? again->if_contains(table_) : nullptr;
    if (wanted == nullptr) {
      stuck_ = false;
      continue;
    }
    const json::value* keys =
        wanted->is_object() ? wanted->get_object().if_contains("Keys") : nullptr;
    if (keys == nullptr || !keys->is_array()) return wrong();
    for (const json::value& one : keys->get_array()) {
      auto key = one.is_object() ? row_key_of(one.get_object()) : std::nullopt;
      if (!key) return wrong();
      keys_.push_back(std::move(*key));
    }
  }
  return {};
}

const json::object* BatchGet::find(const FullKey& key) const {
  const auto found = found_.find(key);
  return found != found_.end() ? &found->second : nullptr;
}

}  // namespace stayd::dynamo
