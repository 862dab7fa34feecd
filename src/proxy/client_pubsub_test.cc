// Subscriptions: local registry, acknowledgements, delivery in both protocols.
#include <gtest/gtest.h>

#include "proxy/fake_port.h"

namespace stayd {
namespace {

using testing::FakeClient;
using testing::FakePort;
using testing::request;
using testing::requests;

struct FakeUpstream final : UpstreamPubSub {
  std::vector<std::string> wants;
  void want_channel(std::string_view channel, bool on) override {
    wants.push_back((on ? "+c:" : "-c:") + std::string(channel));
  }
  void want_pattern(std::string_view pattern, bool on) override {
    wants.push_back((on ? "+p:" : "-p:") + std::string(pattern));
  }
};

TEST(PubSub, Resp2SubscriberIsRestrictedAndGetsArrays) {
  FakePort port;
  port.engine.up = false;
  FakeClient listener(port), speaker(port);
  EXPECT_EQ(listener.feed(request("subscribe a b")),
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
  EXPECT_EQ(
      listener.feed(request("get a")),
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
      "are allowed in this context\r\n");
  EXPECT_EQ(listener.feed(request("ping")), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  EXPECT_EQ(listener.feed(request("ping x")), "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
  EXPECT_EQ(speaker.feed(request("publish a hi")), ":1\r\n");
  EXPECT_EQ(listener.take(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
  EXPECT_EQ(speaker.feed(request("pubsub numsub a c")), "*4\r\n$1\r\na\r\n:1\r\n$1\r\nc\r\n:0\r\n");
  EXPECT_EQ(listener.feed(request("unsubscribe")),
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:"
            "0\r\n");
  EXPECT_EQ(listener.feed(request("unsubscribe")), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  EXPECT_EQ(listener.feed(request("ping")), "+PONG\r\n");
}

TEST(PubSub, Resp3PushesStandBetweenRepliesNeverInside) {
  FakePort port;
  FakeClient client(port);
  client.feed(requests({"hello 3", "psubscribe s*"}));
  port.engine.immediate = false;
  client.feed(requests({"get a", "get b"}));
  port.context.hub.on_pmessage("s*", "sx", "1");
  port.engine.answer(0, "$1\r\nA\r\n");
  EXPECT_EQ(client.take(),
            ">4\r\n$8\r\npmessage\r\n$2\r\ns*\r\n$2\r\nsx\r\n$1\r\n1\r\n$1\r\nA\r\n");
  port.engine.answer(0, "$1\r\nB\r\n");
}

TEST(PubSub, AckWaitsForRedisOrHalfASecond) {
  FakePort port;
  FakeUpstream upstream;
  port.context.hub.set_upstream(&upstream);
  FakeClient first(port), second(port), third(port);
  EXPECT_EQ(first.feed(requests({"subscribe a b", "ping"})), "");
  EXPECT_EQ(upstream.wants, (std::vector<std::string>{"+c:a", "+c:b"}));
  port.context.hub.on_upstream_ready("a");
  EXPECT_EQ(first.take(), "");
  port.context.hub.on_upstream_ready("b");
  EXPECT_NE(first.take().find("pong"), std::string::npos);
  EXPECT_NE(second.feed(request("subscribe a")), "");  // confirmed already
  EXPECT_EQ(third.feed(request("psubscribe x*")), "");
  port.context.hub.tick(Now{.mono_us = 499'000});
  EXPECT_EQ(third.take(), "");
  port.context.hub.tick(Now{.mono_us = 501'000});
  EXPECT_NE(third.take(), "");
  upstream.wants.clear();
  first.session.reset();
  EXPECT_EQ(upstream.wants, (std::vector<std::string>{"-c:b"}));
  second.session.reset();
  third.session.reset();
  port.context.hub.set_upstream(nullptr);
}

// A PUBLISH on another connection must not meet a subscription whose end was acknowledged.
TEST(PubSub, TheEndOfASubscriptionWaitsForRedisToo) {
  FakePort port;
  FakeUpstream upstream;
  port.context.hub.set_upstream(&upstream);
  FakeClient client(port), other(port);
  client.feed(request("subscribe a"));
  port.context.hub.on_upstream_ready("a");
  other.feed(request("subscribe a"));
  client.take();
  EXPECT_NE(client.feed(request("unsubscribe a")), "");  // Redis need not hear of it
  EXPECT_EQ(other.feed(requests({"unsubscribe a", "ping"})), "");
  port.context.hub.on_upstream_left("a");
  EXPECT_EQ(other.take(), "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n+PONG\r\n");
  EXPECT_EQ(other.feed(request("psubscribe x*")), "");
  port.context.hub.on_upstream_pattern_ready("x*");
  other.take();
  EXPECT_EQ(other.feed(request("punsubscribe")), "");
  port.context.hub.on_upstream_down();  // its end is the end of every subscription
  EXPECT_NE(other.take(), "");
  client.session.reset();
  other.session.reset();
  port.context.hub.set_upstream(nullptr);
}

// For Redis all clients of stayd are one subscriber.
TEST(PubSub, ReceiversAreCountedAsRedisWould) {
  FakePort port;
  FakeUpstream upstream;
  port.context.hub.set_upstream(&upstream);
  FakeClient first(port), second(port), speaker(port);
  for (FakeClient* client : {&first, &second}) client->feed(requests({"subscribe a"}));
  port.context.hub.on_upstream_ready("a");
  first.take();
  first.feed(request("psubscribe a*"));
  port.context.hub.on_upstream_pattern_ready("a*");
  port.engine.next_reply = ":5\r\n";  // channel and pattern of stayd, and three foreign clients
  EXPECT_EQ(speaker.feed(request("publish a hi")), ":6\r\n");
  EXPECT_EQ(speaker.feed(request("publish b hi")), ":5\r\n");
  port.engine.next_reply = "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:7\r\n";
  EXPECT_EQ(speaker.feed(request("pubsub numsub a b")), "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:7\r\n");
  port.engine.next_reply = "*1\r\n:2\r\n";
  speaker.feed(requests({"multi", "publish a hi"}));
  EXPECT_EQ(speaker.feed(request("exec")), "*1\r\n:3\r\n");
}

// Redis silences replies, not pushes.
TEST(PubSub, ReplyOffDoesNotSilenceAcks) {
  FakePort port;
  port.engine.up = false;
  FakeClient client(port);
  FakeClient old(port);
  old.feed(request("client reply off"));
  EXPECT_EQ(old.feed(requests({"subscribe a", "ping"})),
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  client.feed(requests({"hello 3", "client reply off"}));
  EXPECT_EQ(client.feed(requests({"subscribe a", "ping"})),
            ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(client.feed(request("unsubscribe")), ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
}

TEST(PubSub, NobodyHearsOfSideKeys) {
  FakePort port;
  port.engine.up = false;
  FakeClient client(port);
  client.feed(requests({"psubscribe *", "subscribe __keyevent@0__:set"}));
  PubSubHub& hub = port.context.hub;
  hub.on_pmessage("*", "__keyspace@0__:stayd:{}:canary:1", "set");
  hub.on_pmessage("*", "__keyevent@0__:set", "stayd:{}:canary:1");
  hub.on_message("__keyevent@0__:set", "stayd:{}:canary:1");
  EXPECT_EQ(client.take(), "");
  hub.on_message("__keyevent@0__:set", "mine");
  EXPECT_NE(client.take(), "");
  hub.on_pmessage("*", "talk", "stayd:{ is only a text here");
  EXPECT_NE(client.take(), "");
}

TEST(PubSub, AClientMayLeaveWhileItsAckWaits) {
  FakePort port;
  FakeUpstream upstream;
  port.context.hub.set_upstream(&upstream);
  {
    FakeClient client(port);
    client.feed(request("subscribe a"));
  }
  port.context.hub.on_upstream_ready("a");
  port.context.hub.tick(Now{.mono_us = 10'000'000});
  EXPECT_EQ(port.context.calls.in_use(), 0u);
}

}  // namespace
}  // namespace stayd
