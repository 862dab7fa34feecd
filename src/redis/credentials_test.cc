// Rotation of passwords as scripts: a link, and a Redis that says what the test lets it say.
#include "redis/credentials.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "redis/fake_dialer_test.h"
#include "redis/link.h"

namespace stayd {
namespace {

constexpr const char* kWrongPass =
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
constexpr const char* kNoAuth = "-NOAUTH HELLO must be called with the client already authenti\r\n";
constexpr const char* kHello = "%1\r\n$2\r\nid\r\n:7\r\n*2\r\n:1\r\n:0\r\n";
constexpr const char* kPrimary = "$13\r\nrole:master\r\n\r\n";

class CredentialsTest : public ::testing::Test,
                        public UpstreamEvents,
                        public EventSink,
                        public PasswordSource {
 protected:
  CredentialsTest() { credentials.set_source(this, "redis.password_file"); }

  // Ticks until something is dialled, and lets it connect; how long that took.
  std::int64_t ms_until_dialled() {
    const auto before = dialer.dialled.size();
    const auto began_us = now.mono_us;
    while (dialer.dialled.size() == before && now.mono_us - began_us < 60'000'000) {
      now.mono_us += 5'000;
      link.on_tick(now);
    }
    dialer.wire.sent.clear();
    dialer.wire.events->on_connected();
    return (now.mono_us - began_us) / 1'000;
  }
  // What the present connection has logged in with.
  std::string login() {
    const auto words = words_of(dialer.wire.sent);
    return words.substr(8, words.find(" SETNAME") - std::min<std::size_t>(8, words.size()));
  }
  void answer(const char* bytes) { dialer.wire.events->on_bytes(bytes); }
  void succeed() {
    answer(kHello);
    answer(kPrimary);
    EXPECT_TRUE(link.up());
  }
  bool told(std::string_view name) const {
    return std::ranges::any_of(events, [&](const std::string& e) { return e == name; });
  }

  void look(Now, bool refused) override { (refused ? refusals : looks) += 1; }
  void on_event(const Event& event) override { events.emplace_back(event.name); }
  void on_upstream_up(const GateFacts&) override {}
  void on_upstream_down(bool, std::string_view why) override { cause = why; }
  void on_upstream_push(std::string_view) override {}

  LinkOptions options() {
    LinkOptions out;
    out.credentials = &credentials;
    return out;
  }

  FakeDialer dialer;
  Counters counters;
  Random random{1};
  Now now{1'000'000, 0};
  int looks = 0, refusals = 0;
  std::vector<std::string> events;
  std::string cause;
  Credentials credentials{"app", *this, counters};
  Link link{options(), dialer, *this, counters, random};
};

TEST_F(CredentialsTest, NothingIsDialledBeforeAPasswordIsKnown) {
  link.start(now);
  for (int i = 0; i < 1'000; ++i) link.on_tick({now.mono_us += 5'000, 0});
  EXPECT_EQ(dialer.dialled, "");
  EXPECT_EQ(cause, "");
  credentials.fail("exit code 1");
  EXPECT_TRUE(told("password_unreadable"));
  looks = 0;
  for (int i = 0; i < 1'000; ++i) link.on_tick({now.mono_us += 5'000, 0});
  EXPECT_EQ(dialer.dialled, "");
  EXPECT_EQ(cause, "no password: exit code 1");
  EXPECT_GE(looks, 4);
  EXPECT_LE(looks, 11);
  credentials.offer("secret");
  EXPECT_EQ(ms_until_dialled(), 5);
  EXPECT_EQ(login(), "AUTH app secret");
  succeed();
}

TEST_F(CredentialsTest, APasswordThatIsReadDuringTheConnectIsUsed) {
  credentials.offer("old");
  link.start(now);
  link.on_tick(now);
  credentials.offer("new");
  dialer.wire.events->on_connected();
  EXPECT_EQ(login(), "AUTH app new");
  EXPECT_TRUE(told("password_changed"));
}

