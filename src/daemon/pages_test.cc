#include "daemon/pages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "daemon/golden_test_util.h"

namespace stayd {
namespace {

class Pages : public testing::Test {
 protected:
  Pages() {
    engine_.shard.address = "cache:6379";
    engine_.shard.trust = Trust::trusted;
    engine_.shard.connected = true;
    engine_.shard.since_ms = 1'000'000;
    engine_.shard.last_heartbeat_ms = 1'089'000;
    engine_.shard.round_trip_us = 321;
    engine_.adoption_complete = true;
    engine_.adopted = 42;
    engine_.store.rows_estimate = 1'000;
    engine_.store.disk_bytes = 12'345'678;
    counters_.shard_trusted = 1;
    counters_.commands = 7;
    counters_.logouts = 3;
    process_.version = "1.2.3";
    process_.ledger_path = "/var/lib/stayd";
    process_.resp = {"127.0.0.1:6380"};
    process_.started_ms = 1'000'000;
    process_.now_ms = 1'090'000;
    process_.clients = 5;
    process_.resident_bytes = 40'000'000;
    process_.open_fds = 20;
    process_.max_fds = 1'024;
  }
  PageInput input() { return {engine_, counters_, process_}; }
  HttpPage page(std::string_view path) { return render_page(path, input()); }

