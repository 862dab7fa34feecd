#include "daemon/advice.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

constexpr const char* kHealthy =
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
    "# Clients\r\n# Memory\r\nused_memory:104857600\r\nmaxmemory:1073741824\r\n"
    "maxmemory_policy:noeviction\r\n"
    "# Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\naof_enabled:1\r\n"
    "aof_last_write_status:ok\r\n# Stats\r\nevicted_keys:0\r\n"
    "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmin_slaves_good_slaves:1\r\n";

std::string with(std::string info, const std::string& from, const std::string& to) {
  const std::size_t at = info.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return info.replace(at, from.size(), to);
}

// The lines that are not "ok".
std::string complaints(const std::string& info, std::int64_t offset_ms = 3) {
  std::vector<Finding> bad;
  for (const Finding& finding : judge_redis(info, offset_ms)) {
    if (finding.level != Finding::Level::good) bad.push_back(finding);
  }
  return render_findings(bad);
}

TEST(Advice, AHealthyRedisIsAllGood) {
  EXPECT_EQ(complaints(kHealthy), "");
  EXPECT_FALSE(has_problem(judge_redis(kHealthy, 0)));
}

TEST(Advice, EachTroubleHasItsLine) {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"7.0.15", "6.0.16", "advice  version     Redis 6.0.16 is older than 6.2"},
      {"7.0.15", "5.0.3", "advice  version"},
      {"redis_version:7.0.15\r\n", "", "PROBLEM version"},
      {"standalone", "cluster", "PROBLEM mode"},
      {"role:master", "role:slave", "PROBLEM role        the role is slave"},
      {"loading:0", "loading:1", "PROBLEM loading"},
      {"bgsave_status:ok", "bgsave_status:err", "PROBLEM persistence the last RDB save failed"},
      {"aof_last_write_status:ok", "aof_last_write_status:err", "the last AOF write failed"},
      {"aof_enabled:1", "aof_enabled:0", "advice  persistence AOF is off"},
      {"maxmemory:1073741824", "maxmemory:0", "advice  memory      maxmemory is 0"},
      {"used_memory:104857600", "used_memory:1000000000", "advice  memory      953 MB of 1024 MB"},
      {"evicted_keys:0", "evicted_keys:12", "advice  evictions   12 keys evicted"},
      {"noeviction", "allkeys-lru", "advice  evictions   policy allkeys-lru"},
  };
  for (const auto& c : cases) {
    const std::string text = complaints(with(kHealthy, c.from, c.to));
    EXPECT_NE(text.find(c.says), std::string::npos) << c.to << ":\n" << text;
  }
  EXPECT_NE(
      complaints(kHealthy, -900).find("PROBLEM clock       Redis' clock is 900 ms behind ours"),
      std::string::npos);
}

std::string of_replicas(const std::string& info, const ReplicationFacts& facts) {
  return render_findings(judge_replicas(info, facts));
}

TEST(Advice, Replicas) {
  const std::string one =
      "role:master\r\nconnected_slaves:1\r\n"
      "slave0:ip=10.0.0.2,port=6379,state=online,offset=2000000,lag=0\r\n"
      "master_repl_offset:2000010\r\n";
  const std::string two = with(one, "connected_slaves:1", "connected_slaves:2");
  const std::string good = "min_slaves_good_slaves:";
  const std::string none = "role:master\r\nconnected_slaves:0\r\n";
  const ReplicationFacts denied, off{0, 10}, on{1, 10};
  const struct {
    std::string info;
    ReplicationFacts facts;
    const char* says;
  } cases[] = {
      {none, denied, "advice  replicas    no replica: until Redis is back"},
      {none, {0, 10, "the Sentinels"}, "advice  replicas    no replica: the Sentinels can promote"},
      {none, {{}, 0, "the Cluster"}, "advice  replicas    no replica: the Cluster can promote"},
      {one, denied, "ok      replicas    1 connected\n"},
      {one + good + "1\r\n", denied,
       "ok      replicas    1 connected, min-replicas-to-write is set"},
      {one, off, "advice  replicas    1 connected, but min-replicas-to-write is 0"},
      {one, {1, 0}, "advice  replicas    1 connected, but min-replicas-max-lag is 0"},
      {two, on, "ok      replicas    2 connected, min-replicas-to-write is 1\n"},
      {one, on, "advice  replicas    1 connected, and min-replicas-to-write is 1: when one"},
      {two + good + "0\r\n", on, "PROBLEM replicas    0 good replicas, min-replicas-to-write is 1"},
      {two, {1, 60}, "advice  replicas    min-replicas-max-lag is 60"},
      {with(two, "lag=0", "lag=7"), on,
       "advice  replicas    10.0.0.2:6379 has been silent for 7 s"},
      {with(two, "online", "send_bulk"), on, "advice  replicas    10.0.0.2:6379 is being given"},
      {with(two, "_offset:", "_offset:1"), on, "advice  replicas    10.0.0.2:6379 is 9 MB behind"},
  };
  for (const auto& c : cases) {
    const std::string text = of_replicas(c.info, c.facts);
    EXPECT_NE(text.find(c.says), std::string::npos) << c.says << ":\n" << text;
  }
  EXPECT_EQ(of_replicas(two, on), "ok      replicas    2 connected, min-replicas-to-write is 1\n");
}

TEST(Advice, NotRedisAtAll) {
  EXPECT_TRUE(has_problem(judge_redis("hello", 0)));
}

TEST(Advice, Disk) {
  EXPECT_TRUE(has_problem(judge_disk({.path = "/x"})));
  const DiskFacts good{"/x", true, true, 10ull << 30, 20ull << 30};
  EXPECT_EQ(render_findings(judge_disk(good)),
            "ok      ledger      /x, 10240 MB free of 20480 MB\n");
  const DiskFacts low{"/x", true, true, 1 << 20, 20ull << 30};
  EXPECT_EQ(judge_disk(low)[0].level, Finding::Level::advice);
}

}  // namespace
}  // namespace stayd
