// Waiting for replicas as a script: who is asked what, who is told when.
#include "core/logout_wait.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "core/upstream_test_util.h"
#include "store/memory/memory_store.h"

namespace stayd {
namespace {

class LogoutWaitTest : public ::testing::Test, public LogoutWaitEvents, public EventSink {
 protected:
  static EngineOptions options() {
    EngineOptions out;
    out.logout_wait_ms = 100;
    out.logout_wait_replicas = 2;
    return out;
  }
  LogoutWaitTest() {
    context.now = {1'000'000, 1'000};
    context.instance = "me";
    wait.attach(aux);
  }
  void on_waited(Call& call) override { told += std::to_string(&call - calls) + " "; }
  void on_event(const Event&) override {}
  void pass(std::int64_t ms) {
    context.now.mono_us += ms * 1000;
    wait.on_tick();
  }
  void confirm(int call) { wait.add(calls[call], true); }

  MemoryStore store{[] { return std::int64_t{1'000}; }};
  Counters counters;
  Random random{1};
  HlcClock clock;
  CoreContext context{options(), store, counters, *this, random, clock};
  testing::FakeUpstream aux;
  LogoutWait wait{context, *this};
  Call calls[5];
  std::string told;
};

TEST_F(LogoutWaitTest, AWriteAndAWaitBehindIt) {
  confirm(0);
  EXPECT_EQ(aux.take_sent(), "SET stayd:{}:wait:me 1 PX 10000, WAIT 2 100");
  aux.answer("+OK\r\n");
  EXPECT_EQ(told, "");
  aux.answer(":2\r\n");
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(counters.logouts_unreplicated, 0u);
}

TEST_F(LogoutWaitTest, OneWaitForAllThatWereConfirmedBeforeIt) {
  confirm(0);
  aux.take_sent();
  confirm(1);
  pass(40);
  confirm(2);
  EXPECT_EQ(aux.take_sent(), "");
  aux.answer("+OK\r\n");
  aux.answer(":2\r\n");
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(aux.take_sent(), "SET stayd:{}:wait:me 1 PX 10000, WAIT 2 100");
  aux.answer("+OK\r\n");
  aux.answer(":3\r\n");
  EXPECT_EQ(told, "0 1 2 ");
  EXPECT_EQ(aux.take_sent(), "");
  EXPECT_EQ(counters.logouts_unreplicated, 0u);
}

TEST_F(LogoutWaitTest, NobodyWaitsForLonger) {
  confirm(0);
  pass(60);
  confirm(1);
  pass(39);
  EXPECT_EQ(told, "");
  pass(1);
  EXPECT_EQ(told, "0 ");
  pass(60);
  EXPECT_EQ(told, "0 1 ");
  EXPECT_EQ(counters.logouts_unreplicated, 2u);
  confirm(2);  // the first WAIT is not answered yet: slow commands stand before it
  aux.take_sent();
  aux.answer("+OK\r\n");
  aux.answer(":0\r\n");
  EXPECT_EQ(aux.take_sent(), "SET stayd:{}:wait:me 1 PX 10000, WAIT 2 100");
  EXPECT_EQ(told, "0 1 ");
}

TEST_F(LogoutWaitTest, TheSecondWaitHasTheTimeThatIsLeft) {
  confirm(0);
  aux.take_sent();
  pass(30);
  confirm(1);
  pass(50);
  aux.answer("+OK\r\n");
  aux.answer(":2\r\n");
  EXPECT_EQ(aux.take_sent(), "SET stayd:{}:wait:me 1 PX 10000, WAIT 2 50");
}

TEST_F(LogoutWaitTest, TooFewReplicas) {
  confirm(0);
  aux.answer("+OK\r\n");
  aux.answer(":1\r\n");
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(counters.logouts_unreplicated, 1u);
}

// WAIT then speaks of whatever this connection has written last.
TEST_F(LogoutWaitTest, AWriteThatIsRefusedProvesNothing) {
  confirm(0);
  aux.answer("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  aux.answer(":2\r\n");
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(counters.logouts_unreplicated, 1u);
}

TEST_F(LogoutWaitTest, WaitIsDenied) {
  confirm(0);
  aux.answer("+OK\r\n");
  aux.answer("-NOPERM this user has no permissions to run the 'wait' command\r\n");
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(counters.logouts_unreplicated, 1u);
}

TEST_F(LogoutWaitTest, TheConnectionIsLost) {
  confirm(0);
  confirm(1);
  aux.lose();
  EXPECT_EQ(told, "1 0 ");
  confirm(2);
  EXPECT_EQ(told, "1 0 2 ");
  EXPECT_EQ(counters.logouts_unreplicated, 3u);
}

TEST_F(LogoutWaitTest, TheConnectionLeadsToAnotherProcess) {
  wait.add(calls[0], false);
  EXPECT_EQ(told, "0 ");
  EXPECT_EQ(aux.take_sent(), "");
  EXPECT_EQ(counters.logouts_unreplicated, 1u);
}

}  // namespace
}  // namespace stayd
