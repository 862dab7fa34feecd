// FleetView: what is here by the others' heartbeats, and what follows for a row of theirs (B4,
// B11).
#include "core/fleet_view.h"

#include "core/fleet_test_util.h"
#include "core/upstream_test_util.h"

namespace stayd::test {
namespace {

constexpr std::uint64_t kUs = 3 * kOriginLives + 1;
constexpr std::uint64_t kThem = 5 * kOriginLives + 1;

// Stayd `us` with a view; another one, `them`, of which only what it has in the backup is there.
class FleetViewTest : public ::testing::Test, protected EventSink, protected FleetViewEvents {
 protected:
  FleetViewTest() {
    context.now = now;
    context.upstream = &redis;
    context.fleet = &view;
    us.fleet.set_judge(&view);
    them.judge.verdict = Verdict::wait;
    run(5);
    view.on_connection();
    view.on_trust(Trust::trusted);
    run(500);  // the feed has shown both hosts
  }
  void run(int ms) {
    for (int i = 0; i < ms; ++i) {
      now.mono_us += kMs;
      ++now.wall_ms;
      context.now = now;
      us.run();
      them.run();
      view.on_tick();
    }
  }
  // Their heartbeat, as Redis holds it.
  void beat(Hlc position) {
    std::string request;
    if (!view.append_beats(request)) return ADD_FAILURE() << "nobody to ask for";
    const std::string text = Canary{1, ++count, position, now.wall_ms, 0, 0}.text();
    view.on_beats(0, ReplyView("*1\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"));
  }
  void no_beat() {
    std::string request;
    ASSERT_TRUE(view.append_beats(request));
    view.on_beats(0, ReplyView("*1\r\n$-1\r\n"));
  }
  RowMeta row(Hlc hlc, RowState state = RowState::live, std::uint64_t origin = kThem) const {
    RowMeta out;
    out.state = state;
    out.hlc = hlc;
    out.origin = origin;
    return out;
  }
  Verdict judge(const RowMeta& ours, const RowMeta& theirs, std::int64_t since_ms = 0) {
    return view.judge(key, ours, theirs, now.mono_us - since_ms * kMs);
  }
  RowMeta ours(Hlc hlc, Unshipped what = Unshipped::whole) const {
    RowMeta out = row(hlc, RowState::live, kUs);
    out.unshipped = what;
    return out;
  }

  void on_event(const Event&) override {}
  void on_foreign_row(const FullKey& of) override { foreign.push_back(of); }
  void on_read_back_wanted(const FullKey& of) override { read_back.push_back(of); }

