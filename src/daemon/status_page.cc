// /status.json and the table that `stayd status` makes of it. The only file that knows Boost.JSON.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "daemon/log.h"
#include "daemon/pages.h"
#include "daemon/units.h"

namespace stayd {

namespace {

namespace json = boost::json;

json::object shard_object(const ShardStatus& shard) {
  return {{"address", shard.address},
          {"trust", trust_name(shard.trust)},
          {"reason", shard.reason},
          {"since_ms", shard.since_ms},
          {"connected", shard.connected},
          {"shared_unsafe", shard.shared_unsafe},
          {"breaker",
           {{"reads_closed", shard.reads_closed},
            {"writes_closed", shard.writes_closed},
            {"deletes_closed", shard.deletes_closed}}},
          {"debts", shard.debts},
          {"debts_complete", shard.debts_complete},
          {"reconcile_done", shard.reconcile_done},
          {"trust_epoch", shard.trust_epoch},
          {"run_id", shard.run_id},
          {"last_heartbeat_ms", shard.last_heartbeat_ms},
          {"round_trip_us", shard.round_trip_us}};
}

json::object sentinels_object(const SentinelStatus& sentinels) {
  return {{"primary_name", sentinels.primary_name}, {"primary", sentinels.primary},
          {"config_epoch", sentinels.config_epoch}, {"known", sentinels.known},
          {"answering", sentinels.answering},       {"trouble", sentinels.trouble}};
}

json::object cluster_object(const ClusterStatus& cluster, const std::vector<NamedShard>& shards) {
  json::array each;
  for (const NamedShard& shard : shards) {
    json::object one = shard_object(shard.status);
    one["id"] = shard.id;
    one["slots"] = shard.slots;
    each.push_back(std::move(one));
  }
  return {{"known", cluster.known},         {"asked", cluster.asked},
          {"answering", cluster.answering}, {"config_epoch", cluster.config_epoch},
          {"uncovered", cluster.uncovered}, {"moving", cluster.moving},
          {"trouble", cluster.trouble},     {"shards", std::move(each)}};
}

json::array login_probes_array(const std::vector<LoginProbeStatus>& probes) {
  json::array out;
  for (const LoginProbeStatus& probe : probes) {
    out.push_back(json::object{{"redis", probe.address},
                               {"failing", probe.failing},
                               {"trouble", probe.trouble},
                               {"since_ms", probe.since_ms},
                               {"last_ok_ms", probe.last_ok_ms}});
  }
  return out;
}

json::array regions_array(const std::vector<RegionStatus>& regions) {
  json::array out;
  for (const RegionStatus& region : regions) {
    out.push_back(json::object{{"name", region.name},
                               {"address", region.address},
                               {"in_use", region.in_use},
                               {"preferred", region.preferred},
                               {"drained", region.drained},
                               {"known", region.known},
                               {"well", region.well},
                               {"well_since_ms", region.well_since_ms},
                               {"trouble", region.trouble}});
  }
  return out;
}

json::array strings(const std::vector<std::string>& texts);

json::array strings(const std::vector<std::string>& texts);

json::object backup_object(const BackupFacts& backup) {
  const FleetStatus& fleet = backup.fleet;
  return {{"place", backup.place},
          {"up", fleet.backup.up},
          {"writable", fleet.backup.writable},
          {"error", fleet.backup.error},
          {"epoch", fleet.backup.epoch},
          {"clock_offset_ms", fleet.backup.clock_offset_ms},
          {"clock_error_ms", fleet.backup.clock_error_ms},
          {"under_way", fleet.backup.under_way},
          {"queued", fleet.backup.queued},
          {"unshipped", fleet.unshipped},
          {"put_off", fleet.put_off},
          {"oldest_unshipped_ms", backup.oldest_unshipped_ms},
          {"feed_age_ms", backup.feed_age_ms},
          {"rows_taken", fleet.rows_taken},
          {"reads", fleet.reads},
          {"agreements", fleet.agreements},
          {"restoring", fleet.restoring},
          {"others", strings(backup.others)},
          {"at_work", fleet.at_work}};
}

json::array strings(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.push_back(json::value(text));
  return out;
}

// Reads of a document somebody else wrote: what is missing or of another type is empty.
std::string text_at(const json::value& root, std::string_view pointer) {
  json::error_code error;
  const json::value* found = root.find_pointer(json::string_view(pointer), error);
  if (found == nullptr) return "?";
  return found->is_string() ? std::string(found->get_string().c_str()) : json::serialize(*found);
}

std::int64_t number_at(const json::value& root, std::string_view pointer) {
  json::error_code error;
  const json::value* found = root.find_pointer(json::string_view(pointer), error);
  if (found == nullptr) return 0;
  const auto number = found->to_number<std::int64_t>(error);
  return error ? 0 : number;
}

bool flag_at(const json::value& root, std::string_view pointer) {
  json::error_code error;
  const json::value* found = root.find_pointer(json::string_view(pointer), error);
  return found != nullptr && found->is_bool() && found->get_bool();
}

std::string age(std::int64_t from_ms, std::int64_t now_ms) {
  if (from_ms <= 0 || now_ms < from_ms) return "?";
  const std::int64_t s = (now_ms - from_ms) / 1000;
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7'200) return fmt::format("{} min", s / 60);
  if (s < 2 * 86'400) return fmt::format("{} h", s / 3'600);
  return fmt::format("{} days", s / 86'400);
}

std::string size_text(std::int64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} KB", bytes / 1'000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

// "in use", "well for 3 min, preferred", "not well (connect timed out), drained".
std::string region_text(const json::value& region, std::int64_t now_ms) {
  std::string text = "in use";
  if (!flag_at(region, "/in_use")) {
    text = flag_at(region, "/well")
               ? fmt::format("well for {}", age(number_at(region, "/well_since_ms"), now_ms))
               : fmt::format("not well ({})", text_at(region, "/trouble"));
  }
  if (flag_at(region, "/preferred")) text += ", preferred";
  if (flag_at(region, "/drained")) text += ", drained";
  return text;
}

// "up, 3 rows to ship, the oldest for 80 ms, feed read 120 ms ago (postgresql://db/sessions)".
std::string backup_text(const json::value& root) {
  std::string text = !flag_at(root, "/backup/up")         ? "OUT"
                     : !flag_at(root, "/backup/writable") ? "READ-ONLY"
                                                          : "up";
  text += fmt::format(", {} rows to ship",
                      number_at(root, "/backup/unshipped") - number_at(root, "/backup/put_off"));
  if (const auto oldest = number_at(root, "/backup/oldest_unshipped_ms"); oldest > 0) {
    text += fmt::format(", the oldest for {} ms", oldest);
  }
  if (const auto feed = number_at(root, "/backup/feed_age_ms"); feed >= 0) {
    text += fmt::format(", feed read {} ms ago", feed);
  }
  return fmt::format("{} ({})", text, text_at(root, "/backup/place"));
}

}  // namespace

std::string render_status_json(const PageInput& input) {
  const EngineStatus& engine = input.engine;
  const ProcessFacts& process = input.process;
  const Readiness readiness = judge_readiness(input);
  json::object counters;
#define X(name, help) counters[#name] = input.counters.name;
  STAYD_COUNTERS(X)
#undef X
  json::object page = {
      {"ready", readiness.ready},
      {"reasons", strings(readiness.reasons)},
      {"notes", strings(readiness.notes)},
      {"version", process.version},
      {"mode", engine.mode},
      {"now_ms", process.now_ms},
      {"started_ms", process.started_ms},
      {"listen", strings(process.resp)},
      {"shard", shard_object(engine.shard)},
      {"adoption_complete", engine.adoption_complete},
      {"adoption_settled", engine.adoption_settled},
      {"adopted", engine.adopted},
      {"adoption_scanned", engine.adoption_scanned},
      {"adoption_expected", engine.adoption_expected},
      {"ledger",
       {{"path", process.ledger_path},
        {"ok", engine.ledger_ok},
        {"rows", engine.store.rows_estimate},
        {"disk_bytes", engine.store.disk_bytes},
        {"queued", engine.store.queued},
        {"last_error", engine.store.last_error},
        {"last_error_at_ms", engine.store.last_error_at_ms}}},
      {"near_cache", {{"records", engine.cached_records}, {"bytes", engine.cached_bytes}}},
      {"login_probes", login_probes_array(process.login_probes)},
      {"calls_under_way", engine.calls_under_way},
      {"process",
       {{"clients", process.clients},
        {"resident_bytes", process.resident_bytes},
        {"open_fds", process.open_fds},
        {"max_fds", process.max_fds},
        {"cpu_seconds", process.cpu_seconds}}},
      {"counters", std::move(counters)}};
  if (process.sentinels) page["sentinels"] = sentinels_object(*process.sentinels);
  if (process.backup) page["backup"] = backup_object(*process.backup);
  if (process.cluster) page["cluster"] = cluster_object(*process.cluster, engine.shards);
  if (!process.regions.empty()) page["regions"] = regions_array(process.regions);
  return json::serialize(page) + "\n";
}

bool is_trusted_region(std::string_view text, std::string_view name) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text), error);
  if (error || !root.is_object()) return false;
  if (text_at(root, "/shard/trust") != trust_name(Trust::trusted)) return false;
  const json::value* regions = root.as_object().if_contains("regions");
  if (regions == nullptr || !regions->is_array()) return false;
  return std::ranges::any_of(regions->get_array(), [name](const json::value& one) {
    return flag_at(one, "/in_use") && text_at(one, "/name") == name;
  });
}

