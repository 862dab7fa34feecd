// The connection to a replica as scripts: which one is tried when, and when it is worth waiting.
#include "redis/replica_link.h"

#include <gtest/gtest.h>

#include "redis/fake_dialer_test.h"

namespace stayd {
namespace {

constexpr const char* kWell = "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$12\r\nrole:slave\r\n\r\n";
constexpr const char* kLoading =
    "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$23\r\nrole:slave\r\nloading:1\r\n\r\n";

class ReplicaLinkTest : public ::testing::Test,
                        public UpstreamEvents,
                        public ReplyHandler,
                        public EventSink {
 protected:
  ReplicaLinkTest() {
    credentials.offer("secret");
    link.set_addresses({"a:1", "b:2"});
  }
  void on_upstream_up(const GateFacts&) override { told += "up "; }
  void on_upstream_down(bool, std::string_view) override { told += "down "; }
  void on_upstream_push(std::string_view) override {}
  void on_upstream_reply(std::uint64_t, std::string_view) override { told += "reply "; }
  void on_upstream_lost(std::uint64_t) override { told += "lost "; }
  void on_event(const Event&) override {}
  LinkOptions options() {
    LinkOptions out;
    out.credentials = &credentials;
    return out;
  }
  void pass(std::int64_t ms) {
    for (; ms > 0; ms -= 5) {
      now.mono_us += 5'000;
      link.on_tick(now);
    }
  }
  void fail() { dialer.wire.events->on_closed(CloseReason::refused, "refused"); }
  void gate(const char* bytes = kWell) {
    dialer.wire.events->on_connected();
    dialer.wire.events->on_bytes(bytes);
  }
  std::string take_dialled() { return std::exchange(dialer.dialled, ""); }

  FakeDialer dialer;
  Counters counters;
  Credentials credentials{"app", *this, counters};
  Random random{1};
  Now now{1'000'000, 5'000};
  ReplicaLink link{options(), dialer, *this, random};
  std::string told;
};

TEST_F(ReplicaLinkTest, OnlyWhileItIsOpen) {
  pass(5'000);
  EXPECT_EQ(take_dialled(), "");
  EXPECT_FALSE(link.reachable());
  link.open(now);
  link.open(now);
  EXPECT_EQ(take_dialled(), "a:1 ");
  EXPECT_TRUE(link.reachable());
  EXPECT_FALSE(link.up());
  gate();
  EXPECT_TRUE(link.up());
  EXPECT_EQ(told, "up ");
  link.close();
  pass(5);
  EXPECT_TRUE(dialer.wire.closed);
  EXPECT_FALSE(link.up());
  pass(5'000);
  EXPECT_EQ(take_dialled(), "");
}

TEST_F(ReplicaLinkTest, OneAfterAnotherThenAPause) {
  link.open(now);
  fail();
  EXPECT_TRUE(link.reachable());
  pass(5);
  EXPECT_EQ(take_dialled(), "a:1 b:2 ");
  fail();
  EXPECT_FALSE(link.reachable());
  pass(990);
  EXPECT_EQ(take_dialled(), "");
  pass(300);
  EXPECT_EQ(take_dialled(), "a:1 ");
  EXPECT_FALSE(link.reachable()) << "half-open: it is tried, and nobody waits for it";
  gate();
  EXPECT_TRUE(link.reachable());
}

TEST_F(ReplicaLinkTest, OneThatIsLateIsLeftForTheNext) {
  link.open(now);
  gate();
  std::string request;
  append_request(request, {"GET", "k"});
  link.send(request, 0, *this, 1, now.mono_us + 50'000, 1, Order::strict);
  pass(60);
  EXPECT_EQ(told, "up lost down ");
  EXPECT_EQ(take_dialled(), "a:1 b:2 ");
  EXPECT_TRUE(link.reachable());
}

TEST_F(ReplicaLinkTest, OneThatIsSlowToConnectIsNotWaitedForTwice) {
  link.open(now);
  link.doubt();
  EXPECT_FALSE(link.reachable());
  gate();
  EXPECT_TRUE(link.reachable());
}

TEST_F(ReplicaLinkTest, OneThatIsLoadingIsNoneAndAPrimaryIsOne) {
  link.open(now);
  gate(kLoading);
  EXPECT_EQ(told, "down ");
  pass(5);
  gate("%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n$13\r\nrole:master\r\n\r\n");
  EXPECT_EQ(told, "down up ");
}

// Replicas do not replicate users: one with an old password must not put off the primary's login.
TEST_F(ReplicaLinkTest, ARefusedLoginIsItsOwnAffair) {
  credentials.offer("newer");
  link.open(now);
  dialer.wire.events->on_connected();
  EXPECT_NE(dialer.wire.sent.find("newer"), std::string::npos);
  dialer.wire.events->on_bytes("-WRONGPASS invalid username-password pair\r\n");
  EXPECT_EQ(told, "down ");
  EXPECT_EQ(credentials.login().password, "newer");
  EXPECT_EQ(counters.logins_refused, 0u);
  pass(5);
  EXPECT_EQ(take_dialled(), "a:1 b:2 ");
}

TEST_F(ReplicaLinkTest, AddressesMayChange) {
  link.open(now);
  gate();
  link.set_addresses({"c:3"});
  pass(50);
  EXPECT_EQ(take_dialled(), "a:1 ") << "the one that is up is used on";
  link.condemn("no");
  pass(1'500);
  EXPECT_EQ(take_dialled(), "c:3 ");
}

}  // namespace
}  // namespace stayd
