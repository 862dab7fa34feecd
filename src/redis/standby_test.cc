// A standby as a script: when it counts as well.
#include "redis/standby.h"

#include <gtest/gtest.h>

#include "redis/fake_dialer_test.h"

namespace stayd {
namespace {

constexpr const char* kGate =
    "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$13\r\nrole:master\r\n\r\n";
constexpr const char* kReplicaGate =
    "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$12\r\nrole:slave\r\n\r\n";

class StandbyTest : public ::testing::Test {
 protected:
  void tick(std::int64_t ms = 5) {
    for (std::int64_t i = 0; i < ms; i += 5) {
      now.mono_us += 5'000;
      now.wall_ms += 5;
      standby.on_tick(now);
    }
  }
  void watch() { standby.set_primaries({{{"r", 6379, ""}, ""}}, ""); }
  void connect(const char* gate = kGate) {
    tick(6'000);
    dialer.wire.events->on_connected();
    dialer.wire.events->on_bytes(gate);
    dialer.wire.sent.clear();
    tick();
  }
  void answer(const char* reply) {
    dialer.wire.sent.clear();
    dialer.wire.events->on_bytes(reply);
    tick();
  }

  FakeDialer dialer;
  Random random{1};
  Now now{1'000'000, 5'000};
  Standby standby{LinkOptions{}, dialer, random};
};

TEST_F(StandbyTest, IsNotWellWithoutAPrimary) {
  tick(5'000);
  EXPECT_FALSE(standby.well());
  standby.set_primaries({}, "no Sentinel names one");
  EXPECT_EQ(standby.trouble(), "no Sentinel names one");
  EXPECT_EQ(dialer.dialled, "");
}

TEST_F(StandbyTest, IsWellOnceAWriteWasTaken) {
  watch();
  connect();
  EXPECT_FALSE(standby.well()) << "it merely answers";
  EXPECT_EQ(words_of(dialer.wire.sent), "SET stayd:{}:standby 1 PX 60000");
  answer("+OK\r\n");
  EXPECT_TRUE(standby.well());
  EXPECT_EQ(standby.well_since_us(), now.mono_us);
  const auto since_us = standby.well_since_us();
  for (int i = 0; i < 5; ++i) {
    tick(1'000);
    answer("+OK\r\n");
  }
  EXPECT_EQ(standby.well_since_us(), since_us);
}

TEST_F(StandbyTest, ARefusedWriteASilentOneAndALostConnectionEndIt) {
  watch();
  connect();
  for (const char* refusal : {"-READONLY You can't write against a read only replica.\r\n",
                              "-OOM command not allowed when used memory > 'maxmemory'.\r\n"}) {
    answer("+OK\r\n");
    EXPECT_TRUE(standby.well());
    tick(1'000);
    answer(refusal);
    EXPECT_FALSE(standby.well()) << refusal;
    EXPECT_TRUE(standby.trouble().starts_with("r:6379: ")) << standby.trouble();
    tick(1'000);
  }
  answer("+OK\r\n");
  EXPECT_TRUE(standby.well());
  tick(2'100);  // the next write has no reply
  EXPECT_FALSE(standby.well());
  EXPECT_EQ(standby.trouble(), "r:6379: no reply within the deadline");
  connect();
  answer("+OK\r\n");
  EXPECT_TRUE(standby.well());
  EXPECT_EQ(standby.well_since_us(), now.mono_us) << "counted anew";
  dialer.wire.events->on_closed(CloseReason::reset, "Connection reset by peer");
  tick();
  EXPECT_FALSE(standby.well());
}

TEST_F(StandbyTest, AReplicaIsNotWell) {
  watch();
  connect(kReplicaGate);
  tick(1'000);
  EXPECT_FALSE(standby.well());
  EXPECT_EQ(standby.trouble(), "r:6379: this Redis is a replica, not a primary");
}

TEST_F(StandbyTest, EveryPrimaryCounts) {
  standby.set_primaries({{{"r", 6379, ""}, "a"}, {{"s", 6379, ""}, "b"}}, "");
  tick();
  EXPECT_EQ(dialer.dialled, "r:6379 s:6379 ");
  connect();  // the second
  EXPECT_EQ(words_of(dialer.wire.sent), "SET stayd:{b}:standby 1 PX 60000");
  answer("+OK\r\n");
  EXPECT_FALSE(standby.well());
}

TEST_F(StandbyTest, StopsAndIsForgotten) {
  watch();
  connect();
  answer("+OK\r\n");
  standby.stop();
  EXPECT_FALSE(standby.well());
  tick();
  EXPECT_TRUE(dialer.wire.closed);
}

}  // namespace
}  // namespace stayd
