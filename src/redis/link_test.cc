// The order in which requests for several databases reach Redis, as scripts: send, answer, look.
#include "redis/link.h"

#include <gtest/gtest.h>

#include "redis/fake_dialer_test.h"
#include "resp/request_parser.h"

namespace stayd {
namespace {

constexpr std::int64_t kDeadlineUs = 1'000'000;

class LinkTest : public ::testing::Test, public UpstreamEvents, public ReplyHandler {
 protected:
  LinkTest() {
    link.start({});
    link.on_tick({});
    dialer.wire.events->on_connected();
    answer("%1\r\n$2\r\nid\r\n:7\r\n");
    answer("*2\r\n:1\r\n:0\r\n");
    answer("$13\r\nrole:master\r\n\r\n");
    EXPECT_TRUE(link.up());
    sent();
  }

  void answer(std::string_view bytes) { dialer.wire.events->on_bytes(bytes); }
  void send(const std::string& word, int db, Order order = Order::by_key,
            std::int64_t deadline_us = kDeadlineUs) {
    std::string request;
    append_request(request, {word});
    link.send(request, db, *this, static_cast<std::uint64_t>(word[0]), deadline_us, 1, order);
  }
  std::string sent() { return words_of(std::exchange(dialer.wire.sent, "")); }

  void on_upstream_up(const GateFacts&) override {}
  void on_upstream_down(bool, std::string_view why) override { cause = why; }
  void on_upstream_push(std::string_view) override {}
  void on_upstream_reply(std::uint64_t tag, std::string_view) override {
    replies += static_cast<char>(tag);
  }
  void on_upstream_lost(std::uint64_t tag) override { lost += static_cast<char>(tag); }

  FakeDialer dialer;
  Counters counters;
  Random random{1};
  Link link{{}, dialer, *this, counters, random};
  std::string replies, lost, cause;
};

// Its offset to our clock would have been half a century.
TEST_F(LinkTest, WhatDoesNotTellTheTimeIsNoRedis) {
  link.condemn("lost");
  link.on_tick({60'000'000, 0});
  dialer.wire.events->on_connected();
  answer("%1\r\n$2\r\nid\r\n:7\r\n");
  answer("+OK\r\n");
  answer("$13\r\nrole:master\r\n\r\n");
  EXPECT_FALSE(link.up());
  EXPECT_EQ(cause, "this is no Redis: it answers TIME with something else");
}

// Redis is elsewhere (a failover): what was under way is lost, and the next tick dials there.
TEST_F(LinkTest, MovesToAnotherAddress) {
  send("a", 0);
  link.move_to({"b", 6379, ""}, "moved");
  EXPECT_TRUE(dialer.wire.closed);
  EXPECT_EQ(lost, "a");
  EXPECT_EQ(cause, "moved");
  link.on_tick({5'000, 0});
  EXPECT_EQ(dialer.dialled, ":6379 b:6379 ");
}

// What its name has left is no flapping: there is another place to go to.
TEST_F(LinkTest, DialsAtOnceWhereTheNameLeads) {
  send("a", 0);
  dialer.wire.events->on_closed(CloseReason::moved, "redis is 10.0.0.2 now");
  EXPECT_EQ(lost, "a");
  EXPECT_EQ(cause, "redis is 10.0.0.2 now");
  link.on_tick({5'000, 0});
  EXPECT_EQ(dialer.dialled, ":6379 :6379 ");
  dialer.wire.events->on_closed(CloseReason::refused, "refused");
  link.on_tick({10'000, 0});
  EXPECT_EQ(dialer.dialled, ":6379 :6379 ");
}

TEST_F(LinkTest, DialsNothingUntilItIsToldWhere) {
  LinkOptions options;
  options.endpoint.port = 0;
  Link idle(options, dialer, *this, counters, random);
  idle.start({});
  idle.on_tick({});
  EXPECT_EQ(dialer.dialled, ":6379 ");
  idle.move_to({"a", 6379, ""}, "found");
  idle.on_tick({5'000, 0});
  EXPECT_EQ(dialer.dialled, ":6379 a:6379 ");
}

TEST_F(LinkTest, WhatIsBehindASelectWaitsForItsReply) {
  send("a", 0);
  send("b", 3);
  send("c", 3);
  EXPECT_EQ(sent(), "a SELECT 3");
  EXPECT_EQ(link.pending(), 4U);
  answer("+OK\r\n");
  EXPECT_EQ(sent(), "");
  answer("+OK\r\n");
  EXPECT_EQ(sent(), "b c");
  answer("+OK\r\n+OK\r\n");
  EXPECT_EQ(replies, "abc");
  send("d", 3);
  EXPECT_EQ(sent(), "d");
}

// Found by the simulator (--seed 5 --minutes 1 --faults noperm, select among them): the command
// behind a SELECT that was refused ran in the database before it.
TEST_F(LinkTest, NothingRunsBehindARefusedSelect) {
  send("a", 3);
  send("b", 0);
  answer("-NOPERM this user has no permissions to run the 'select' command\r\n");
  EXPECT_EQ(sent(), "SELECT 3");
  EXPECT_EQ(lost, "ab");
  EXPECT_TRUE(dialer.wire.closed);
  EXPECT_EQ(cause.substr(0, 29), "Redis refused SELECT: NOPERM ");
}

// Two databases in use cost a round trip for each change, not for each command.
TEST_F(LinkTest, DatabasesTakeTurns) {
  send("a", 3);
  for (const char* word : {"b", "d", "f"}) {
    send(word, 0);
    send(std::string(1, static_cast<char>(word[0] + 1)), 3);
  }
  EXPECT_EQ(sent(), "SELECT 3");
  answer("+OK\r\n");
  EXPECT_EQ(sent(), "a c e g SELECT 0");
  send("h", 3);
  answer("+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "b d f SELECT 3");
  answer("+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "h");
  EXPECT_EQ(replies, "acegbdf");
}

TEST_F(LinkTest, NothingPassesWhatIsStrict) {
  send("a", 3);
  send("b", 0);
  send("c", -1, Order::strict);
  send("d", 3);
  answer("+OK\r\n");
  EXPECT_EQ(sent(), "SELECT 3 a SELECT 0");
  answer("+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "b c SELECT 3");
  answer("+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "d");
}

TEST_F(LinkTest, WhatStraysIsFollowedByASelect) {
  send("a", 0, Order::strays);
  send("b", 0);
  EXPECT_EQ(sent(), "a SELECT 0");
  answer("+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "b");
  send("c", 3, Order::strays);
  send("d", 3);
  answer("+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "SELECT 3 c SELECT 3");
  answer("+OK\r\n+OK\r\n");
  EXPECT_EQ(sent(), "d");
}

TEST_F(LinkTest, WhatIsHeldHasItsDeadline) {
  send("a", 3);
  send("b", 0, Order::by_key, kDeadlineUs / 2);
  link.on_tick({.mono_us = kDeadlineUs / 2});
  EXPECT_TRUE(link.up());
  link.on_tick({.mono_us = kDeadlineUs / 2 + 1});
  EXPECT_FALSE(link.up());
  EXPECT_EQ(lost, "ab");
}

}  // namespace
}  // namespace stayd
