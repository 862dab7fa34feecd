#include "store/dynamodb/admin.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "store/backup/sealed_ring.h"
#include "store/backup/sql_session.h"

namespace stayd {
namespace {

using dynamo::Answer;
using dynamo::Meta;
using dynamo::number_value;
using dynamo::Request;
using dynamo::text_value;
namespace json = boost::json;

constexpr std::int64_t kPatienceUs = 3'600'000'000;  // scanning a big table takes its time
constexpr std::int64_t kTableUs = 120'000'000;       // until a new one is there
constexpr std::int64_t kTableLookUs = 200'000;
constexpr std::size_t kRemovedAtOnce = 100;

json::object attribute(const char* name, const char* type) {
  return {{"AttributeName", name}, {"AttributeType", type}};
}
json::array keys(const char* hash, const char* range) {
  return {json::object{{"AttributeName", hash}, {"KeyType", "HASH"}},
          json::object{{"AttributeName", range}, {"KeyType", "RANGE"}}};
}

Request for_table(const char* operation, const std::string& table) {
  Request out{operation, {}, {}};
  out.body.emplace("TableName", table);
  return out;
}

Request create_table(const std::string& table) {
  Request out = for_table("CreateTable", table);
  out.body.emplace("AttributeDefinitions",
                   json::array{attribute("p", "S"), attribute("k", "B"), attribute("c", "N")});
  out.body.emplace("KeySchema", keys("p", "k"));
  json::object index{{"IndexName", dynamo::kIndex},
                     {"KeySchema", keys("p", "c")},
                     {"Projection", json::object{{"ProjectionType", "KEYS_ONLY"}}}};
  out.body.emplace("LocalSecondaryIndexes", json::array{std::move(index)});
  out.body.emplace("BillingMode", "PAY_PER_REQUEST");
  return out;
}

bool conditional(const Answer& answer) {
  return answer.type == "ConditionalCheckFailedException";
}

}  // namespace

DynamoAdmin::DynamoAdmin(const BackupOptions& options) : options_(options) {
  Result<dynamo::Target> target = dynamo::parse_url(options.url);
  if (!target) {
    wrong_url_ = target.error();
    return;
  }
  keys_ = std::make_unique<dynamo::KeyProvider>(dynamo::process_environment(), target->profile);
  service_ = std::make_shared<dynamo::Service>(std::move(*target), options_);
}

// With a question that anybody may ask who may use the table: is there a server, are we known?
Result<void> DynamoAdmin::connect() {
  if (wrong_url_) return *wrong_url_;
  connection_ = std::make_unique<dynamo::Connection>(
      service_, options_.now().mono_us + options_.connect_timeout_us, -1);
  const Result<void> open = connection_->open(*keys_);
  if (!open) return open;
  const auto state = connection_->describe();
  connection_->extend(options_.now().mono_us + kPatienceUs);
  if (!state) return state.error();
  return {};
}

Result<BackupAdmin::Made> DynamoAdmin::init() {
  const Result<void> table = make_table();
  if (!table) return table.error();
  const Result<void> ttl = enable_ttl();
  if (!ttl) return ttl.error();
  const Result<Made> made = make_items();
  if (!made) return made.error();
  if (!options_.keys().empty()) {
    const Result<void> ring = make_ring();
    if (!ring) return ring.error();
  }
  return made;
}

Result<void> DynamoAdmin::make_table() {
  const std::int64_t until_us = options_.now().mono_us + kTableUs;
  bool asked = false;
  for (;;) {
    const auto state = connection_->describe();
    if (!state) return state.error();
    if (*state && !(*state)->fits) {
      return make_error(Errc::invalid,
                        fmt::format("backup: the table \"{}\" is none of stayd's: choose another "
                                    "name, or remove it",
                                    connection_->table()));
    }
    if (*state && (*state)->active) return {};
    if (options_.now().mono_us > until_us) {
      return make_error(Errc::timed_out, "backup: the table is still not there");
    }
    if (!*state && !asked) {
      const Result<Answer> made = connection_->run_one(create_table(connection_->table()));
      if (!made) return made.error();
      if (made->error && made->type != "ResourceInUseException") return made->error->error;
      asked = true;
    } else {
      ::poll(nullptr, 0, kTableLookUs / 1000);
    }
  }
}

// It only tidies up what nobody has purged: where there is no such thing, nothing is lost.
Result<void> DynamoAdmin::enable_ttl() {
  const Result<Answer> state =
      connection_->run_one(for_table("DescribeTimeToLive", connection_->table()));
  if (!state) return state.error();
  const json::object* ttl = item_in(*state, "TimeToLiveDescription");
  const json::value* status = ttl != nullptr ? ttl->if_contains("TimeToLiveStatus") : nullptr;
  const bool enabled =
      status != nullptr && status->is_string() && status->get_string().starts_with("ENABL");
  if (enabled || state->error) return {};
  Request request = for_table("UpdateTimeToLive", connection_->table());
  request.body.emplace("TimeToLiveSpecification",
                       json::object{{"Enabled", true}, {"AttributeName", "x"}});
  const Result<Answer> set = connection_->run_one(std::move(request));
  if (!set) return set.error();
  const bool unknown =
      set->type == "UnknownOperationException" || set->type == "ValidationException";
  if (set->error && !unknown) return set->error->error;
  return {};
}

// Two of these at once: the second one finds what the first one made. The meta item comes last.
Result<BackupAdmin::Made> DynamoAdmin::make_items() {
  const auto put = [this](json::object item) {
    Request request = for_table("PutItem", connection_->table());
    request.body.emplace("Item", std::move(item));
    request.body.emplace("ConditionExpression", "attribute_not_exists(p)");
    return connection_->run_one(std::move(request));
  };
  json::object head = dynamo::head_key();
  head.emplace("n", number_value(dynamo::kEraStep));
  const Result<Answer> begun = put(std::move(head));
  if (!begun) return begun.error();
  if (begun->error && !conditional(*begun)) return begun->error->error;
  json::object item = dynamo::meta_key();
  item.emplace("n", number_value(std::int64_t{dynamo::kSchemaVersion}));
  item.emplace("i", text_value(dynamo::new_batch_name() + dynamo::new_batch_name()));
  item.emplace("h", text_value(connection_->home()));
  const Result<Answer> made = put(std::move(item));
  if (!made) return made.error();
  if (made->error && !conditional(*made)) return made->error->error;
  if (!made->error) return Made::schema;
  const Result<Meta> there = meta();
  if (!there) return there.error();
  return Made::nothing;
}

Result<Meta> DynamoAdmin::meta() {
  const Result<Answer> answer =
      connection_->run_one(dynamo::get_item(connection_->table(), dynamo::meta_key()));
  if (!answer) return answer.error();
  if (answer->error) return answer->error->error;
  Result<std::optional<Meta>> found = meta_of(*answer);
  if (!found) return found.error();
  if (!*found) {
    return make_error(Errc::unavailable, "backup: there is no schema: run \"stayd backup init\"");
  }
  if (const auto error = check_schema((*found)->version, dynamo::kSchemaVersion)) return *error;
  return std::move(**found);
}

Result<void> DynamoAdmin::make_ring() {
  for (;;) {
    const Result<Meta> there = meta();
    if (!there) return there.error();
    const Result<std::optional<std::string>> next = wrap_backup_ring(there->ring, options_.keys());
    if (!next) return next.error();
    if (!*next) return {};
    Request request = for_table("UpdateItem", connection_->table());
    json::object values{{":to", dynamo::bytes_value(**next)}};
    if (!there->ring.empty()) values.emplace(":from", dynamo::bytes_value(there->ring));
    request.body.emplace("Key", dynamo::meta_key());
    request.body.emplace("UpdateExpression", "SET r = :to");
    request.body.emplace(
        "ConditionExpression",
        there->ring.empty() ? "attribute_exists(p) AND attribute_not_exists(r)" : "r = :from");
    request.body.emplace("ExpressionAttributeValues", std::move(values));
    const Result<Answer> set = connection_->run_one(std::move(request));
    if (!set) return set.error();
    if (!set->error) return {};
    if (!conditional(*set)) return set->error->error;
  }
}

// A table takes writes wherever it answers.
Result<BackupAdmin::State> DynamoAdmin::state() {
  const Result<Meta> there = meta();
  if (!there) return there.error();
  const auto ring = open_backup_ring(there->ring, options_.keys());
  if (!ring) return ring.error();
  return State{true, service_->wall_ms(), *ring != nullptr};
}

Result<BackupAdmin::Stats> DynamoAdmin::stats(std::int64_t wall_ms) {
  const Result<BackupSession> session = connection_->set_up();
  const bool sealed = !session && session.error().code == Errc::invalid;  // counted all the same
  if (!session && !sealed) return session.error();
  const Result<Meta> there = meta();
  if (!there) return there.error();
  Stats out;
  out.epoch = fmt::format("{}-{}", there->id, there->home);
  out.writable = true;
  const auto state = connection_->describe();
  if (!state) return state.error();
  if (*state) out.disk_bytes = (*state)->bytes;
  json::object from;
  do {
    Request request = for_table("Scan", connection_->table());
    request.body.emplace("ProjectionExpression", "p, s, t, e, z");
    if (!from.empty()) request.body.emplace("ExclusiveStartKey", std::exchange(from, {}));
    const Result<Answer> page = connection_->run_one(std::move(request));
    if (!page) return page.error();
    if (page->error) return page->error->error;
    for (const json::value& value : items_in(*page)) {
      const json::object* item = value.if_object();
      if (item == nullptr || !dynamo::text_at(*item, "p").value_or("").starts_with('r')) continue;
      const auto number = [item](const char* name) {
        return dynamo::number_at<std::int64_t>(*item, name).value_or(0);
      };
      const bool tomb = number("s") == 2;
      ++(tomb ? out.tombs : out.live);
      const bool expired = !tomb && number("e") != 0 && number("e") < wall_ms;
      out.expired += expired ? 1 : 0;
      out.without_redis += number("t") == 0 ? 1 : 0;
      out.value_bytes += number("z");
    }
    if (const json::object* after = item_in(*page, "LastEvaluatedKey")) from = *after;
  } while (!from.empty());
  return out;
}

Result<std::optional<BackupRow>> DynamoAdmin::get(const FullKey& key) {
  const Result<Meta> there = meta();
  if (!there) return there.error();
  auto ring = open_backup_ring(there->ring, options_.keys());
  if (!ring) return ring.error();
  ValueCodec values;
  values.set_ring(std::move(*ring));
  const Result<Answer> answer =
      connection_->run_one(dynamo::get_item(connection_->table(), dynamo::row_key(key)));
  if (!answer) return answer.error();
  if (answer->error) return answer->error->error;
  const json::object* item = item_in(*answer);
  if (item == nullptr) return std::optional<BackupRow>();
  return std::optional(dynamo::stored_row(key, item, &values).row);
}

// Each is removed only if it still is what was looked at.
Result<std::int64_t> DynamoAdmin::purge() {
  const Result<Meta> there = meta();  // and what time it is there
  if (!there) return there.error();
  const std::int64_t clock_ms = service_->wall_ms();
  while (found_.size() < static_cast<std::size_t>(kPurgeBatch) && !scanned_) {
    const Result<void> found = find_purgeable(clock_ms);
    if (!found) return found.error();
  }
  std::int64_t removed = 0;
  while (removed < kPurgeBatch && !found_.empty()) {
    std::vector<Request> requests;
    while (requests.size() < kRemovedAtOnce && removed < kPurgeBatch && !found_.empty()) {
      requests.push_back(std::move(found_.front()));
      found_.pop_front();
      ++removed;
    }
    const Result<void> gone = remove(std::move(requests));
    if (!gone) return gone.error();
  }
  if (removed < kPurgeBatch) {
    scanned_ = false;
    const Result<void> hosts = purge_hosts(clock_ms);
    if (!hosts) return hosts.error();
  }
  return removed;
}

Result<void> DynamoAdmin::find_purgeable(std::int64_t clock_ms) {
  Request request = for_table("Scan", connection_->table());
  request.body.emplace("ProjectionExpression", "p, k, c");
  request.body.emplace("FilterExpression",
                       "begins_with(p, :r) AND ((s = :tomb AND u > :zero AND u < :now) OR "
                       "(s = :live AND e > :zero AND e < :long_ago))");
  request.body.emplace("ExpressionAttributeValues",
                       json::object{{":r", text_value("r")},
                                    {":tomb", number_value(std::int64_t{2})},
                                    {":live", number_value(std::int64_t{1})},
                                    {":zero", number_value(std::int64_t{0})},
                                    {":now", number_value(clock_ms)},
                                    {":long_ago", number_value(clock_ms - kPurgeExpiredMs)}});
  if (!scan_from_.empty()) request.body.emplace("ExclusiveStartKey", std::move(scan_from_));
  scan_from_ = {};
  const Result<Answer> page = connection_->run_one(std::move(request));
  if (!page) return page.error();
  if (page->error) return page->error->error;
  for (const json::value& value : items_in(*page)) {
    const json::object* item = value.if_object();
    const auto key = item != nullptr ? dynamo::row_key_of(*item) : std::nullopt;
    const auto change =
        item != nullptr ? dynamo::number_at<std::uint64_t>(*item, "c") : std::nullopt;
    if (!key || !change) continue;
    Request gone = for_table("DeleteItem", connection_->table());
    gone.body.emplace("Key", dynamo::row_key(*key));
    gone.body.emplace("ConditionExpression", "c = :c");
    gone.body.emplace("ExpressionAttributeValues", json::object{{":c", number_value(*change)}});
    found_.push_back(std::move(gone));
  }
  if (const json::object* after = item_in(*page, "LastEvaluatedKey")) scan_from_ = *after;
  scanned_ = scan_from_.empty();
  return {};
}

Result<void> DynamoAdmin::remove(std::vector<Request> requests) {
  const Result<std::vector<Answer>> answers = connection_->run(std::move(requests));
  if (!answers) return answers.error();
  for (const Answer& answer : *answers) {
    if (answer.error && !conditional(answer)) return answer.error->error;
  }
  return {};
}

Result<void> DynamoAdmin::purge_hosts(std::int64_t clock_ms) {
  const Result<Answer> page = connection_->run_one(dynamo::query_hosts(connection_->table()));
  if (!page) return page.error();
  if (page->error) return page->error->error;
  std::vector<Request> requests;
  for (const json::value& value : items_in(*page)) {
    const auto host = value.is_object() ? dynamo::host_of(value.get_object()) : std::nullopt;
    if (!host || host->seen_ms >= clock_ms - kPurgeHostMs) continue;
    Request gone = for_table("DeleteItem", connection_->table());
    gone.body.emplace("Key", dynamo::host_key(host->instance));
    gone.body.emplace("ConditionExpression", "e = :e");
    gone.body.emplace("ExpressionAttributeValues",
                      json::object{{":e", number_value(host->seen_ms)}});
    requests.push_back(std::move(gone));
  }
  if (requests.empty()) return {};
  return remove(std::move(requests));
}

}  // namespace stayd