Result<std::string> render_status_table(std::string_view text) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text), error);
  if (error || !root.is_object()) {
    return make_error(Errc::invalid, "the answer is not the status of a stayd");
  }
  const std::int64_t now = number_at(root, "/now_ms");
  std::string out;
  const auto row = [&](std::string_view name, const std::string& value) {
    out += fmt::format("{:<11} {}\n", name, value);
  };
  row("stayd", fmt::format("{}, {}, up {}", text_at(root, "/version"), text_at(root, "/mode"),
                           age(number_at(root, "/started_ms"), now)));
  row("ready", flag_at(root, "/ready") ? "yes" : "no");
  for (const char* list : {"reasons", "notes"}) {
    const json::value* items = root.as_object().if_contains(list);
    if (items == nullptr || !items->is_array()) continue;
    for (const json::value& item : items->get_array()) {
      if (item.is_string()) row("", std::string(item.get_string().c_str()));
    }
  }
  const std::string reason = text_at(root, "/shard/reason");
  row("redis",
      fmt::format("{}: {} for {}{}", text_at(root, "/shard/address"), text_at(root, "/shard/trust"),
                  age(number_at(root, "/shard/since_ms"), now),
                  reason.empty() || reason == "?" ? "" : fmt::format(" ({})", reason)));
  if (const json::value* regions = root.as_object().if_contains("regions");
      regions != nullptr && regions->is_array()) {
    for (const json::value& region : regions->get_array()) {
      row("", fmt::format("{} at {}: {}", text_at(region, "/name"), text_at(region, "/address"),
                          region_text(region, now)));
    }
  }
  if (root.as_object().contains("sentinels")) {
    row("sentinels",
        fmt::format("{} of {} answer; {} is {}, epoch {}", number_at(root, "/sentinels/answering"),
                    number_at(root, "/sentinels/known"), text_at(root, "/sentinels/primary_name"),
                    text_at(root, "/sentinels/primary"),
                    number_at(root, "/sentinels/config_epoch")));
  }
  if (const json::value* cluster = root.as_object().if_contains("cluster")) {
    row("cluster",
        fmt::format("{} of {} nodes answer, epoch {}", number_at(*cluster, "/answering"),
                    number_at(*cluster, "/asked"), number_at(*cluster, "/config_epoch")));
    const json::value* shards =
        cluster->is_object() ? cluster->get_object().if_contains("shards") : nullptr;
    if (shards != nullptr && shards->is_array()) {
      for (const json::value& shard : shards->get_array()) {
        row("", fmt::format("{}: {} for {}, {} debts, slots {}", text_at(shard, "/address"),
                            text_at(shard, "/trust"), age(number_at(shard, "/since_ms"), now),
                            number_at(shard, "/debts"), text_at(shard, "/slots")));
      }
    }
  }
  row("heartbeat",
      fmt::format("{} ago, {} us", age(number_at(root, "/shard/last_heartbeat_ms"), now),
                  number_at(root, "/shard/round_trip_us")));
  row("debts", fmt::format("{}{}", number_at(root, "/shard/debts"),
                           flag_at(root, "/shard/debts_complete") ? "" : " and more"));
  row("adoption",
      fmt::format("{}, {} keys", flag_at(root, "/adoption_complete") ? "complete" : "under way",
                  number_at(root, "/adopted")));
  row("ledger",
      fmt::format("{}, {} rows, {}, {} queued ({})",
                  flag_at(root, "/ledger/ok") ? "ok" : "NOT WRITABLE",
                  number_at(root, "/ledger/rows"), size_text(number_at(root, "/ledger/disk_bytes")),
                  number_at(root, "/ledger/queued"), text_at(root, "/ledger/path")));
  if (root.as_object().contains("backup")) row("backup", backup_text(root));
  row("clients", fmt::format("{}, {} calls under way", number_at(root, "/process/clients"),
                             number_at(root, "/calls_under_way")));
  row("process",
      fmt::format("{} resident, {} of {} descriptors",
                  size_text(number_at(root, "/process/resident_bytes")),
                  number_at(root, "/process/open_fds"), number_at(root, "/process/max_fds")));
  row("commands", fmt::format("{}: {} by Redis, {} by the ledger, {} unknown",
                              number_at(root, "/counters/commands"),
                              number_at(root, "/counters/replies_from_redis"),
                              number_at(root, "/counters/replies_from_ledger"),
                              number_at(root, "/counters/unknown_replies")));
  row("logouts", fmt::format("{} ({} degraded)", number_at(root, "/counters/logouts"),
                             number_at(root, "/counters/logouts_degraded")));
  return out;
}

}  // namespace stayd