  EngineStatus engine_;
  Counters counters_;
  ProcessFacts process_;
};

TEST_F(Pages, LivezAnswersWhateverHappens) {
  engine_.ledger_ok = false;
  engine_.shard.trust = Trust::out;
  EXPECT_EQ(page("/livez").status, 200);
  EXPECT_EQ(page("/livez").body, "ok\n");
  EXPECT_EQ(page("/nothing").status, 404);
}

struct ReadyCase {
  const char* what;
  Trust trust;
  bool ledger_ok, adopted, tried, was_trusted, draining;
  int status;
  const char* body;
};

TEST_F(Pages, ReadyzTable) {
  // clang-format off
  const ReadyCase cases[] = {
      // what                  trust           ledger adopted tried  was    drain
      {"all is well",          Trust::trusted, true,  true,   true,  true,  false, 200, "ok\n"},
      {"adoption under way",   Trust::trusted, true,  false,  true,  true,  false, 200,
       "ok\nnote: not every key of Redis is in the ledger yet\n"},
      {"ledger full",          Trust::trusted, false, true,   true,  true,  false, 200,
       "ok\nnote: the ledger cannot be written (disk full)\n"},
      {"outage",               Trust::out,     true,  true,   true,  true,  false, 200,
       "ok\nnote: Redis is out (Connection refused); sessions are answered from the ledger\n"},
      {"reconcile",            Trust::suspect, true,  true,   true,  true,  false, 200,
       "ok\nnote: Redis is suspect (Connection refused); sessions are answered from the ledger\n"},
      {"outage, ledger full",  Trust::out,     false, true,   true,  true,  false, 503,
       "the ledger cannot be written (disk full)\n"
       "note: Redis is out (Connection refused); sessions are answered from the ledger\n"},
      {"just started",         Trust::out,     true,  false,  false, false, false, 503,
       "Redis has not answered yet\nnote: not every key of Redis is in the ledger yet\n"},
      {"first contact",        Trust::suspect, true,  false,  true,  false, false, 503,
       "Redis is being compared with the ledger for the first time\n"
       "note: not every key of Redis is in the ledger yet\n"},
      {"started in an outage", Trust::out,     true,  true,   true,  false, false, 200,
       "ok\nnote: Redis is out (Connection refused); sessions are answered from the ledger\n"},
      {"shutting down",        Trust::trusted, true,  true,   true,  true,  true,  503,
       "stayd is shutting down\n"},
  };
  // clang-format on
  for (const ReadyCase& c : cases) {
    engine_.shard.trust = c.trust;
    engine_.shard.reason = c.trust == Trust::trusted ? "" : "Connection refused";
    engine_.ledger_ok = c.ledger_ok;
    engine_.store.last_error = c.ledger_ok ? "" : "disk full";
    engine_.adoption_complete = c.adopted;
    counters_.connect_failures = c.tried && !c.was_trusted ? 1 : 0;
    counters_.shard_trusted = c.was_trusted ? 1 : 0;
    process_.draining = c.draining;
    const HttpPage answer = page("/readyz");
    EXPECT_EQ(answer.status, c.status) << c.what;
    EXPECT_EQ(answer.body, c.body) << c.what;
  }
}

TEST_F(Pages, MetricsHoldEveryCounterAndTheGauges) {
  const HttpPage answer = page("/metrics");
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
#define X(name, help) \
  EXPECT_NE(answer.body.find("\nstayd_" #name "_total "), std::string::npos) << #name;
  STAYD_COUNTERS(X)
#undef X
  for (const char* line :
       {"\nstayd_ready 1\n", "\nstayd_shard_trust{state=\"trusted\"} 1\n",
        "\nstayd_shard_trust{state=\"out\"} 0\n",
        "\nstayd_breaker_closed{capability=\"write\"} 1\n", "\nstayd_debts 0\n",
        "\nstayd_ledger_rows 1000\n", "\nstayd_clients 5\n",
        "\nstayd_build_info{version=\"1.2.3\"} 1\n", "\nstayd_commands_total 7\n",
        "\nstayd_mode{mode=\"protect\"} 1\n", "\n# TYPE stayd_commands_total counter\n",
        "\nprocess_resident_memory_bytes 40000000\n"}) {
    EXPECT_NE(answer.body.find(line), std::string::npos) << line << "in\n" << answer.body;
  }
}

TEST_F(Pages, StatusIsJsonWithWhatScriptsAskFor) {
  engine_.shard.reason = "it \"broke\"";
  const auto root = boost::json::parse(page("/status.json").body);
  EXPECT_EQ(root.at_pointer("/ready").as_bool(), true);
  EXPECT_EQ(root.at_pointer("/shard/trust").as_string(), "trusted");
  EXPECT_EQ(root.at_pointer("/shard/reason").as_string(), "it \"broke\"");
  EXPECT_EQ(root.at_pointer("/shard/debts").to_number<int>(), 0);
  EXPECT_EQ(root.at_pointer("/shard/breaker/reads_closed").as_bool(), true);
  EXPECT_EQ(root.at_pointer("/adoption_complete").as_bool(), true);
  EXPECT_EQ(root.at_pointer("/ledger/rows").to_number<int>(), 1'000);
  EXPECT_EQ(root.at_pointer("/listen/0").as_string(), "127.0.0.1:6380");
  EXPECT_EQ(root.at_pointer("/counters/logouts").to_number<int>(), 3);
  EXPECT_TRUE(root.at_pointer("/reasons").is_array());
  EXPECT_TRUE(root.at_pointer("/near_cache").is_object());
}

TEST_F(Pages, AnotherStaydOnTheSameRedisShowsEverywhere) {
  EXPECT_EQ(page("/readyz").body, "ok\n");
  EXPECT_NE(page("/metrics").body.find("\nstayd_shard_shared_unsafe 0\n"), std::string::npos);
  engine_.shard.shared_unsafe = true;
  EXPECT_EQ(page("/readyz").status, 200);
  EXPECT_NE(page("/readyz").body.find("note: another stayd works on this Redis"),
            std::string::npos);
  EXPECT_NE(page("/metrics").body.find("\nstayd_shard_shared_unsafe 1\n"), std::string::npos);
  const auto root = boost::json::parse(page("/status.json").body);
  EXPECT_EQ(root.at_pointer("/shard/shared_unsafe").as_bool(), true);
}

TEST_F(Pages, ShardsOfAClusterShowEachForItself) {
  EXPECT_EQ(page("/metrics").body.find("stayd_cluster_"), std::string::npos);
  EXPECT_EQ(page("/status.json").body.find("\"cluster\""), std::string::npos);
  NamedShard well{engine_.shard, "1", "0-8191"}, out{engine_.shard, "4", "8192-16383"};
  out.status.trust = Trust::out;
  out.status.address = "other:6379";
  out.status.debts = 9;
  engine_.shards = {well, out};
  process_.cluster.emplace();
  process_.cluster->known = 6;
  process_.cluster->asked = 5;
  process_.cluster->answering = 4;
  process_.cluster->config_epoch = 77;
  const std::string metrics = page("/metrics").body;
  for (const char* line : {"stayd_cluster_nodes_known 6\n", "stayd_cluster_nodes_asked 5\n",
                           "stayd_cluster_nodes_answering 4\n", "stayd_cluster_config_epoch 77\n",
                           "stayd_cluster_shard_trusted{shard=\"1\"} 1\n",
                           "stayd_cluster_shard_trusted{shard=\"4\"} 0\n",
                           "stayd_cluster_shard_debts{shard=\"1\"} 0\n",
                           "stayd_cluster_shard_debts{shard=\"4\"} 9\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
  const auto cluster =
      boost::json::parse(page("/status.json").body).as_object().at("cluster").as_object();
  EXPECT_EQ(cluster.at("known").to_number<int>(), 6);
  const auto& shard = cluster.at("shards").as_array().at(1).as_object();
  EXPECT_EQ(shard.at("id").as_string(), "4");
  EXPECT_EQ(shard.at("slots").as_string(), "8192-16383");
  EXPECT_EQ(shard.at("address").as_string(), "other:6379");
  EXPECT_EQ(shard.at("debts").to_number<int>(), 9);
}

TEST_F(Pages, AClusterInTroubleIsToldAndServesOn) {
  process_.cluster.emplace();
  process_.cluster->lost = true;
  process_.cluster->trouble = "n1:6379: Connection refused";
  process_.cluster->uncovered = "5-7";
  engine_.shards = {{engine_.shard, "1", "0-16383"}};
  const HttpPage ready = page("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_NE(ready.body.find("no node of the Cluster answers (n1:6379: Connection refused)"),
            std::string::npos);
  EXPECT_NE(ready.body.find("no shard of the Cluster has the slots 5-7"), std::string::npos);
}

TEST_F(Pages, ABotchedRotationShowsEverywhere) {
  process_.login_probes = {{"cache:6379", false, "", 0, 1'080'000}};
  EXPECT_EQ(page("/readyz").body, "ok\n");
  const char* metric = "\nstayd_login_probe_failing{redis=\"cache:6379\"} ";
  EXPECT_NE(page("/metrics").body.find(metric + std::string("0\n")), std::string::npos);
  process_.login_probes[0] = {"cache:6379", true, "WRONGPASS no", 1'085'000, 1'080'000};
  EXPECT_EQ(page("/readyz").status, 200);
  EXPECT_EQ(page("/readyz").body, "ok\nnote: new connections to cache:6379 fail (WRONGPASS no)\n");
  EXPECT_NE(page("/metrics").body.find(metric + std::string("1\n")), std::string::npos);
  const auto root = boost::json::parse(page("/status.json").body);
  EXPECT_EQ(root.at_pointer("/login_probes/0/failing").as_bool(), true);
  EXPECT_EQ(root.at_pointer("/login_probes/0/trouble").as_string(), "WRONGPASS no");
  EXPECT_EQ(root.at_pointer("/login_probes/0/last_ok_ms").to_number<int>(), 1'080'000);
}

TEST_F(Pages, RegionsShowEverywhere) {
  process_.regions = {
      {"a", "one:6379", false, true, true, true, false, 0, "one:6379: connect timed out"},
      {"b", "two:6379", true, false, false, true, false, 0, ""}};
  EXPECT_EQ(page("/readyz").body,
            "ok\nnote: Redis a could not be used (one:6379: connect timed out)\n"
            "note: Redis b is used in place of the one that is preferred\n");
  const std::string metrics = page("/metrics").body;
  EXPECT_NE(metrics.find("stayd_region_in_use{region=\"b\"} 1"), std::string::npos);
  EXPECT_NE(metrics.find("stayd_region_well{region=\"a\"} 0"), std::string::npos);
  EXPECT_EQ(metrics.find("stayd_region_well{region=\"b\"}"), std::string::npos);
  EXPECT_NE(metrics.find("stayd_region_drained{region=\"a\"} 1"), std::string::npos);
  const std::string json = render_status_json(input());
  EXPECT_TRUE(is_trusted_region(json, "b"));
  EXPECT_FALSE(is_trusted_region(json, "a"));
  EXPECT_FALSE(is_trusted_region("[]", "b"));
  EXPECT_FALSE(is_trusted_region("no JSON", "b"));
  const std::string table = *render_status_table(json);
  EXPECT_NE(table.find("a at one:6379: not well (one:6379: connect timed out), preferred, drained"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("b at two:6379: in use\n"), std::string::npos);
}

TEST_F(Pages, TheSharedBackup) {
  EXPECT_EQ(page("/metrics").body.find("stayd_backup_up"), std::string::npos);
  process_.backup.emplace();
  BackupFacts& backup = *process_.backup;
  backup.place = "postgresql://db/sessions";
  backup.fleet.backup.up = backup.fleet.backup.writable = true;
  backup.fleet.unshipped = 5;
  backup.fleet.put_off = 2;
  backup.oldest_unshipped_ms = 1'500;
  backup.feed_age_ms = 120;
  EXPECT_EQ(page("/readyz").body, "ok\n");
  const std::string metrics = page("/metrics").body;
  for (const char* line :
       {"stayd_backup_up 1\n", "stayd_backup_writable 1\n", "stayd_backup_unshipped_rows 3\n",
        "stayd_backup_put_off_rows 2\n", "stayd_backup_oldest_unshipped_seconds 1.5\n",
        "stayd_backup_feed_age_seconds 0.12\n", "stayd_backup_other_hosts 0\n",
        "stayd_backup_hosts_at_work 0\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
  const auto row = [this] { return *render_status_table(page("/status.json").body); };
  EXPECT_NE(row().find("backup      up, 3 rows to ship, the oldest for 1500 ms, feed read 120 ms "
                       "ago (postgresql://db/sessions)\n"),
            std::string::npos)
      << row();

  backup.fleet.backup.writable = false;
  backup.others = {"web-2"};
  EXPECT_EQ(page("/readyz").status, 200);
  EXPECT_EQ(page("/readyz").body,
            "ok\nnote: the backup postgresql://db/sessions takes no writes: what changes waits in "
            "the ledger\nnote: other stayds use the backup postgresql://db/sessions (web-2): "
            "several on one backup are experimental\n");
  EXPECT_NE(row().find("backup      READ-ONLY, "), std::string::npos);

  backup.fleet.backup.up = false;
  backup.fleet.backup.error = "backup: refused";
  backup.feed_age_ms = -1;
  backup.others.clear();
  EXPECT_EQ(page("/readyz").body,
            "ok\nnote: the backup postgresql://db/sessions is out (backup: refused): what changes "
            "waits in the ledger\n");
  EXPECT_NE(row().find("backup      OUT, "), std::string::npos);
}

TEST_F(Pages, StatusTableForPeople) {
  engine_.shard.trust = Trust::out;
  engine_.shard.reason = "Connection refused";
  engine_.shard.debts = 12;
  const auto table = render_status_table(page("/status.json").body);
  ASSERT_TRUE(table);
  expect_golden(*table, "tests/golden/status.txt");
}

TEST_F(Pages, AStrangersJsonIsRefusedOrEmpty) {
  EXPECT_FALSE(render_status_table("<html>"));
  EXPECT_FALSE(render_status_table("[]"));
  EXPECT_TRUE(render_status_table("{}"));
  EXPECT_TRUE(render_status_table(R"({"shard":5,"notes":"x","reasons":[1]})"));
}

TEST(ProcessFacts, AreMeasured) {
  ProcessFacts facts;
  measure_process(facts);
  EXPECT_GT(facts.resident_bytes, 1'000'000u);
  EXPECT_GE(facts.open_fds, 3u);
  EXPECT_GT(facts.max_fds, 0u);
}

// Of this folder no Linux tells how many entries it has.
TEST(ProcessFacts, ManyDescriptorsAreCountedOnceAMinute) {
  ProcessFacts facts;
  const auto measured = [&](std::int64_t now_ms) {
    facts.now_ms = now_ms;
    measure_descriptors(facts, "/proc/self/fdinfo");
    return facts.open_fds;
  };
  const std::uint64_t few = measured(1'000);
  EXPECT_GE(few, 3u);
  std::vector<int> more;
  for (int i = 0; i < 480; ++i) more.push_back(::dup(0));
  EXPECT_EQ(measured(1'001), few + 480);
  for (int i = 0; i < 20; ++i) more.push_back(::dup(0));
  EXPECT_EQ(measured(1'002), few + 500);
  for (const int fd : more) ::close(fd);
  EXPECT_EQ(measured(60'000), few + 500);
  EXPECT_EQ(measured(61'002), few);
}

}  // namespace
}  // namespace stayd
