// The probe of logins as scripts: when it asks, what it tells, and that it is not in the way.
#include "redis/login_probe.h"

#include <gtest/gtest.h>

#include <vector>

#include "redis/fake_dialer_test.h"

namespace stayd {
namespace {

constexpr const char* kWell =
    "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$13\r\nrole:master\r\n\r\n";
constexpr const char* kWrongPass = "-WRONGPASS invalid username-password pair\r\n";

class LoginProbeTest : public ::testing::Test, public EventSink {
 protected:
  LoginProbeTest() { credentials.offer("secret"); }
  // Ticks for so long, or until it dials; returns whether it did.
  bool dials_within(std::int64_t ms, bool live = true) {
    const auto before = dialer.dialled.size();
    for (const auto end_us = now.mono_us + ms * 1000; now.mono_us < end_us;) {
      tick(live);
      if (dialer.dialled.size() != before) return true;
    }
    return false;
  }
  void tick(bool live = true) {
    now.mono_us += 5'000;
    now.wall_ms += 5;
    probe.on_tick(now, live);
  }
  void connect() {
    dialer.wire.sent.clear();
    dialer.wire.events->on_connected();
  }
  void answer(const char* bytes) {
    connect();
    dialer.wire.events->on_bytes(bytes);
    tick();
  }
  void on_event(const Event& event) override {
    events.push_back(std::string(event.name) + ": " + event.text);
  }
  LinkOptions options() {
    LinkOptions out;
    out.endpoint = {"r", 6379, ""};
    out.credentials = &credentials;
    out.client_name = "stayd-probe";
    return out;
  }

  FakeDialer dialer;
  Counters counters;
  Random random{1};
  Now now{1'000'000, 5'000};
  std::vector<std::string> events;
  Credentials credentials{"app", *this, counters};
  LoginProbe probe{options(), 60'000, dialer, *this, counters, random};
};

TEST_F(LoginProbeTest, AsksEachMinuteWhileLiveAndClosesAgain) {
  EXPECT_FALSE(dials_within(200'000, false));
  EXPECT_FALSE(dials_within(50'000));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(dials_within(70'000));
    connect();
    EXPECT_EQ(words_of(dialer.wire.sent), "HELLO 3 AUTH app secret SETNAME stayd-probe TIME INFO");
    dialer.wire.events->on_bytes(kWell);
    EXPECT_FALSE(dialer.wire.closed);
    tick();
    EXPECT_TRUE(dialer.wire.closed);
    EXPECT_FALSE(dials_within(50'000));
  }
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(counters.login_probes, 5u);
  EXPECT_EQ(counters.login_probe_failures, 0u);
  EXPECT_EQ(counters.connects, 0u);
  EXPECT_GT(probe.status().last_ok_ms, 0);
}

TEST_F(LoginProbeTest, OneFailureAloneIsNotTold) {
  ASSERT_TRUE(dials_within(70'000));
  answer("-ERR max number of clients reached\r\n");
  EXPECT_FALSE(probe.status().failing);
  ASSERT_TRUE(dials_within(1'200));
  answer(kWell);
  EXPECT_FALSE(probe.status().failing);
  EXPECT_TRUE(events.empty());
  EXPECT_FALSE(dials_within(50'000));
}

TEST_F(LoginProbeTest, TwoFailuresAreToldOnceAndThenTheEnd) {
  ASSERT_TRUE(dials_within(70'000));
  answer(kWrongPass);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(dials_within(12'000));
    answer(kWrongPass);
    EXPECT_TRUE(probe.status().failing);
    EXPECT_EQ(probe.status().trouble, "WRONGPASS invalid username-password pair");
    EXPECT_FALSE(dials_within(8'500)) << "while failing it asks each 10 s";
  }
  EXPECT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].starts_with("login_probe_failing: a new connection to r:6379 fails (WRONG"))
      << events[0];
  ASSERT_TRUE(dials_within(12'000));
  answer(kWell);
  EXPECT_FALSE(probe.status().failing);
  EXPECT_EQ(events.back(), "login_probe_over: new connections to r:6379 succeed again");
}

// A replica is no primary, a frozen Redis answers nothing, a port may be closed.
TEST_F(LoginProbeTest, WhateverKeepsAConnectionFromBeingUsedCounts) {
  ASSERT_TRUE(dials_within(70'000));
  connect();
  EXPECT_TRUE(dials_within(3'000)) << "no answer: given up after half a second, and asked again";
  dialer.wire.events->on_closed(CloseReason::refused, "Connection refused");
  tick();
  EXPECT_TRUE(probe.status().failing);
  EXPECT_EQ(probe.status().trouble, "Connection refused");
}

// What is lost is told by whoever lost it.
TEST_F(LoginProbeTest, NothingIsConcludedWhileTheConnectionsInUseDoNotWork) {
  ASSERT_TRUE(dials_within(70'000));
  answer(kWrongPass);
  ASSERT_TRUE(dials_within(1'200));
  tick(false);
  EXPECT_FALSE(dials_within(100'000, false));
  EXPECT_FALSE(probe.status().failing);
  EXPECT_TRUE(events.empty());
}

// Crashed: the probe had just got in when the others were lost, and its end was looked at later.
TEST_F(LoginProbeTest, TheConnectionsInUseAreLostWhenItHasJustSucceeded) {
  ASSERT_TRUE(dials_within(70'000));
  connect();
  dialer.wire.events->on_bytes(kWell);
  tick(false);
  tick(true);
  tick(true);
  EXPECT_EQ(probe.status().last_ok_ms, 0);
}

TEST_F(LoginProbeTest, AnotherPrimaryIsAnotherQuestion) {
  ASSERT_TRUE(dials_within(70'000));
  answer(kWrongPass);
  ASSERT_TRUE(dials_within(1'200));
  answer(kWrongPass);
  probe.move_to({"s", 6379, ""});
  EXPECT_FALSE(probe.status().failing);
  ASSERT_TRUE(dials_within(70'000));
  EXPECT_TRUE(dialer.dialled.ends_with(" s:6379 "));
}

// While Redis takes only the one before, the connections in use would survive; the probe tells
// that they live on borrowed time.
TEST_F(LoginProbeTest, AsksWithTheNewestPassword) {
  credentials.offer("new");
  EXPECT_TRUE(credentials.refused(credentials.login(), now));
  EXPECT_EQ(credentials.login().password, "secret");
  ASSERT_TRUE(dials_within(70'000));
  connect();
  EXPECT_TRUE(words_of(dialer.wire.sent).starts_with("HELLO 3 AUTH app new "));
}

TEST_F(LoginProbeTest, ThePasswordIsLookedForBefore) {
  struct Source final : PasswordSource {
    void look(Now, bool) override { ++looks; }
    int looks = 0;
  } source;
  credentials.set_source(&source, "redis.password_file");
  EXPECT_FALSE(dials_within(40'000));
  EXPECT_EQ(source.looks, 0);
  ASSERT_TRUE(dials_within(30'000));
  EXPECT_EQ(source.looks, 2);  // ahead, and by the connection itself
}

TEST_F(LoginProbeTest, AnIntervalOfZeroIsNoProbe) {
  LoginProbe off{options(), 0, dialer, *this, counters, random};
  for (int i = 0; i < 100'000; ++i) off.on_tick({now.mono_us += 5'000, 0}, true);
  EXPECT_EQ(dialer.dialled, "");
}

}  // namespace
}  // namespace stayd
