// Reads of replicas as a script: who is asked, what counts as an answer.
#include "core/replica_reads.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/canary.h"
#include "core/upstream_test_util.h"
#include "resp/command_table.h"
#include "resp/reply.h"
#include "store/memory/memory_store.h"

namespace stayd {
namespace {

struct FakeReplica final : testing::FakeConnection<Replica> {
  FakeReplica() { is_up = false; }
  void set_addresses(std::vector<std::string> addresses) override {
    named.clear();
    for (const auto& one : addresses) named += one + " ";
  }
  void open(Now) override { ++opened; }
  void close() override { ++closed; }
  bool reachable() const override { return is_up || is_reachable; }
  void doubt() override { is_reachable = false; }
  const std::string& address() const override { return at; }

  std::string named, at = "r:1";
  int opened = 0, closed = 0;
  bool is_reachable = true;
};

constexpr std::int64_t kBeatMs = 5'000'000;

class ReplicaReadsTest : public ::testing::Test, public ReplicaReadsEvents, public EventSink {
 protected:
  ReplicaReadsTest() {
    context.now = {1'000'000, kBeatMs};
    context.instance = "me";
    start(*reads);
    reads->on_tick(kBeatMs, Trust::out);
  }
  static EngineOptions options() {
    EngineOptions out;
    out.replica_reads = true;
    out.replicas = {"reader:1"};
    return out;
  }
  void start(ReplicaReads& of) {
    of.attach(&replica, aux);
    of.start();
  }
  void on_replica_hit(Call&, std::string_view frame) override { told += "hit " + text(frame); }
  void on_replica_miss(Call&) override { told += "miss "; }
  void on_event(const Event& event) override { events += std::string(event.name) + " "; }
  static std::string text(std::string_view frame) {
    return std::string(ReplyView(frame).text()) + " ";
  }
  bool ask(std::vector<std::string> words, Hlc floor = 0) {
    Call& call = *calls.emplace_back(std::make_unique<Call>());
    call.raw.clear();
    const auto& kept = *kept_.emplace_back(std::make_unique<std::vector<std::string>>(words));
    for (const auto& word : kept) call.args.emplace_back(word);
    append_request(call.raw, call.args);
    call.spec = find_command(call.args);
    return reads->ask(call, floor, context.now.mono_us + 50'000);
  }
  void up() {
    replica.is_up = true;
    static_cast<UpstreamEvents&>(*reads).on_upstream_up({});
  }
  void down() {
    replica.lose();
    static_cast<UpstreamEvents&>(*reads).on_upstream_down(false, "gone");
  }
  static std::string heartbeat(Hlc position, std::int64_t wall_ms = kBeatMs) {
    const auto value = Canary{1, 7, position, wall_ms, 0}.text();
    return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  }
  // What is told of this reply beside that heartbeat.
  std::string answers(std::vector<std::string> words, std::string_view reply,
                      const std::string& beat = heartbeat(100), Hlc floor = 0) {
    if (!replica.is_up) up();
    told.clear();
    EXPECT_TRUE(ask(std::move(words), floor));
    replica.answer(beat);
    if (!replica.asked.empty()) replica.answer(reply);
    return told;
  }

  MemoryStore store{[] { return std::int64_t{1'000}; }};
  Counters counters;
  Random random{1};
  HlcClock clock;
  CoreContext context{options(), store, counters, *this, random, clock};
  testing::FakeUpstream aux;
  FakeReplica replica;
  std::unique_ptr<ReplicaReads> reads = std::make_unique<ReplicaReads>(context, *this);
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::unique_ptr<std::vector<std::string>>> kept_;
  std::string told, events;
};

TEST_F(ReplicaReadsTest, TheConnectionIsMadeForTheFirstRead) {
  EXPECT_EQ(replica.opened, 0);
  EXPECT_TRUE(ask({"GET", "k"}));
  EXPECT_TRUE(ask({"HGETALL", "h"}));
  EXPECT_EQ(replica.take_sent(), "");
  up();
  EXPECT_EQ(replica.take_sent(),
            "GET stayd:{}:canary:me, GET k, GET stayd:{}:canary:me, HGETALL h");
  replica.answer(heartbeat(100));
  replica.answer("$1\r\nv\r\n");
  replica.answer(heartbeat(100));
  replica.answer("%0\r\n");
  EXPECT_EQ(told, "hit v miss ");
  EXPECT_EQ(events, "replica_asked ");
  EXPECT_EQ(replica.closed, 0);
  reads->on_trust(Trust::suspect);
  EXPECT_EQ(replica.closed, 1);
}

TEST_F(ReplicaReadsTest, WhatIsAHit) {
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n"), "hit v ");
  EXPECT_EQ(answers({"GET", "k"}, "_\r\n"), "miss ");
  EXPECT_EQ(answers({"GET", "k"}, "-WRONGTYPE Operation\r\n"), "miss ");
  EXPECT_EQ(answers({"EXISTS", "k"}, ":1\r\n"), "hit 1 ");
  EXPECT_EQ(answers({"EXISTS", "k"}, ":0\r\n"), "miss ");
  EXPECT_EQ(answers({"TTL", "k"}, ":-1\r\n"), "hit -1 ");
  EXPECT_EQ(answers({"TTL", "k"}, ":-2\r\n"), "miss ");
  EXPECT_EQ(answers({"HMGET", "h", "a", "b"}, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"), "hit  ");
  EXPECT_EQ(answers({"HMGET", "h", "a", "b"}, "*2\r\n$1\r\n1\r\n_\r\n"), "miss ");
  EXPECT_EQ(answers({"SMISMEMBER", "s", "a", "b"}, "*2\r\n:1\r\n:0\r\n"), "miss ");
  EXPECT_EQ(answers({"SISMEMBER", "s", "a"}, ":0\r\n"), "miss ");
  EXPECT_EQ(answers({"GET", "k"}, "-MOVED 1 10.0.0.1:6379\r\n"), "miss ");
  EXPECT_EQ(replica.condemned, "");
  EXPECT_EQ(counters.replica_misses, 8u);
}

TEST_F(ReplicaReadsTest, WhatIsNotAsked) {
  for (const char* name : {"SET", "GETEX", "GETDEL", "EXPIRE", "INCR", "APPEND"}) {
    EXPECT_FALSE(ask({name, "k", "1"})) << name;
  }
  EXPECT_EQ(replica.opened, 0);
  context.options.replica_reads = false;
  EXPECT_FALSE(ask({"GET", "k"}));
}

TEST_F(ReplicaReadsTest, TheHeartbeatVouches) {
  const std::string hit = "$1\r\nv\r\n";
  const std::vector<std::string> get = {"GET", "k"};
  EXPECT_EQ(answers(get, hit, heartbeat(100), 100), "hit v ");
  EXPECT_EQ(answers(get, hit, heartbeat(99), 100), "miss ");
  EXPECT_EQ(answers(get, hit, "_\r\n"), "miss ");
  EXPECT_EQ(answers(get, hit, "$1\r\nx\r\n"), "miss ");
  EXPECT_EQ(answers(get, hit, heartbeat(100, kBeatMs - 3'000)), "hit v ");
  EXPECT_EQ(replica.condemned, "");
  EXPECT_EQ(answers(get, hit, heartbeat(100, kBeatMs - 3'001)), "miss ");
  EXPECT_EQ(replica.condemned, "what it holds is 3 s older than the primary's");
}

TEST_F(ReplicaReadsTest, ALedgerThatHasNeverSeenItsRedisNeedsNoHeartbeat) {
  reads = std::make_unique<ReplicaReads>(context, *this);
  start(*reads);
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", "_\r\n"), "hit v ");
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", "_\r\n", 1), "miss ");
}

// Found by the simulator (seed 1216 with --replica): a power cut took the ledger's end, it began
// anew, and Redis was lost before the key was taken over again: a replica that lagged showed an
// older value than had been told.
TEST_F(ReplicaReadsTest, AReplicaFromBeforeTheLedgerBeganAnew) {
  reads->on_ledger_anew();
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", heartbeat(100, kBeatMs)), "miss ");
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", heartbeat(100, kBeatMs + 1)), "hit v ");
}

TEST_F(ReplicaReadsTest, OneThatServesNothingIsLeft) {
  for (const char* error : {"-LOADING Redis is loading\r\n", "-MASTERDOWN Link with MASTER\r\n"}) {
    replica.condemned.clear();
    EXPECT_EQ(answers({"GET", "k"}, error, error), "miss ");
    EXPECT_NE(replica.condemned, "");
  }
}

TEST_F(ReplicaReadsTest, NobodyWaitsBeyondTheDeadline) {
  EXPECT_TRUE(ask({"GET", "a"}));
  context.now.mono_us += 49'000;
  reads->on_tick(0, Trust::out);
  EXPECT_EQ(told, "");
  context.now.mono_us += 1'000;
  reads->on_tick(0, Trust::out);
  EXPECT_EQ(told, "miss ");
  EXPECT_FALSE(ask({"GET", "b"})) << "nor at all, once somebody has waited in vain";
  replica.is_reachable = true;
  for (std::size_t i = 0; i < ReplicaReads::kMaxWaiting; ++i) EXPECT_TRUE(ask({"GET", "a"}));
  EXPECT_FALSE(ask({"GET", "b"}));
}

TEST_F(ReplicaReadsTest, ALostConnectionIsAMissForAll) {
  up();
  EXPECT_TRUE(ask({"GET", "a"}));
  EXPECT_TRUE(ask({"GET", "b"}));
  replica.answer(heartbeat(1));
  down();
  EXPECT_EQ(told, "miss miss ");
  EXPECT_EQ(events, "replica_asked replica_failed ");
  down();
  EXPECT_EQ(events, "replica_asked replica_failed ") << "told once";
  EXPECT_EQ(counters.replica_failures, 2u);
}

TEST_F(ReplicaReadsTest, ThePrimaryNamesThemAndTheLedgerRemembers) {
  EXPECT_EQ(replica.named, "reader:1 ");
  reads->on_primary({{"a:1", true, 0, 0}, {"b:1", false, 0, 0}, {"c:1", true, 0, 60}});
  EXPECT_EQ(replica.named, "reader:1 a:1 ");
  reads->on_tick(kBeatMs + 1, Trust::trusted);
  EXPECT_EQ(aux.take_sent(), "INFO replication");
  const std::string info =
      "role:master\r\nslave0:ip=d,port=2,state=online,offset=1,lag=0\r\n"
      "slave1:ip=reader,port=1,state=online,offset=1,lag=0\r\n";
  aux.answer("$" + std::to_string(info.size()) + "\r\n" + info + "\r\n");
  EXPECT_EQ(replica.named, "reader:1 d:2 ");
  reads->on_tick(0, Trust::trusted);
  EXPECT_EQ(aux.take_sent(), "") << "each ten seconds";
  reads->on_trust(Trust::out);
  EXPECT_EQ(store.fact("replicas"),
            "127.0.0.1:6379\n" + std::to_string(kBeatMs + 1) + " 0\nd:2\nreader:1");

  replica.named.clear();
  ReplicaReads next(context, *this);
  start(next);
  EXPECT_EQ(replica.named, "reader:1 d:2 ");
  context.options.address = "elsewhere:6379";
  ReplicaReads of_another(context, *this);
  start(of_another);
  EXPECT_EQ(replica.named, "reader:1 ");
}

TEST_F(ReplicaReadsTest, AnotherRedisHasOtherReplicas) {
  reads->on_primary({{"a:1", true, 0, 0}});
  up();
  context.options.region = "east";
  reads->change_memory({"e:1"});
  EXPECT_EQ(replica.named, "e:1 ");
  EXPECT_EQ(replica.condemned, "another Redis is used from now on");
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", "_\r\n"), "miss ") << "no heartbeat yet";
  EXPECT_EQ(replica.take_sent(), "GET stayd:{}:canary:me@east, GET k");
}

TEST_F(ReplicaReadsTest, InAClusterTheTopologyNamesThemAndReadonlyIsSaid) {
  context.place = ShardPlace("3", SlotSet().set(), 2);
  reads->on_primary({{"a:1", true, 0, 0}});
  EXPECT_EQ(replica.named, "reader:1 ");
  reads->name({"n:1"});
  EXPECT_EQ(replica.named, "reader:1 n:1 ");
  up();
  EXPECT_EQ(replica.take_sent(), "READONLY");
  replica.answer("+OK\r\n");
  const auto of_place = [](std::uint64_t place) {
    const auto value = Canary{1, 7, 100, kBeatMs, place}.text();
    return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  };
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", of_place(2)), "hit v ");
  EXPECT_EQ(answers({"GET", "k"}, "$1\r\nv\r\n", of_place(1)), "miss ");
}

}  // namespace
}  // namespace stayd
