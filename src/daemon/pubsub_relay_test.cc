#include "daemon/pubsub_relay.h"

#include <gtest/gtest.h>

#include "resp/request_parser.h"

namespace stayd {
namespace {

struct FakeUpstream : Upstream {
  bool up() const override { return is_up; }
  void send(std::string_view request, int, ReplyHandler&, std::uint64_t, std::int64_t deadline_us,
            std::uint32_t replies, Order) override {
    sent += request;
    deadline = deadline_us;
    EXPECT_EQ(replies, 1u);
  }
  void condemn(std::string_view) override {}
  std::size_t pending() const override { return 0; }
  std::string take() { return std::exchange(sent, ""); }

  bool is_up = false;
  std::string sent;
  std::int64_t deadline = 0;
};

struct FakeListener : PubSubListener {
  void push_message(std::string_view channel, std::string_view payload) override {
    got += std::string(channel) + "=" + std::string(payload) + ";";
  }
  void push_pmessage(std::string_view pattern, std::string_view channel,
                     std::string_view payload) override {
    got += std::string(pattern) + ":" + std::string(channel) + "=" + std::string(payload) + ";";
  }
  void on_subscribed() override { ++subscribed; }
  std::string got;
  int subscribed = 0;
};

std::string request(std::initializer_list<std::string_view> words) {
  std::string out;
  append_request(out, words);
  append_request(out, {"PING"});
  return out;
}

class PubSubRelayTest : public testing::Test {
 protected:
  PubSubRelayTest() {
    relay_.attach(upstream_);
    hub_.set_upstream(&relay_);
    relay_.on_tick({.mono_us = 10'000'000, .wall_ms = 0});
  }
  ~PubSubRelayTest() override { hub_.set_upstream(nullptr); }
  void come_up() {
    upstream_.is_up = true;
    relay_.on_upstream_up({});
  }
  PubSubHub hub_;
  int started_ = 0;
  struct Events final : EventSink {
    void on_event(const Event& event) override { names.emplace_back(event.name); }
    std::vector<std::string> names;
  } events_;
  PubSubRelay relay_{hub_, events_, [this] { ++started_; }};
  FakeUpstream upstream_;
  FakeListener client_;
};

TEST_F(PubSubRelayTest, NothingConnectsUntilSomebodyListens) {
  EXPECT_EQ(started_, 0);
  hub_.subscribe("a", client_);
  hub_.psubscribe("p*", client_);
  EXPECT_EQ(started_, 1);
  EXPECT_EQ(upstream_.take(), "");
  come_up();
  EXPECT_EQ(upstream_.take(), request({"SUBSCRIBE", "a"}) + request({"PSUBSCRIBE", "p*"}));
  EXPECT_EQ(upstream_.deadline, 10'000'000 + PubSubRelay::kDeadlineUs);
}

TEST_F(PubSubRelayTest, MessagesAndAcknowledgementsReachTheHub) {
  come_up();
  hub_.subscribe("a", client_);
  hub_.await(client_, {.mono_us = 10'000'000, .wall_ms = 0});
  relay_.on_upstream_push(">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(client_.subscribed, 1);
  hub_.psubscribe("p*", client_);
  relay_.on_upstream_push(">3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:2\r\n");
  relay_.on_upstream_push(">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
  relay_.on_upstream_push(">4\r\n$8\r\npmessage\r\n$2\r\np*\r\n$2\r\npx\r\n$2\r\nho\r\n");
  EXPECT_EQ(client_.got, "a=hi;p*:px=ho;");
  relay_.on_upstream_push(">2\r\n$10\r\ninvalidate\r\n_\r\n");
  relay_.on_upstream_push(">0\r\n");
}

TEST_F(PubSubRelayTest, SubscribesAgainAfterAReconnect) {
  come_up();
  hub_.subscribe("a", client_);
  hub_.subscribe("b", client_);
  hub_.unsubscribe("a", client_);
  EXPECT_EQ(upstream_.take(), request({"SUBSCRIBE", "a"}) + request({"SUBSCRIBE", "b"}) +
                                  request({"UNSUBSCRIBE", "a"}));
  upstream_.is_up = false;
  relay_.on_upstream_down(false, "gone");
  come_up();
  EXPECT_EQ(upstream_.take(), request({"SUBSCRIBE", "b"}));
}

TEST_F(PubSubRelayTest, ASilentConnectionIsNoticed) {
  come_up();
  upstream_.take();
  relay_.on_tick({.mono_us = 12'000'000, .wall_ms = 0});
  EXPECT_EQ(upstream_.take(), "*1\r\n$4\r\nPING\r\n");
  relay_.on_tick({.mono_us = 12'500'000, .wall_ms = 0});
  EXPECT_EQ(upstream_.take(), "");
}

TEST_F(PubSubRelayTest, ALostConnectionIsToldOnce) {
  relay_.on_upstream_down(true, "connection refused");
  EXPECT_EQ(events_.names, std::vector<std::string>{});
  come_up();
  relay_.on_upstream_down(false, "Redis closed the connection");
  relay_.on_upstream_down(true, "connection refused");
  EXPECT_EQ(events_.names, std::vector<std::string>{"pubsub_lost"});
}

}  // namespace
}  // namespace stayd
