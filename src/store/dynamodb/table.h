// The table's own items, and the requests that read and write them:
// docs/formats/backup_dynamodb.md. Pure; any thread.
//
// The *head* gives the changes their numbers, and says which batches are under way: taking a number
// and saying so is one write. So whoever reads the head (strongly) and then the rows knows that the
// rows lack nothing below the last number but what the head says is under way. This is PostgreSQL's
// snapshot by hand (store/backup/snapshot_cursor.h).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/backup/snapshot_cursor.h"
#include "store/dynamodb/exchange.h"
#include "store/dynamodb/item.h"

namespace stayd::dynamo {

inline constexpr int kSchemaVersion = 1;
inline constexpr const char* kIndex = "changes";  // local: by (p, c)
// Nothing of a batch is sent, or signed, so long after its number was asked for; and AWS refuses a
// request 5 minutes after it was signed. With what clocks may be wrong by, nothing is executed
// kLateMs later.
inline constexpr std::int64_t kValidUs = 5 * 60'000'000;
inline constexpr std::int64_t kLateMs = 30 * 60'000;
// So far the numbers go on when the data has moved: numbers of rows that were copied a moment later
// than the head come before it.
inline constexpr std::uint64_t kEraStep = std::uint64_t{1} << 40;

struct Meta {
  std::int64_t version = 0;
  std::string id, home, ring;
};
json::object meta_key();
// nullopt: there is no schema. Errors: corrupt.
Result<std::optional<Meta>> meta_of(const Answer& answer);

struct UnderWay {
  std::uint64_t number = 0;
  std::uint32_t shards = 0;  // in which it writes: a bit for each
  std::int64_t since_ms = 0;
};
struct Head {
  std::uint64_t last = 0;                       // number given
  std::array<std::uint64_t, kShards> shards{};  // the last one given to a batch that writes there
  std::map<std::string, UnderWay> under_way;    // by batch
};
json::object head_key();
// Errors: corrupt, unavailable (there is none).
Result<Head> head_of(const json::object* item);
// What nobody can execute any more is not under way.
Snapshot snapshot_of(const Head& head, std::int64_t now_ms);
std::vector<std::string> stale_batches(const Head& head, std::int64_t now_ms);

Request get_item(const std::string& table, json::object key);
// Its answer is the head, with the batch's number.
Request begin_batch(const std::string& table, const std::string& batch, std::uint32_t shards,
                    std::int64_t now_ms);
Request end_batches(const std::string& table, const std::vector<std::string>& batches);
std::string new_batch_name();  // of no other batch ever

Request query_hosts(const std::string& table);
// Not if what is there is as late.
Request put_host(const std::string& table, const BackupHost& host);

// The item of the answer to GetItem or UpdateItem; nullptr: none.
const json::object* item_in(const Answer& answer, const char* name = "Item");
// Items of a Query; the empty list if there is none.
const json::array& items_in(const Answer& answer);

}  // namespace stayd::dynamo