  Now now{1'000'000, kWallMs};
  MemoryDatabase database;
  FleetHost us{database, kUs, now};
  FleetHost them{database, kThem, now};
  Random random{1};
  Counters counters;
  MemoryStore unused{[this] { return now.wall_ms; }};
  CoreContext context{EngineOptions{}, unused, counters, *this, random, us.clock};
  stayd::testing::FakeUpstream redis;
  FleetView view{context, us.fleet, *this};
  std::uint64_t count = 0;
  const FullKey key = full_key(0, "sess:1");
  std::vector<FullKey> foreign, read_back;
};

TEST_F(FleetViewTest, RowsUpToTheirHeartbeatsPositionAreHere) {
  EXPECT_FALSE(view.here(key, row(10)));
  beat(10);
  EXPECT_TRUE(view.here(key, row(10)));
  EXPECT_FALSE(view.here(key, row(11)));
  EXPECT_FALSE(view.here(full_key(1, "sess:1"), row(10))) << "of another database";
  no_beat();
  EXPECT_FALSE(view.here(key, row(10))) << "its memory has been emptied";
}

TEST_F(FleetViewTest, OfAnotherMemoryNothingIsKnown) {
  beat(10);
  view.on_connection();
  EXPECT_FALSE(view.here(key, row(10)));
  EXPECT_FALSE(view.has_company());
}

TEST_F(FleetViewTest, OwnRowsAreHereUnlessTheyAreOwed) {
  EXPECT_TRUE(view.here(key, ours(10)));
  EXPECT_TRUE(view.here(key, row(10, RowState::live, kUs + 1))) << "of another life of this host";
  context.debts.add_foreign(key, 10);
  EXPECT_FALSE(view.here(key, ours(10)));
}

TEST_F(FleetViewTest, OwnRowsOfAnUntrustedMemoryAreThoseThatWereFoundThere) {
  view.on_trust(Trust::suspect);
  EXPECT_FALSE(view.here(key, ours(10)));
  view.found_own(0, 10);
  EXPECT_TRUE(view.here(key, ours(10)));
  EXPECT_FALSE(view.here(key, ours(11)));
  beat(7);
  EXPECT_EQ(view.all_here_to(0), 7);
}

TEST_F(FleetViewTest, WhoseHeartbeatStandsStillIsNotAtWork) {
  beat(10);
  EXPECT_TRUE(view.has_company());
  run(2900);
  EXPECT_TRUE(view.has_company());
  run(200);
  EXPECT_FALSE(view.has_company());
  beat(10);
  EXPECT_TRUE(view.has_company());
}

TEST_F(FleetViewTest, ARowThroughRedisWaitsForItsHostsHeartbeat) {
  beat(10);
  view.on_foreign(key, row(20), true);
  EXPECT_TRUE(view.pending(key) && !context.debts.has(key)) << "Redis decides";
  run(100);
  EXPECT_TRUE(view.pending(key));
  beat(20);
  run(1);
  EXPECT_FALSE(view.pending(key) || context.debts.has(key));
  EXPECT_EQ(foreign, std::vector{key});
}

TEST_F(FleetViewTest, ARowThatNoHeartbeatReachesIsOwed) {
  beat(10);
  view.on_foreign(key, row(20), true);
  for (int i = 0; i < 11; ++i) {
    run(100);
    beat(10);
  }
  EXPECT_TRUE(context.debts.has(key) && !view.pending(key));
}

TEST_F(FleetViewTest, ARowMadeWithoutRedisOrByAHostThatIsNotHereIsOwedAtOnce) {
  const FullKey other = full_key(0, "sess:2");
  view.on_foreign(other, row(20), true);
  EXPECT_TRUE(context.debts.has(other)) << "nobody has seen its host here";
  beat(10);
  view.on_foreign(key, row(20), false);
  EXPECT_TRUE(context.debts.has(key));
}

TEST_F(FleetViewTest, WithoutRedisNothingIsOwedYet) {
  view.on_trust(Trust::out);
  view.on_foreign(key, row(20), false);
  EXPECT_FALSE(context.debts.has(key)) << "the next connection looks at every row";
}

TEST_F(FleetViewTest, AnUntrustedRedisIsNoJudgeAndTheLaterOneWins) {
  view.on_trust(Trust::suspect);
  EXPECT_EQ(judge(ours(10), row(20)), Verdict::theirs);
  EXPECT_EQ(judge(ours(20), row(10)), Verdict::ours);
}

TEST_F(FleetViewTest, WhatIsNotHereIsWaitedForASecond) {
  beat(10);
  EXPECT_EQ(judge(ours(20), row(15)), Verdict::wait);
  EXPECT_EQ(judge(ours(20), row(15), 1100), Verdict::ours);
  EXPECT_EQ(judge(ours(20), row(25), 1100), Verdict::theirs);
  EXPECT_EQ(judge(ours(20), row(15, RowState::tomb), 1100), Verdict::theirs);
}

TEST_F(FleetViewTest, ALiveRowThatIsHereIsReadBackOnce) {
  beat(30);
  EXPECT_EQ(judge(ours(20), row(25)), Verdict::wait);
  EXPECT_EQ(judge(ours(20), row(25)), Verdict::wait);
  EXPECT_EQ(read_back, std::vector{key});
  view.on_read_back(key);
  EXPECT_EQ(judge(ours(20), row(25)), Verdict::read_back);
  EXPECT_EQ(judge(ours(20), row(26)), Verdict::wait) << "of another row it says nothing";
  EXPECT_EQ(read_back.size(), 2);
}

TEST_F(FleetViewTest, UnderATombstoneThatIsHereRedisTellsWhetherOursIsANewSession) {
  beat(30);
  redis.take_sent();
  for (const bool has : {true, false}) {
    EXPECT_EQ(judge(ours(20), row(25, RowState::tomb)), Verdict::wait);
    EXPECT_EQ(redis.take_sent(), "EXISTS sess:1");
    redis.answer(has ? ":1\r\n" : ":0\r\n");
    EXPECT_EQ(judge(ours(20), row(25, RowState::tomb)), has ? Verdict::ours : Verdict::theirs);
  }
  EXPECT_EQ(judge(ours(20, Unshipped::part), row(25, RowState::tomb)), Verdict::theirs)
      << "elements open no session";
  EXPECT_EQ(redis.take_sent(), "");
}

TEST_F(FleetViewTest, AQuestionThatIsLostIsAskedAgain) {
  beat(30);
  EXPECT_EQ(judge(ours(20), row(25, RowState::tomb)), Verdict::wait);
  redis.lose();
  EXPECT_EQ(judge(ours(20), row(25, RowState::tomb)), Verdict::wait) << "nobody to ask";
  redis.is_up = true;
  redis.take_sent();
  EXPECT_EQ(judge(ours(20), row(25, RowState::tomb)), Verdict::wait);
  EXPECT_EQ(redis.take_sent(), "EXISTS sess:1");
}

}  // namespace
}  // namespace stayd::test
