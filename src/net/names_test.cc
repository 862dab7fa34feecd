// The system's resolver, on the one name that every host knows; and what the dialer makes of names
// that a scripted one answers.
#include <gtest/gtest.h>

#include "base/real_time.h"
#include "net/net_test_util.h"
#include "net/resp_listener.h"
#include "net/socket_dialer.h"
#include "net/system_resolver.h"
#include "redis/names_test_util.h"

namespace stayd {
namespace {

TEST(Address, OfTexts) {
  EXPECT_EQ(Address::numeric("10.0.0.1").host_text(), "10.0.0.1");
  EXPECT_EQ(Address::numeric("[fd00::1]").host_text(), "fd00::1");
  EXPECT_EQ(Address::numeric("::1").host_text(), "::1");
  for (const char* name : {"", "localhost", "10.0.0", "fd00::1::2"}) {
    EXPECT_EQ(Address::numeric(name).size, 0u) << name;
  }
  const Address one = Address::numeric("10.0.0.1");
  EXPECT_TRUE(one.same_host(one.with_port(6379)));
  EXPECT_FALSE(one.same_host(Address::numeric("10.0.0.2")));
  EXPECT_FALSE(one.same_host(Address::numeric("::ffff:10.0.0.1")));
  EXPECT_EQ(one.with_port(6379).port(), 6379);
  EXPECT_EQ(Address::numeric("::1").with_port(6379).port(), 6379);
  EXPECT_TRUE(among(addresses("::1 10.0.0.1"), one.with_port(6379)));
  EXPECT_FALSE(among(addresses("::1 10.0.0.2"), one));
}

TEST(SystemResolver, AnswersMoreQuestionsThanItHasThreads) {
  Loop loop;
  SystemResolver resolver(loop);
  constexpr std::size_t kQuestions = 3 * SystemResolver::kMaxThreads;
  std::size_t answers = 0;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    resolver.ask("localhost", [&](const NameAnswer& answer) {
      ++answers;
      EXPECT_FALSE(answer.addresses.empty()) << answer.error;
    });
  }
  EXPECT_EQ(answers, 0u);
  EXPECT_TRUE(run_until(loop, [&] { return answers == kQuestions; }));
}

TEST(SystemResolver, EndsBeforeItsAnswers) {
  Loop loop;
  bool answered = false;
  for (int i = 0; i < 20; ++i) {
    SystemResolver resolver(loop);
    resolver.ask("localhost", [&](const NameAnswer&) { answered = true; });
  }
  SystemResolver last(loop);
  bool done = false;
  last.ask("localhost", [&](const NameAnswer&) { done = true; });
  EXPECT_TRUE(run_until(loop, [&] { return done; }));
  EXPECT_FALSE(answered);
}

class SocketDialerNames : public testing::Test {
 protected:
  // A server on 127.0.0.`n`, all on one port.
  void serve(int n) {
    auto& listener =
        servers.emplace_back(std::make_unique<RespListener>(loop, engine, counters, context));
    const std::string host = "127.0.0." + std::to_string(n) + ":";
    ASSERT_TRUE(listener->listen(host + std::to_string(port)));
    if (port == 0) port = listener->port();
  }
  std::unique_ptr<Transport> dial(Recorder& events, std::int64_t timeout_ms = 1'000) {
    return dialer.dial({.host = "redis.test", .port = port}, timeout_ms, events);
  }
  template <class Condition>
  bool until(Condition condition) {
    return run_until(loop, [&] {
      resolver.answer_all(answer);
      return condition();
    });
  }
  bool connects(Recorder& events) {
    return until([&] { return !events.text.empty(); }) && events.text == "connected ";
  }
  std::size_t connections(std::size_t server) {
    for (int i = 0; i < 5; ++i) loop.run_once(0);
    return servers[server]->connections();
  }
  Loop loop;
  EchoEngine engine;
  Counters counters;
  PortContext context;
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<RespListener>> servers;
  ScriptedResolver resolver;
  std::string answer;  // of the name, to whoever asks
  EventNames log;
  SocketDialer dialer{loop, resolver, log, counters};
};

// What is tried when, and what is given up, has its tests in redis/name_dialer_test.cc.
TEST_F(SocketDialerNames, TheRulesRunOnSockets) {
  serve(1);
  serve(2);
  answer = "127.0.0.3 127.0.0.1 127.0.0.2";  // nobody is at the first
  Recorder first, second, third;
  const auto data = dial(first);
  ASSERT_TRUE(connects(first));
  auto pinned = dial(second);
  ASSERT_TRUE(connects(second));
  EXPECT_EQ(connections(0), 2u);
  pinned->close(true);  // it has failed there
  pinned = dial(third);
  ASSERT_TRUE(connects(third));
  EXPECT_EQ(first.text, "connected moved ");
  EXPECT_EQ(connections(0), 0u);
  EXPECT_EQ(connections(1), 1u);
  EXPECT_EQ(log.text, "");  // the name has not
}

// The process stood still (a pause of its host): what had been established when it goes on counts,
// however late that is seen. It was taken for an address that had not answered.
TEST_F(SocketDialerNames, WhatConnectsWhileTheProcessStandsStillIsUp) {
  const RawListener listener(8);
  port = listener.port;
  answer = "127.0.0.1 127.0.0.2";  // nobody is at the second
  Recorder events;
  const auto data = dial(events, 500);
  ASSERT_TRUE(until([&] { return listener.has_one(); }));
  while (real_now().mono_us - loop.now().mono_us < 500'000) ::poll(nullptr, 0, 50);
  EXPECT_TRUE(connects(events)) << events.detail;
}

}  // namespace
}  // namespace stayd
