// The system's resolver, on the one name that every host knows; and what the dialer makes of names
// that a scripted one answers.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/real_time.h"
#include "net/resp_listener.h"
#include "net/socket_dialer.h"
#include "net/system_resolver.h"

namespace stayd {
namespace {

template <class Condition>
bool run_until(Loop& loop, Condition condition) {
  const Now start = loop.now();
  while (!condition()) {
    loop.run_once(20);
    if (loop.now().mono_us - start.mono_us > 5'000'000) return false;
  }
  return true;
}

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

struct Echo final : CallHandler {
  void submit(Call& call) override { call.sink->on_reply(call, "+OK\r\n"); }
  bool redis_answers() const override { return true; }
  void client_gone(std::uint64_t) override {}
};

// Answers at once with what `words` says.
struct OneName final : NameResolver {
  explicit OneName(Loop& loop) : loop_(loop) {}
  void ask(const std::string&, Done done) override {
    loop_.post([answer = NameAnswer{answer, ""}, done = std::move(done)] { done(answer); });
  }
  Loop& loop_;
  Addresses answer;
};

// A server that is only a socket: the kernel takes connections, nobody accepts them.
class RawListener {
 public:
  RawListener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    const bool listens = ::bind(fd_, generic, size) == 0 && ::listen(fd_, 8) == 0;
    if (listens && getsockname(fd_, generic, &size) == 0) port = ntohs(address.sin_port);
  }
  ~RawListener() { ::close(fd_); }
  bool has_one() const {
    pollfd one{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 0) == 1;
  }
  std::uint16_t port = 0;

 private:
  int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

struct Log final : EventSink {
  void on_event(const Event& event) override { text += std::string(event.name) + " "; }
  std::string text;
};

struct Recorder final : TransportEvents {
  void on_connected() override { state = "connected"; }
  void on_bytes(std::string_view) override {}
  void on_closed(CloseReason reason, std::string_view detail) override {
    state = reason == CloseReason::moved ? "moved" : std::string(detail);
  }
  std::string state;
};

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
  bool connects(Recorder& events) {
    return run_until(loop, [&] { return !events.state.empty(); }) && events.state == "connected";
  }
  std::size_t connections(std::size_t server) {
    for (int i = 0; i < 5; ++i) loop.run_once(0);
    return servers[server]->connections();
  }
  static Addresses hosts(std::initializer_list<const char*> texts) {
    Addresses out;
    for (const char* text : texts) out.push_back(Address::numeric(text));
    return out;
  }

  Loop loop;
  Echo engine;
  Counters counters;
  PortContext context;
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<RespListener>> servers;
  OneName name{loop};
  Log log;
  SocketDialer dialer{loop, name, log, counters};
};

// What is tried when, and what is given up, has its tests in redis/name_dialer_test.cc.
TEST_F(SocketDialerNames, TheRulesRunOnSockets) {
  serve(1);
  serve(2);
  name.answer = hosts({"127.0.0.3", "127.0.0.1", "127.0.0.2"});  // nobody is at the first
  Recorder first, second, third;
  const auto data = dial(first);
  ASSERT_TRUE(connects(first));
  auto pinned = dial(second);
  ASSERT_TRUE(connects(second));
  EXPECT_EQ(connections(0), 2u);
  pinned->close(true);  // it has failed there
  pinned = dial(third);
  ASSERT_TRUE(connects(third));
  EXPECT_EQ(first.state, "moved");
  EXPECT_EQ(connections(0), 0u);
  EXPECT_EQ(connections(1), 1u);
  EXPECT_EQ(log.text, "");  // the name has not
}

// The process stood still (a pause of its host): what had been established when it goes on counts,
// however late that is seen. It was taken for an address that had not answered.
TEST_F(SocketDialerNames, WhatConnectsWhileTheProcessStandsStillIsUp) {
  const RawListener listener;
  port = listener.port;
  name.answer = hosts({"127.0.0.1", "127.0.0.2"});  // nobody is at the second
  Recorder events;
  const auto data = dial(events, 500);
  ASSERT_TRUE(run_until(loop, [&] { return listener.has_one(); }));
  while (real_now().mono_us - loop.now().mono_us < 500'000) ::poll(nullptr, 0, 50);
  EXPECT_TRUE(connects(events)) << events.state;
}

}  // namespace
}  // namespace stayd