TEST_F(CredentialsTest, ARefusedLoginWaitsForASecondAtLeast) {
  credentials.offer("wrong");
  link.start(now);
  ms_until_dialled();
  for (int i = 0; i < 20; ++i) {
    answer(i % 2 == 0 ? kWrongPass : kNoAuth);
    const auto waited_ms = ms_until_dialled();
    EXPECT_GE(waited_ms, 1'000);
    EXPECT_LE(waited_ms, 2'010);
  }
  EXPECT_EQ(counters.logins_refused, 20u);
  EXPECT_EQ(refusals, 20);
}

TEST_F(CredentialsTest, ANewPasswordAfterARefusalIsTriedAtOnce) {
  credentials.offer("wrong");
  link.start(now);
  ms_until_dialled();
  answer(kWrongPass);
  credentials.offer("right");
  EXPECT_LE(ms_until_dialled(), 10);
  EXPECT_EQ(login(), "AUTH app right");
}

// F18: the new one is in place here, and Redis does not know it yet.
TEST_F(CredentialsTest, TheOneBeforeIsTriedOnce) {
  credentials.offer("old");
  link.start(now);
  ms_until_dialled();
  succeed();
  credentials.offer("new");
  link.condemn("lost");
  ms_until_dialled();
  EXPECT_EQ(login(), "AUTH app new");
  answer(kWrongPass);
  EXPECT_LE(ms_until_dialled(), 10);
  EXPECT_EQ(login(), "AUTH app old");
  EXPECT_FALSE(told("old_password_used"));
  succeed();
  EXPECT_TRUE(told("old_password_used"));
  EXPECT_EQ(counters.old_password_logins, 1u);

  // Later connections do not ask for a refusal first ...
  link.condemn("lost");
  ms_until_dialled();
  EXPECT_EQ(login(), "AUTH app old");
  // ... until the old one is refused: then the new one is tried at once.
  answer(kWrongPass);
  EXPECT_LE(ms_until_dialled(), 10);
  EXPECT_EQ(login(), "AUTH app new");
  succeed();
}

TEST_F(CredentialsTest, BothRefusedIsNoTightLoop) {
  credentials.offer("old");
  credentials.offer("new");
  link.start(now);
  ms_until_dialled();
  const auto began_us = now.mono_us;
  int refused = 0;
  for (; now.mono_us - began_us < 30'000'000; ++refused) {
    answer(kWrongPass);
    ms_until_dialled();
  }
  EXPECT_LE(refused, 60);
  EXPECT_GE(refused, 30);
}

// A probe that gets in with the new one ends the use of the old one.
TEST_F(CredentialsTest, AnAcceptedNewPasswordEndsTheUseOfTheOldOne) {
  credentials.offer("old");
  credentials.offer("new");
  EXPECT_TRUE(credentials.refused(credentials.login(), now));
  EXPECT_EQ(credentials.login().password, "old");
  EXPECT_EQ(credentials.newest_login().password, "new");
  credentials.accepted(credentials.newest_login());
  EXPECT_EQ(credentials.login().password, "new");
}

TEST_F(CredentialsTest, TheSameTroubleIsToldOnce) {
  credentials.offer("good");
  credentials.fail("exit code 1");
  credentials.fail("exit code 1");
  EXPECT_EQ(events.size(), 1u);
  EXPECT_EQ(credentials.login().password, "good");
  EXPECT_EQ(counters.password_read_failures, 2u);
  credentials.offer("good");
  credentials.fail("exit code 1");
  EXPECT_EQ(events.size(), 2u);
}

// ElastiCache ends a connection whose login is 12 h old, and takes a token for 15 min.
TEST_F(CredentialsTest, AConnectionLogsInAgainBeforeItsTimeIsOver) {
  constexpr std::int64_t kHourUs = 3'600'000'000;
  credentials.set_connection_life(12 * kHourUs / 1'000);
  credentials.renew("token1", true);
  link.start(now);
  ms_until_dialled();
  EXPECT_EQ(login(), "AUTH app token1");
  succeed();
  for (int i = 2; i < 10; ++i) {
    const auto began_us = now.mono_us;
    credentials.renew("token" + std::to_string(i), false);
    dialer.wire.sent.clear();
    while (dialer.wire.sent.empty()) link.on_tick({now.mono_us += 60'000'000, 0});
    EXPECT_EQ(words_of(dialer.wire.sent), "AUTH app token" + std::to_string(i));
    EXPECT_GE(now.mono_us - began_us, 6 * kHourUs - 60'000'000);
    EXPECT_LE(now.mono_us - began_us, 11 * kHourUs + 60'000'000);
    answer("+OK\r\n");
  }
  EXPECT_TRUE(link.up());
  EXPECT_TRUE(events.empty()) << events[0];
}

TEST_F(CredentialsTest, ARefusedRenewalIsTriedAgainAndCutsNothing) {
  credentials.set_connection_life(3'600'000);
  credentials.renew("token", true);
  link.start(now);
  ms_until_dialled();
  succeed();
  now.mono_us += 3'600'000'000;
  link.on_tick(now);
  for (int i = 0; i < 3; ++i) {
    answer(kWrongPass);
    EXPECT_TRUE(link.up());
    dialer.wire.sent.clear();
    link.on_tick({now.mono_us += 59'000'000, 0});
    EXPECT_EQ(dialer.wire.sent, "");
    link.on_tick({now.mono_us += 2'000'000, 0});
    EXPECT_EQ(words_of(dialer.wire.sent), "AUTH app token");
  }
  answer("+OK\r\n");
  link.on_tick({now.mono_us += 600'000'000, 0});
  EXPECT_EQ(counters.logins_refused, 3u);
}

// A client's blocking command may wait for longer than the login: its deadline stays.
TEST_F(CredentialsTest, ARenewalHastensNothing) {
  struct Handler final : ReplyHandler {
    void on_upstream_reply(std::uint64_t, std::string_view) override { ++replies; }
    void on_upstream_lost(std::uint64_t) override { ++lost; }
    int replies = 0, lost = 0;
  } handler;
  credentials.set_connection_life(3'600'000);
  credentials.renew("token", true);
  link.start(now);
  ms_until_dialled();
  succeed();
  std::string request;
  append_request(request, {"BLPOP", "q", "0"});
  link.send(request, -1, handler, 0, now.mono_us + 7'200'000'000, 1, Order::strict);
  for (int i = 0; i < 7'000; ++i) link.on_tick({now.mono_us += 1'000'000, 0});
  EXPECT_TRUE(link.up());
  answer("*2\r\n$1\r\nq\r\n$1\r\nv\r\n");
  EXPECT_EQ(handler.replies, 1);
  EXPECT_EQ(handler.lost, 0);
}

// Two links that wait would wake each other for ever.
TEST_F(CredentialsTest, AnotherTokenOfTheSameKeysIsNoReasonToTryAtOnce) {
  credentials.renew("token1", true);
  link.start(now);
  ms_until_dialled();
  answer(kWrongPass);
  credentials.renew("token2", false);
  EXPECT_GE(ms_until_dialled(), 1'000);
  answer(kWrongPass);
  credentials.renew("token3", true);
  EXPECT_LE(ms_until_dialled(), 10);
}

TEST_F(CredentialsTest, WithoutAPasswordNoneIsSent) {
  credentials.offer("");
  link.start(now);
  ms_until_dialled();
  EXPECT_TRUE(words_of(dialer.wire.sent).starts_with("HELLO 3 SETNAME")) << dialer.wire.sent;
}

}  // namespace
}  // namespace stayd
