// Directed scenarios in which the ledger fails while Redis fails, each found by ./dev chaos.
#include "sim/scenario.h"

namespace stayd::sim {
namespace {

class Ledgerless : public Scenario {
 protected:
  void break_ledger(FaultyStore::Operation operation) {
    world.instance.disk().faults().inject(
        operation, {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
    excuse();
  }
  void excuse() {
    world.instance.excuse(Excuse::unwritable, 10 * kSecond);
    world.instance.excuse(Excuse::unreadable, 10 * kSecond);
  }
  void mend_ledger() { world.instance.disk().faults().heal(); }
};

// Found by ./dev chaos (seed 32 of its first series): the ledger could not be read while Redis
// evicted, and Redis' nil went to the client as it was. It is no proof then, for a guarded write
// neither.
TEST_F(Ledgerless, EvictedKeysAreUnknownWithoutTheLedger) {
  ask({"SET", "k", "v1"});
  ask({"HSET", "h", "a", "1"});
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"");
  auto& faults = world.instance.disk().faults();
  const auto fail = [&faults](FaultyStore::Operation operation) {
    faults.inject(operation, {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  };
  fail(FaultyStore::Operation::load);
  fail(FaultyStore::Operation::load_meta);
  excuse();
  EXPECT_EQ(ask({"GET", "nobody"}), "nil") << "nothing was evicted: Redis can tell";
  for (const char* name : {"k", "h"}) world.redis.evict_one(key(name));
  EXPECT_EQ(ask({"GET", "k"}).substr(0, 9), "-TRYAGAIN");
  EXPECT_EQ(ask({"HSET", "h", "b", "1"}).substr(0, 9), "-TRYAGAIN");
  faults.heal();
  EXPECT_EQ(ask({"HGETALL", "h"}), "{a=1 }");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos --soak: such a read met a touch of its key that held the lock, and an
// assertion ended stayd.
TEST_F(Ledgerless, AReadThatIsCheckedMeetsATouch) {
  for (int i = 0; i < 40; ++i) ask({"SET", "k" + std::to_string(i), "v"});
  for (int i = 0; i < 40; ++i) world.redis.evict_one(key("k" + std::to_string(i)));
  auto& faults = world.instance.disk().faults();
  faults.inject(FaultyStore::Operation::load_meta,
                {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  excuse();
  for (int i = 0; i < 40; ++i) {
    const std::string name = "k" + std::to_string(i);
    world.users.ask(key(name), one({"GET", name}), 0);
    world.pass(50 * i);
    world.users.ask(key(name), one({"EXPIRE", name, "100"}), 1);
    wait();
  }
  faults.heal();
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos (seed 3 of its first series): Redis had executed what the ledger could not
// take, and was lost: the outage showed the values of before, and nobody where a session had just
// been created.
TEST_F(Ledgerless, WhatTheLedgerHasMissedIsUnknownInAnOutage) {
  ask({"SET", "changed", "1"});
  ask({"SET", "again", "1"});
  ask({"HSET", "h", "a", "1"});
  auto& faults = world.instance.disk().faults();
  faults.inject(FaultyStore::Operation::apply,
                {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  excuse();
  EXPECT_EQ(ask({"SET", "changed", "2"}), "+OK");
  EXPECT_EQ(ask({"SET", "again", "2"}), "+OK");
  EXPECT_EQ(ask({"SET", "created", "1"}), "+OK");
  EXPECT_EQ(ask({"HSET", "h", "a", "2"}), ":0");
  world.redis.kill();
  faults.heal();
  for (const char* name : {"changed", "created"}) {
    EXPECT_EQ(ask({"GET", name}).substr(0, 9), "-TRYAGAIN") << name;
  }
  EXPECT_EQ(ask({"HSET", "h", "b", "2"}).substr(0, 9), "-TRYAGAIN");
  EXPECT_EQ(ask({"SET", "again", "3"}), "+OK");
  EXPECT_EQ(ask({"GET", "again"}), "\"3\"");
  world.redis.start(0);
  // Told by a Redis that is not trusted yet, and changed upon that.
  while (ask({"HSET", "h", "b", "2"})[0] == '-') world.pass(5 * kMs);
  EXPECT_NE(world.instance.status().shard.trust, Trust::trusted);
  world.settle();
  for (const bool outage : {false, true}) {
    if (outage) world.redis.kill();
    EXPECT_EQ(ask({"GET", "changed"}), "\"2\"");
    EXPECT_EQ(ask({"GET", "again"}), "\"3\"");
    EXPECT_EQ(ask({"GET", "created"}), "\"1\"");
    EXPECT_EQ(ask({"HGETALL", "h"}), "{a=2 b=2 }");
  }
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos (seed 76): a write that Redis had refused was owed, the ledger could then
// not be read, and the value of before came from Redis.
TEST_F(Ledgerless, WhatRedisIsOwedIsNotTakenFromItWithoutTheLedger) {
  ask({"SET", "k", "v1"});
  world.redis.flags.no_memory = true;
  EXPECT_EQ(ask({"SET", "k", "v2"}), "+OK");
  auto& faults = world.instance.disk().faults();
  for (const auto operation : {FaultyStore::Operation::apply, FaultyStore::Operation::load}) {
    faults.inject(operation, {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  }
  excuse();
  EXPECT_EQ(ask({"SET", "k", "v3"}).substr(0, 4), "-ERR");  // now it is not in memory either
  EXPECT_EQ(ask({"GET", "k"}).substr(0, 9), "-TRYAGAIN");
  faults.heal();
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  world.redis.flags.no_memory = false;
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos (seed 73): neither Redis nor the ledger could take anything, and a write
// that was refused took the logout before it out of memory.
TEST_F(Ledgerless, ARefusedWriteRevivesNobody) {
  ask({"SET", "k", "v1"});
  auto& faults = world.instance.disk().faults();
  faults.inject(FaultyStore::Operation::apply,
                {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  excuse();
  world.redis.kill();
  world.pass(100 * kMs);
  EXPECT_EQ(ask({"DEL", "k"}), ":1");
  EXPECT_EQ(ask({"SET", "k", "v2"}).substr(0, 4), "-ERR");
  EXPECT_EQ(ask({"GET", "k"}), "nil");
  faults.heal();
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// Found by ./dev chaos (seed 72): a logout that the ledger could not take held in memory although a
// block had begun a new session since.
TEST_F(Ledgerless, ABlockAfterALogoutThatTheLedgerCouldNotTake) {
  ask({"HSET", "h", "a", "1"});
  auto& faults = world.instance.disk().faults();
  faults.inject(FaultyStore::Operation::apply,
                {.error = make_error(Errc::io, "EIO"), .times = UINT64_MAX});
  excuse();
  EXPECT_EQ(ask({"DEL", "h"}), ":1");
  const Operation block{.commands = {{"HSET", "h", "a", "2"}, {"EXPIRE", "h", "100"}},
                        .block = true};
  world.users.ask(key("h"), block);
  wait();
  EXPECT_EQ(world.users.last_reply(), ":1 :1");
  world.redis.kill();
  faults.heal();
  EXPECT_EQ(ask({"HGETALL", "h"}).substr(0, 9), "-TRYAGAIN");
  world.redis.start(0);
  world.settle();
  EXPECT_EQ(ask({"HGETALL", "h"}), "{a=2 }");
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos (seed 94): every request of Flask writes its session again. The ledger could
// not take that, Redis was emptied, and the first page afterwards showed nobody.
TEST_F(Ledgerless, AnEmptiedRedisGetsTheLastValueKnown) {
  ask({"SET", "k", "v"});
  ask({"SET", "h", "v"});
  break_ledger(FaultyStore::Operation::apply);
  EXPECT_EQ(ask({"SET", "k", "v"}), "+OK");
  world.redis.flush_all();
  for (int i = 0; i < 400; ++i) {
    world.pass(5 * kMs);
    if (i == 200) mend_ledger();
    EXPECT_NE(ask({"GET", "k"}), "nil") << i;
  }
  EXPECT_EQ(ask({"GET", "k"}), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

TEST_F(Ledgerless, AnEvictedKeyGetsTheLastValueKnown) {
  ask({"SET", "k", "v"});
  break_ledger(FaultyStore::Operation::apply);
  EXPECT_EQ(ask({"SET", "k", "v"}), "+OK");
  world.redis.evict_one(key("k"));
  for (int i = 0; i < 200; ++i) {
    world.pass(5 * kMs);
    if (i == 100) mend_ledger();
    EXPECT_NE(ask({"GET", "k"}), "nil") << i;
  }
  EXPECT_EQ(ask({"GET", "k"}), "\"v\"");
  EXPECT_TRUE(world.heal_and_check());
}

// A field that the ledger takes again does not bring back those that it has missed.
TEST_F(Ledgerless, AChangeOfARowThatIsBehind) {
  ask({"HSET", "h", "a", "1"});
  break_ledger(FaultyStore::Operation::apply);
  EXPECT_EQ(ask({"HSET", "h", "a", "2"}), ":0");
  world.pass(50 * kMs);
  mend_ledger();
  EXPECT_EQ(ask({"HSET", "h", "b", "2"}), ":1");
  world.redis.kill();
  excuse();
  EXPECT_NE(ask({"HGETALL", "h"}), "{a=1 b=2 }");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"HGETALL", "h"}), "{a=2 b=2 }");
}

// Redis says that the key is gone, and the ledger cannot say what it knows of it.
TEST_F(Ledgerless, ARemovalThatTheLedgerHasMissed) {
  ask({"SET", "k", "v"});
  break_ledger(FaultyStore::Operation::apply);
  EXPECT_EQ(ask({"GETDEL", "k"}), "\"v\"");
  mend_ledger();
  break_ledger(FaultyStore::Operation::load);
  world.pass(500 * kMs);
  mend_ledger();
  world.redis.kill();
  excuse();
  EXPECT_NE(ask({"GET", "k"}), "\"v\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// Found by ./dev chaos --soak: the ledger could not be read, a Redis that was not trusted was asked
// instead, and was lost: the row of which nothing was known passed for one that does not exist.
TEST_F(Ledgerless, RedisIsLostWhileItIsAskedBlindly) {
  ask({"SET", "k", "v"});
  int blind = 0;
  for (std::int64_t moment_us = 0; moment_us < 1000; moment_us += 25) {
    restart_redis(0);
    for (int i = 0; i < 10'000 && !world.instance.status().shard.connected; ++i) world.pass(100);
    break_ledger(FaultyStore::Operation::load);
    world.users.ask(key("k"), one({"GET", "k"}));
    world.pass(moment_us);
    world.redis.kill();
    world.pass(50 * kMs);
    wait();
    EXPECT_NE(world.users.last_reply(), "nil") << moment_us;
    blind += world.users.last_reply()[0] == '-';
    mend_ledger();
    world.redis.start(0);
    world.settle();
  }
  EXPECT_GT(blind, 0);
  EXPECT_TRUE(world.heal_and_check());
}

// Found by ./dev chaos --soak: the logout stood in the ledger, and Redis was owed it; the key still
// counted as one that only Redis knows, and was read back.
TEST_F(Ledgerless, ALogoutAfterAWriteThatTheLedgerHasMissed) {
  for (std::int64_t moment_us = 0; moment_us < 8 * kMs; moment_us += 100) {
    const std::string name = "k" + std::to_string(moment_us);
    ask({"SET", name, "v1"});
    break_ledger(FaultyStore::Operation::apply);
    EXPECT_EQ(ask({"SET", name, "v2"}), "+OK");
    world.pass(50 * kMs);
    mend_ledger();
    world.users.ask(key(name), one({"DEL", name}));
    world.pass(moment_us);
    restart_redis(0);
    wait();
    const bool told = world.users.last_reply()[0] == ':';
    world.settle();
    if (told) EXPECT_EQ(ask({"GET", name}), "nil") << moment_us;
  }
  EXPECT_TRUE(world.heal_and_check());
}

// Until then the next outage is unprotected.
TEST_F(Ledgerless, WhatWasMissedIsReadBackWithinHalfASecond) {
  for (int i = 0; i < 1000; ++i) ask({"SET", "k" + std::to_string(i), "v1"});
  break_ledger(FaultyStore::Operation::apply);
  for (int i = 0; i < 1000; ++i) ask({"SET", "k" + std::to_string(i), "v2"});
  EXPECT_GE(world.instance.status().to_read_back, 1000U);
  mend_ledger();
  world.pass(500 * kMs);
  EXPECT_EQ(world.instance.status().to_read_back, 0U);
  world.redis.kill();
  EXPECT_EQ(ask({"GET", "k7"}), "\"v2\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

// Neither the ledger nor Redis took the logout at once: 0 was told, as if nobody had been there.
TEST_F(Ledgerless, ALogoutThatNobodyTookAtOnceIsNoZero) {
  ask({"SET", "k", "v"});
  break_ledger(FaultyStore::Operation::apply);
  world.instance.network().silent_to_client = true;
  world.users.ask(key("k"), one({"DEL", "k"}));
  world.pass(5 * kMs);
  for (unsigned i = 0; i < 2; ++i) world.instance.network().lose_one(i);
  wait();
  EXPECT_EQ(world.users.last_reply()[0], '-');
  world.instance.network().speak();
  mend_ledger();
  EXPECT_TRUE(world.heal_and_check());
  EXPECT_EQ(ask({"GET", "k"}), "nil");
}

// Redis had executed the write and its reply was lost while the ledger could not be read: the error
// was told, and the ledger kept the value of before without knowing of another (seed 30303).
TEST_F(Ledgerless, AWriteInDoubtIsReadBackWhenTheLedgerCanBeRead) {
  ask({"SET", "k", "v1"});
  world.pass(kSecond);
  break_ledger(FaultyStore::Operation::load);
  world.instance.network().silent_to_client = true;
  world.users.ask(key("k"), one({"SET", "k", "v2"}));
  world.pass(5 * kMs);
  EXPECT_EQ(world.redis.data().at(key("k")).value, Record{.value = "v2"}.value);
  for (unsigned i = 0; i < 2; ++i) world.instance.network().lose_one(i);
  wait();
  EXPECT_EQ(world.users.last_reply().substr(0, 9), "-TRYAGAIN");
  world.instance.network().speak();
  EXPECT_EQ(ask({"GET", "k"}).substr(0, 9), "-TRYAGAIN");
  mend_ledger();
  EXPECT_EQ(ask({"GET", "k"}), "\"v1\"") << "it takes effect late, and once";
  world.settle();
  world.redis.kill();
  EXPECT_EQ(ask({"GET", "k"}), "\"v2\"");
  world.redis.start(0);
  EXPECT_TRUE(world.heal_and_check());
}

}  // namespace
}  // namespace stayd::sim
