// Which address is tried, and when a connection is given up. The resolver and the dialer of
// addresses are scripts, the time is the test's.
#include "redis/name_dialer.h"

#include <gtest/gtest.h>

#include "redis/fake_dialer_test.h"
#include "redis/names_test_util.h"

namespace stayd {
namespace {

struct Addressed final : AddressDialer {
  std::unique_ptr<Transport> dial_address(const Address& to, std::int64_t timeout_ms,
                                          TransportEvents& events) override {
    return dialer.dial({to.host_text(), 6379, ""}, timeout_ms, events);
  }
  FakeDialer dialer;
};

class NameDialerTest : public testing::Test {
 protected:
  std::unique_ptr<Transport> dial(Recorder& events) {
    dialer.set_now(now);
    return dialer.dial({.host = "redis", .port = 6379}, 1'000, events);
  }
  void pass(std::int64_t ms) {
    for (; ms > 0; ms -= 10) {
      now.mono_us += 10'000;
      resolver.answer_all(answer);
      dialer.on_tick(now);
      if (std::exchange(due, false)) dialer.tell_ends();
    }
  }
  // To the address that is tried first.
  std::unique_ptr<Transport> connect(Recorder& events) {
    auto transport = dial(events);
    pass(10);
    wire().events->on_connected();
    return transport;
  }
  // Which is tried first; the name is asked for that.
  std::string next() {
    pass(1'000);
    below.dialer.dialled.clear();
    Recorder events;
    const auto transport = dial(events);
    pass(10);
    return dialled();
  }
  void stand_still(std::int64_t ms) {
    now.mono_us += ms * 1'000;
    pass(10);
  }
  Wire& wire() { return below.dialer.wire; }
  const std::string& dialled() const { return below.dialer.dialled; }

  Now now{.mono_us = 1'000'000'000};
  Addressed below;
  ScriptedResolver resolver;
  std::string answer;  // of the name, to whoever asks
  EventNames log;
  Counters counters;
  bool due = false;
  NameDialer dialer{below, resolver, [this] { due = true; }, log, counters};
};

TEST_F(NameDialerTest, PassesOnWhatComesFromTheFirstThatAnswers) {
  answer = "10.0.0.1 10.0.0.2";
  Recorder events;
  const auto transport = dial(events);
  pass(10);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 ");
  wire().events->on_closed(CloseReason::refused, "Connection refused");
  EXPECT_EQ(dialled(), "10.0.0.1:6379 10.0.0.2:6379 ");
  transport->write("early ");
  wire().events->on_connected();
  transport->write("late");
  EXPECT_EQ(wire().sent, "early late");
  wire().events->on_bytes("reply");
  wire().events->on_closed(CloseReason::eof, "end");
  EXPECT_EQ(events.text, "connected closed ");
  EXPECT_EQ(events.in + events.detail, "replyend");
}

TEST_F(NameDialerTest, EachAddressHasItsShareOfTheTime) {
  answer = "10.0.0.1 10.0.0.2";
  Recorder events;
  const auto transport = dial(events);
  pass(400);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 ");
  pass(200);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 10.0.0.2:6379 ");
  EXPECT_EQ(events.text, "");
  pass(500);
  EXPECT_EQ(events.detail, "connection timed out");
}

// Not even where it is known at once that the name does not resolve.
TEST_F(NameDialerTest, NoEventComesDuringDial) {
  Recorder first, second;
  auto transport = dial(first);
  pass(10);
  EXPECT_EQ(first.detail, "the name does not resolve: unknown");
  transport = dial(second);
  EXPECT_EQ(second.text, "");
  dialer.tell_ends();
  EXPECT_EQ(second.detail, "the name does not resolve: unknown");
}

TEST_F(NameDialerTest, AddressesThatFailedAreTriedLast) {
  answer = "10.0.0.1 10.0.0.2 10.0.0.3";
  Recorder first, second;
  auto transport = dial(first);
  pass(10);
  wire().events->on_closed(CloseReason::refused, "Connection refused");
  wire().events->on_connected();
  pass(10);
  transport->close(true);  // a replica, say
  EXPECT_EQ(next(), "10.0.0.3:6379 ");
  transport = connect(second);
  transport->close(true);
  EXPECT_EQ(next(), "10.0.0.1:6379 ");  // that failed longest ago
  EXPECT_EQ(log.text, "");              // the name has not moved
}

TEST_F(NameDialerTest, AllConnectionsGoWhereTheFirstOneIs) {
  answer = "10.0.0.1";
  Recorder first, second;
  const auto data = connect(first);
  answer = "10.0.0.2";
  EXPECT_EQ(next(), "10.0.0.1:6379 ");  // whatever the name says by now
  connect(second)->close(true);         // it has failed there
  EXPECT_EQ(next(), "10.0.0.2:6379 ");
}

// It has passed the gate there: a restart is more likely than a move.
TEST_F(NameDialerTest, ALossAfterTwoSecondsIsNoReasonToLeaveTheHome) {
  answer = "10.0.0.1";
  Recorder first, second, third;
  auto transport = connect(first);
  answer = "10.0.0.2 10.0.0.1";
  pass(2'100);
  wire().events->on_closed(CloseReason::eof, "end");
  EXPECT_EQ(next(), "10.0.0.1:6379 ");
  transport = connect(second);
  pass(1'900);
  wire().events->on_closed(CloseReason::eof, "end");
  EXPECT_EQ(next(), "10.0.0.2:6379 ");
  transport = connect(third);
  answer = "10.0.0.1";  // and unless the name has left it
  pass(2'100);
  wire().events->on_closed(CloseReason::eof, "end");
  EXPECT_EQ(next(), "10.0.0.1:6379 ");
}

TEST_F(NameDialerTest, AConnectionIsGivenUpWhenTheNameHasLeftIt) {
  answer = "10.0.0.1";
  Recorder events;
  const auto transport = dial(events);
  pass(10);
  wire().events->on_connected();
  answer = "";
  pass(20'000);
  EXPECT_EQ(events.text, "connected ");
  answer = "10.0.0.2";
  pass(8'000);
  EXPECT_EQ(events.text, "connected moved ");
  EXPECT_TRUE(wire().closed);
}

// The name's answer is there by then, but its address has not been tried.
TEST_F(NameDialerTest, TheTimeThatStandingStillTookDoesNotCountAgainstTheHome) {
  answer = "10.0.0.1";
  Recorder first, second, third;
  const auto data = dial(first);
  pass(10);
  wire().events->on_connected();
  pass(1'100);
  answer = "10.0.0.2 10.0.0.1";
  auto other = dial(second);
  stand_still(1'100);
  EXPECT_EQ(second.detail, "name resolution timed out");
  other = dial(third);
  pass(10);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 10.0.0.1:6379 ");
}

// A process without descriptors must not leave the Redis that it is on.
TEST_F(NameDialerTest, WhatFailsHereDoesNotCountAgainstTheAddress) {
  answer = "10.0.0.1";
  Recorder first, second, third;
  auto transport = dial(first);
  pass(10);
  wire().events->on_connected();
  wire().events->on_closed(CloseReason::local, "Out of memory");
  pass(1'100);
  answer = "10.0.0.2 10.0.0.1";
  transport = dial(second);
  pass(10);
  wire().events->on_closed(CloseReason::local, "Too many open files");
  EXPECT_EQ(second.detail, "Too many open files");
  transport = dial(third);
  pass(10);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 10.0.0.1:6379 10.0.0.1:6379 ");
}

// And those are told before it is used.
TEST_F(NameDialerTest, TheFirstElsewhereEndsThoseAtTheHomeOfBefore) {
  answer = "10.0.0.1";
  Recorder first, second, third;
  std::string all;
  first.all = third.all = &all;
  first.name = "first ", third.name = "third ";
  const auto data = dial(first);
  pass(10);
  wire().events->on_connected();
  auto other = dial(second);
  pass(10);
  answer = "10.0.0.2";
  wire().events->on_closed(CloseReason::refused, "Connection refused");
  EXPECT_EQ(second.detail, "Connection refused");
  pass(1'100);
  other = dial(third);
  pass(10);
  EXPECT_EQ(dialled(), "10.0.0.1:6379 10.0.0.1:6379 10.0.0.2:6379 ");
  wire().events->on_connected();
  EXPECT_EQ(all, "first connected first moved third connected ");
  EXPECT_EQ(counters.name_moves, 1U);
  EXPECT_EQ(log.text, "name_moved ");
}

}  // namespace
}  // namespace stayd
