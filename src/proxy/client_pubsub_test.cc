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
