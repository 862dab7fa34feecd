// Directed scenarios of commands that only Redis can do, here a script that appends.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

class Opaque : public Scenario {
 protected:
  static Words append(const std::string& name, const std::string& text) {
    return {"EVAL", "return redis.call('append',KEYS[1],ARGV[1])", "1", name, text};
  }
  // stayd stands still for longer than a heartbeat may be old; meanwhile a proxy moves its
  // connection to a Redis that lacks the last `lost` changes.
  void pause_beside_a_hidden_failover(std::size_t lost) {
    world.instance.pause(4 * kSecond);
    world.pass(kSecond);
    world.redis.fail_over(lost);
    world.pass(4 * kSecond);
  }
};

// Found by ./dev sim (seed 154): the ledger reported the marks after stayd had stood still, and the
// script was sent to a Redis that nobody had judged yet. It appended to a value of before.
TEST_F(Opaque, IsNotSentToARedisThatIsNotTrusted) {
  ask(append("script:k", "a"));
  world.pass(kSecond);
  ask(append("script:k", "b"));
  world.instance.disk().max_delay_us = 30 * kMs;
  world.users.ask(key("script:k"), one(append("script:k", "c")));
  pause_beside_a_hidden_failover(1);
  world.instance.disk().be_fast();
  EXPECT_EQ(ask({"GET", "script:k"}), "\"ab\"");
  EXPECT_EQ(ask(append("script:k", "d")), ":3");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev sim (seed 2178622195): Redis ran the script, stayd stood still, and read the key
// back from a Redis that lacked it. The client was told :3, the ledger recorded two bytes.
TEST_F(Opaque, RunsAndIsReadBackInOneRedis) {
  for (int delay_us = 0; delay_us < 1000; delay_us += 50) {
    const std::string name = "script:" + std::to_string(delay_us);
    ask(append(name, "a"));
    world.pass(kSecond);
    ask(append(name, "b"));
    world.users.ask(key(name), one(append(name, "c")));
    world.pass(delay_us);
    pause_beside_a_hidden_failover(2);
    world.settle();
    const std::string value = ask({"GET", name});
    EXPECT_TRUE(value == "\"ab\"" || value == "\"abc\"") << value;
  }
  EXPECT_TRUE(world.heal_and_check());
}

// The script ran on nothing, and its reply looked right.
TEST_F(Opaque, FindsWhatRedisHasEvicted) {
  ask(append("script:k", "a"));
  world.redis.evict_one(key("script:k"));
  EXPECT_EQ(ask(append("script:k", "b")), ":2");
  EXPECT_EQ(ask({"GET", "script:k"}), "\"ab\"");
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(Opaque, DoesNotCountInARedisThatWasFlushed) {
  ask(append("script:k", "a"));
  world.redis.flush_all();
  EXPECT_EQ(ask(append("script:k", "b"))[0], '-');
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  world.settle();
  EXPECT_EQ(ask(append("script:k", "b")), ":2");
  EXPECT_TRUE(world.heal_and_check());
}

// The key was on its way back to Redis, and the script was refused as if Redis were out.
TEST_F(Opaque, WaitsForWhatItsKeyIsOwed) {
  ask(append("script:k", "a"));
  world.redis.evict_one(key("script:k"));
  world.users.ask(key("script:k"), one({"GET", "script:k"}));
  for (int i = 0; i < 1000 && world.instance.status().shard.debts == 0; ++i) world.pass(5);
  ASSERT_EQ(world.instance.status().shard.debts, 1U);
  EXPECT_EQ(ask(append("script:k", "b")), ":2");
  EXPECT_TRUE(world.heal_and_check());
}

// Its key was UNKNOWN until Redis was back: an error was told, so it may as well not have been.
TEST_F(Opaque, LostOnItsWayLeavesTheRowAsItWas) {
  ask(append("script:k", "a"));
  world.instance.network().silent_to_client = true;
  world.users.ask(key("script:k"), one(append("script:k", "b")));
  world.pass(5 * kMs);
  ASSERT_EQ(std::get<std::string>(world.redis.data().at(key("script:k")).value), "ab");
  for (unsigned i = 0; i < 2; ++i) world.instance.network().lose_one(i);
  world.redis.kill();
  world.instance.network().speak();
  wait();
  EXPECT_EQ(world.users.last_reply()[0], '-');
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  world.redis.start(0);
  world.settle();
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev sim (seed 1189): the script ran on nothing, stayd was killed before it could tell,
// and its next life read back what the script had made of nothing.
TEST_F(Opaque, RunsOnNothingAndStaydDies) {
  ask(append("script:k", "a"));
  world.pass(kSecond);
  world.redis.evict_one(key("script:k"));
  world.instance.network().silent_to_client = true;
  world.users.ask(key("script:k"), one(append("script:k", "b")));
  world.pass(5 * kMs);
  ASSERT_EQ(std::get<std::string>(world.redis.data().at(key("script:k")).value), "b");
  world.kill_stayd();
  world.instance.network().speak();
  world.instance.start();
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  world.settle();
  EXPECT_EQ(ask(append("script:k", "c")), ":2");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev sim (seed 1198): a write was on its way when the rows were marked, and recorded
// below the mark: it was gone when the script was undone.
TEST_F(Opaque, WaitsForTheWriteBeforeIt) {
  ask({"SET", "script:k", "a"});
  world.redis.reply_delay_us = 20 * kMs;
  world.users.ask(key("script:k"), one({"SET", "script:k", "b"}), 1);
  world.pass(5 * kMs);
  world.users.ask(key("script:k"), one(append("script:k", "c")), 2);
  world.pass(25 * kMs);
  for (unsigned i = 0; i < 2; ++i) world.instance.network().lose_one(i);
  world.redis.reply_delay_us = 0;
  wait();
  EXPECT_EQ(ask({"GET", "script:k"}), "\"b\"");
  EXPECT_TRUE(world.heal_and_check());
}

// Somebody removed the key past stayd: the script ran on an absent key, rightly.
TEST_F(Opaque, FindsWhatSomebodyRemoved) {
  ask(append("script:k", "a"));
  world.redis.remove(key("script:k"));
  world.users.history(key("script:k")).give_up();
  EXPECT_EQ(ask(append("script:k", "b")), ":1");
  EXPECT_EQ(ask({"GET", "script:k"}), "\"b\"");
}

// Found by ./dev sim (seed 1020): MULTI was denied; the script ran by itself, and then once more.
TEST_F(Opaque, IsUndoneWhereMultiIsDenied) {
  ask(append("script:k", "a"));
  world.redis.denied.insert("multi");
  EXPECT_EQ(ask(append("script:k", "b"))[0], '-');
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  world.redis.denied.clear();
  EXPECT_EQ(ask(append("script:k", "b")), ":2");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev sim (seed 4144): EXISTS was denied, and the script ran alone on a flushed Redis.
TEST_F(Opaque, IsUndoneWhereWhatStandsAroundItIsDenied) {
  for (const char* denied : {"exists", "evalsha"}) {
    ask({"SET", "script:k", "a"});
    world.redis.denied.insert(denied);
    EXPECT_EQ(ask(append("script:k", "b"))[0], '-') << denied;
    EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
    world.redis.denied.clear();
    world.settle();
    EXPECT_EQ(ask(append("script:k", "b")), ":2");
  }
  EXPECT_TRUE(world.heal_and_check());
}

// A full Redis refuses in the middle of MULTI, and says why only to the command alone.
TEST_F(Opaque, IsRefusedByAFullRedis) {
  ask(append("script:k", "a"));
  world.redis.flags.no_memory = true;
  EXPECT_EQ(ask(append("script:k", "b"))[0], '-');
  EXPECT_EQ(ask({"GET", "script:k"}), "\"a\"");
  world.redis.flags.no_memory = false;
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask(append("script:k", "b")), ":2");
}

}  // namespace
}  // namespace stayd::sim
