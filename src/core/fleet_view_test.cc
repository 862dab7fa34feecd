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
  // Their heartbeat, as Redis holds it: what was made through Redis from `from` on has got to `to`.
  void beat(Hlc position, Hlc from = 5, Hlc to = 5) {
    std::string request;
    if (!view.append_beats(request)) return ADD_FAILURE() << "nobody to ask for";
    const std::string text = Canary{1, ++count, position, now.wall_ms, 0, 0, from, to}.text();
    view.on_beats(0, ReplyView("*1\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"));
  }
  // Its host lives.
  void beats(Hlc position) {
    beat(position);
    beat(position);
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
  RowMeta through(Hlc hlc, RowState state = RowState::live) const {
    RowMeta out = row(hlc, state);
    out.through_redis = true;
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

TEST_F(FleetViewTest, AHostIsAtWorkOnceItsHeartbeatIsSeenToChangeUntilItStops) {
  EXPECT_EQ(view.hosts_at_work(), 0u);
  beat(10);
  EXPECT_EQ(view.hosts_at_work(), 0u) << "one that is no more may have left it";
  beat(10);
  EXPECT_EQ(view.hosts_at_work(), 1u);
  run(3'100);
  EXPECT_EQ(view.hosts_at_work(), 0u);
}

TEST_F(FleetViewTest, RowsUpToTheirHeartbeatsPositionAreHere) {
  EXPECT_FALSE(view.here(key, row(10)));
  beat(10);
  EXPECT_TRUE(view.here(key, row(10)));
  EXPECT_FALSE(view.here(key, row(11)));
  EXPECT_FALSE(view.here(full_key(1, "sess:1"), row(10))) << "of another database";
  no_beat();
  EXPECT_FALSE(view.here(key, row(10))) << "its memory has been emptied";
}

TEST_F(FleetViewTest, WhatWasMadeThroughRedisIsHereWhateverElseIsOwed) {
  beat(3, 10, 20);
  EXPECT_TRUE(view.here(key, through(20)));
  EXPECT_FALSE(view.here(key, row(20))) << "made without Redis";
  EXPECT_FALSE(view.here(key, through(21))) << "may come";
  EXPECT_FALSE(view.here(key, through(10))) << "from before it trusted this memory";
  EXPECT_TRUE(view.here(key, through(3)));
  no_beat();
  EXPECT_FALSE(view.here(key, through(20)));
}

TEST_F(FleetViewTest, AMemoryThatIsDoubtedHasNothing) {
  beat(3, 10, 20);
  view.on_trust(Trust::suspect);
  EXPECT_FALSE(view.here(key, through(20)) || view.here(key, row(3)));
  EXPECT_TRUE(view.has_company());
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
  beats(10);
  view.on_foreign(key, through(20));
  EXPECT_TRUE(view.pending(key) && !context.debts.has(key)) << "Redis decides";
  run(100);
  EXPECT_TRUE(view.pending(key));
  beat(20);
  run(1);
  EXPECT_FALSE(view.pending(key) || context.debts.has(key));
  EXPECT_EQ(foreign, std::vector{key});
}

TEST_F(FleetViewTest, ARowThatNoHeartbeatReachesIsOwed) {
  beats(10);
  view.on_foreign(key, through(20));
  for (int i = 0; i < 11; ++i) {
    run(100);
    beat(10);
  }
  EXPECT_TRUE(context.debts.has(key) && !view.pending(key));
}

TEST_F(FleetViewTest, ARowMadeWithoutRedisOrByAHostThatIsNotHereIsOwedAtOnce) {
  const FullKey other = full_key(0, "sess:2");
  view.on_foreign(other, through(20));
  EXPECT_TRUE(context.debts.has(other)) << "nobody has seen its host here";
  beat(10);
  view.on_foreign(key, row(20));
  EXPECT_TRUE(context.debts.has(key));
}

TEST_F(FleetViewTest, AHeartbeatThatStandsThereMayBeOfAHostThatIsGone) {
  beat(10);
  view.on_foreign(key, through(20));
  EXPECT_TRUE(context.debts.has(key));
}

TEST_F(FleetViewTest, WhatIsFromBeforeItsHostTrustedThisMemoryIsOwedAtOnce) {
  beat(10, 25, 30);
  beat(10, 25, 30);
  view.on_foreign(key, through(20));
  EXPECT_TRUE(context.debts.has(key));
}

TEST_F(FleetViewTest, AMissOfWhatMayComeStandsUnlessThereAreEvictions) {
  beats(10);
  EXPECT_FALSE(view.awaits(key, row(20))) << "made without Redis";
  EXPECT_TRUE(view.awaits(key, through(20)));
  EXPECT_TRUE(view.pending(key));
  view.note_evicted(7);
  EXPECT_TRUE(view.awaits(key, through(20))) << "evicted long ago, perhaps";
  view.note_evicted(8);
  EXPECT_FALSE(view.awaits(key, through(20)));
  run(2100);
  beat(10);
  EXPECT_TRUE(view.awaits(key, through(20)));
}

TEST_F(FleetViewTest, WithoutTheBackupARowIsLeftToItsMaker) {
  EXPECT_TRUE(view.is_left_to_maker(row(20), 0)) << "it has had no time to come";
  EXPECT_FALSE(view.is_left_to_maker(ours(20), 0));
  run(3000);
  EXPECT_FALSE(view.is_left_to_maker(row(20), 0));
  beat(10);
  EXPECT_TRUE(view.is_left_to_maker(row(20), 0));
}

TEST_F(FleetViewTest, AHostThatHasNoBackupIsKnownToRedisAlone) {
  run(1000);
  const std::int64_t asked_us = now.mono_us;
  run(1500);
  EXPECT_TRUE(view.all_shipped_since(asked_us));
  const std::string other = std::to_string(7 * kOriginLives);
  view.note_other(other);
  std::string request;
  ASSERT_TRUE(view.append_beats(request));
  EXPECT_NE(request.find(other), std::string::npos);
  const std::string text = Canary{1, 1, 10, now.wall_ms, 0, 0, 5, 5}.text();
  view.on_beats(0,
                ReplyView("*2\r\n$-1\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"));
  EXPECT_FALSE(view.all_shipped_since(asked_us)) << "nobody can tell what it has made";
  run(3100);
  EXPECT_TRUE(view.all_shipped_since(asked_us)) << "gone";
}

TEST_F(FleetViewTest, AHeartbeatThatStandsThereIsNoHostAfterADoubtEither) {
  beat(10);
  run(3'100);
  view.on_trust(Trust::suspect);
  view.on_trust(Trust::trusted);
  --count;  // the same again
  beat(10);
  EXPECT_EQ(view.hosts_at_work(), 0u);
  no_beat();
  --count;
  beat(10);
  EXPECT_EQ(view.hosts_at_work(), 0u);
  beat(10);
  EXPECT_EQ(view.hosts_at_work(), 1u);
}

TEST_F(FleetViewTest, TheOnlyOneKnowsThatItIsSo) {
  EXPECT_FALSE(view.is_only_one()) << "another one has an entry in the host table";
  MemoryDatabase other;
  FleetHost host{other, kUs, now};
  FleetView alone{context, host.fleet, *this};
  EXPECT_FALSE(alone.is_only_one()) << "the feed has not been read yet";
  for (int i = 0; i < 500; ++i) {
    now.mono_us += kMs;
    ++now.wall_ms;
    host.run();
  }
  EXPECT_TRUE(alone.is_only_one());
  alone.note_other(std::to_string(kThem - 1));
  EXPECT_FALSE(alone.is_only_one()) << "it has no backup, and is in this Redis";
}

TEST_F(FleetViewTest, WithoutRedisNothingIsOwedYet) {
  view.on_trust(Trust::out);
  view.on_foreign(key, row(20));
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

TEST_F(FleetViewTest, WhatMayComeIsReadBackAtOnce) {
  beats(10);
  EXPECT_EQ(judge(ours(20), through(15)), Verdict::wait);
  EXPECT_EQ(read_back, std::vector{key});
}

TEST_F(FleetViewTest, UnderATombstoneThatMayComeOnlyItsAbsenceTells) {
  beats(10);
  for (const bool has : {true, false}) {
    EXPECT_EQ(judge(ours(20), through(25, RowState::tomb)), Verdict::wait);
    redis.answer(has ? ":1\r\n" : ":0\r\n");
    EXPECT_EQ(judge(ours(20), through(25, RowState::tomb)), has ? Verdict::wait : Verdict::theirs);
  }
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
