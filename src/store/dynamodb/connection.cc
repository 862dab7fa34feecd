#include "store/dynamodb/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "store/backup/sealed_ring.h"
#include "store/backup/sql_session.h"

namespace stayd::dynamo {
namespace {

const json::value* at(const json::object& object, const char* name) {
  return object.if_contains(name);
}

std::string string_at(const json::object& object, const char* name) {
  const json::value* value = at(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// "p HASH, k RANGE": as the table, or an index, says of itself.
bool has_keys(const json::object& object, const char* hash, const char* range) {
  const json::value* schema = at(object, "KeySchema");
  const json::array* keys = schema != nullptr ? schema->if_array() : nullptr;
  if (keys == nullptr || keys->size() != 2) return false;
  const json::object* first = (*keys)[0].if_object();
  const json::object* second = (*keys)[1].if_object();
  return first != nullptr && second != nullptr && string_at(*first, "AttributeName") == hash &&
         string_at(*second, "AttributeName") == range;
}

bool has_index(const json::object& table) {
  const json::value* all = at(table, "LocalSecondaryIndexes");
  if (all == nullptr || !all->is_array()) return false;
  return std::ranges::any_of(all->get_array(), [](const json::value& one) {
    return one.is_object() && string_at(one.get_object(), "IndexName") == kIndex &&
           has_keys(one.get_object(), "p", "c");
  });
}

}  // namespace

Result<std::optional<TableState>> table_state_of(const Answer& answer) {
  if (answer.type == "ResourceNotFoundException") return std::optional<TableState>();
  if (answer.error) return answer.error->error;
  const json::object* table = item_in(answer, "Table");
  if (table == nullptr) {
    return make_error(Errc::corrupt, "backup: DynamoDB's answer to DescribeTable does not read");
  }
  TableState out;
  out.home = string_at(*table, "TableId");
  if (const json::value* made = at(*table, "CreationDateTime");
      out.home.empty() && made != nullptr) {
    out.home = json::serialize(*made);
  }
  if (out.home.find(' ') != std::string::npos || out.home.size() > 200) out.home.clear();
  if (out.home.empty()) {
    return make_error(Errc::corrupt, "backup: DynamoDB does not say which table this is");
  }
  const std::string status = string_at(*table, "TableStatus");
  out.active = status == "ACTIVE" || status == "UPDATING";
  out.fits = has_keys(*table, "p", "k") && has_index(*table);
  if (const json::value* bytes = at(*table, "TableSizeBytes"); bytes != nullptr) {
    out.bytes = bytes->is_int64() ? bytes->get_int64() : 0;
  }
  return std::optional(std::move(out));
}

Result<BackupSession> session_of(const Answer& answer, const std::string& home,
                                 const Service& service) {
  if (answer.error) return answer.error->error;
  Result<std::optional<Meta>> meta = meta_of(answer);
  if (!meta) return meta.error();
  if (!*meta) {
    return make_error(Errc::unavailable, "backup: there is no schema: run \"stayd backup init\"");
  }
  if (const auto error = check_schema((*meta)->version, kSchemaVersion)) return *error;
  if (!home.empty() && (*meta)->home != home) {
    return make_error(Errc::unavailable, "backup: the data is another one's");
  }
  auto ring = open_backup_ring((*meta)->ring, service.options.keys());
  if (!ring) return ring.error();
  BackupSession out;
  out.epoch = fmt::format("{}-{}", (*meta)->id, (*meta)->home);
  out.writable = true;
  out.has_ring = !(*meta)->ring.empty();
  const ServerClock::Reading clock = service.clock.at(service.options.now().mono_us);
  out.clock_ms = clock.wall_ms;
  out.clock_error_ms = clock.error_ms;
  out.ring = std::move(*ring);
  return out;
}

Result<void> Connection::open(KeyProvider& keys) {
  Result<AwsKeys> found = keys.get(service_->options.now());
  if (!found) return make_error(Errc::unavailable, "backup: " + found.error().message);
  service_->set_keys(std::move(*found));
  exchange_ = std::make_unique<Exchange>(*service_);
  return {};
}

Result<std::vector<Answer>> Connection::run(std::vector<Request> requests) {
  for (Exchange::State state = exchange_->start(std::move(requests));
       state != Exchange::State::done; state = exchange_->advance()) {
    if (state == Exchange::State::lost) {
      // Opening: nothing has happened.
      return make_error(Errc::unavailable, exchange_->lost_error().message);
    }
    const Result<void> ready =
        wait_for_server(service_->options, deadline_us_, cancel_fd_, exchange_->fd(), POLLIN);
    if (!ready) return ready.error();
  }
  return std::move(exchange_->answers());
}

Result<Answer> Connection::run_one(Request request) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  Result<std::vector<Answer>> answers = run(std::move(requests));
  if (!answers) return answers.error();
  return std::move(answers->front());
}

Result<std::optional<TableState>> Connection::describe() {
  Request request{"DescribeTable", {}, {}};
  request.body.emplace("TableName", table());
  const Result<Answer> answer = run_one(std::move(request));
  if (!answer) return answer.error();
  Result<std::optional<TableState>> state = table_state_of(*answer);
  if (state && *state) home_ = (*state)->home;
  return state;
}

Result<BackupSession> Connection::set_up() {
  const Result<std::optional<TableState>> state = describe();
  if (!state) return state.error();
  if (!*state) {
    return make_error(Errc::unavailable, fmt::format("backup: there is no table \"{}\" in {}: run "
                                                     "\"stayd backup init\"",
                                                     table(), service_->target.region));
  }
  if (!(*state)->fits) {
    return make_error(Errc::unavailable,
                      fmt::format("backup: the table \"{}\" is none of stayd's: let \"stayd backup "
                                  "init\" make another one",
                                  table()));
  }
  const Result<Answer> answer = run_one(get_item(table(), meta_key()));
  if (!answer) return answer.error();
  Result<BackupSession> session = session_of(*answer, "", *service_);
  if (!session) return session.error();
  const Result<std::optional<Meta>> meta = meta_of(*answer);
  if ((*meta)->home == home_) return session;
  const Result<void> moved = move_to((*meta)->home, home_);
  if (!moved) return moved.error();
  const Result<Answer> after = run_one(get_item(table(), meta_key()));
  if (!after) return after.error();
  return session_of(*after, home_, *service_);
}

// The numbers first: whoever reads by the new home reads numbers that go on.
Result<void> Connection::move_to(const std::string& from, const std::string& home) {
  Request head{"UpdateItem", {}, {}};
  std::string expression = "SET n = n + :step";
  for (int shard = 0; shard < kShards; ++shard) {
    expression += fmt::format(", s{} = n + :step", shard);
  }
  head.body.emplace("TableName", table());
  head.body.emplace("Key", head_key());
  head.body.emplace("UpdateExpression", expression);
  head.body.emplace("ConditionExpression", "attribute_exists(n)");
  head.body.emplace("ExpressionAttributeValues", json::object{{":step", number_value(kEraStep)}});
  const Result<Answer> stepped = run_one(std::move(head));
  if (!stepped) return stepped.error();
  if (stepped->error) return stepped->error->error;
  Request meta{"UpdateItem", {}, {}};
  meta.body.emplace("TableName", table());
  meta.body.emplace("Key", meta_key());
  meta.body.emplace("UpdateExpression", "SET h = :to");
  meta.body.emplace("ConditionExpression", "h = :from");
  meta.body.emplace("ExpressionAttributeValues",
                    json::object{{":from", text_value(from)}, {":to", text_value(home)}});
  const Result<Answer> set = run_one(std::move(meta));
  if (!set) return set.error();
  const bool somebody_else = set->type == "ConditionalCheckFailedException";
  if (set->error && !somebody_else) return set->error->error;
  return {};
}

}  // namespace stayd::dynamo
