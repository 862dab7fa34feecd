// Order, lanes, back-pressure and limits of one client.
#include "proxy/client_session.h"

#include <gtest/gtest.h>

#include "proxy/fake_port.h"
#include "resp/reply.h"

namespace stayd {
namespace {

using testing::FakeClient;
using testing::FakePort;
using testing::request;
using testing::requests;

TEST(ClientSession, AnswersInOrderAcrossLocalAndLateReplies) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  EXPECT_EQ(client.feed(requests({"get a", "ping", "get b", "echo x"})), "");
  ASSERT_EQ(port.engine.calls.size(), 2u);
  port.engine.answer(1, "$1\r\nB\r\n");
  EXPECT_EQ(client.take(), "");
  port.engine.answer(0, "$1\r\nA\r\n");
  EXPECT_EQ(client.take(), "$1\r\nA\r\n+PONG\r\n$1\r\nB\r\n$1\r\nx\r\n");
  EXPECT_EQ(port.context.calls.in_use(), 0u);
}

TEST(ClientSession, TheSameBytesSplitAnywhereGiveTheSameReplies) {
  const std::string script =
      requests({"HELLO 3", "SET k v", "GET k", "MULTI", "GET k", "PING", "EXEC", "SELECT 3",
                "CLIENT ID", "CLIENT REPLY SKIP", "PING", "GET z", "nonsense a", "ECHO", "QUIT"}) +
      "get late\r\n";
  std::string expected;
  for (std::size_t step = 0; step <= script.size(); ++step) {
    FakePort port;
    FakeClient client(port);
    std::string out;
    if (step == 0) {
      for (const char c : script) out += client.feed(std::string_view(&c, 1));
    } else {
      out += client.feed(script.substr(0, step));
      out += client.feed(script.substr(step));
    }
    if (step == 0) expected = out;
    ASSERT_EQ(out, expected) << "split at " << step;
    ASSERT_TRUE(client.io.closed);
  }
  EXPECT_NE(expected.find("+QUEUED\r\n"), std::string::npos);
  EXPECT_EQ(expected.find("late"), std::string::npos);
}

TEST(ClientSession, InlineCommandsWork) {
  FakePort port;
  FakeClient client(port);
  EXPECT_EQ(client.feed("get  \"a b\"\r\n\r\nPING\n"), "$7\r\nget a b\r\n+PONG\r\n");
  ASSERT_EQ(port.engine.seen, std::vector<std::string>{"get a b"});
}

TEST(ClientSession, NullsAndMapsFollowTheProtocolSpokenWhenTheCommandCame) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"get a", "hello 3", "get b"}));
  port.engine.answer(0, "_\r\n");
  port.engine.answer(0, "_\r\n");
  const std::string out = client.take();
  EXPECT_TRUE(out.starts_with("$-1\r\n%7\r\n")) << out;
  EXPECT_TRUE(out.ends_with("_\r\n")) << out;
}

// What Redis loses is done by the ledger, later than what it has executed since.
TEST(ClientSession, OneKeysCommandsGoOneAfterTheOther) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"get a", "get a", "set b 1", "set a 2", "get c"}));
  EXPECT_EQ(port.engine.seen, (std::vector<std::string>{"get a", "get a", "set b 1"}));
  port.engine.answer(0, "_\r\n");
  client.take();
  EXPECT_EQ(port.engine.seen.size(), 3u);  // the other read is still under way
  port.engine.answer(0, "_\r\n");
  client.take();
  ASSERT_EQ(port.engine.seen.size(), 5u);
  client.feed(requests({"multi", "get x", "get a", "exec", "set x 1"}));
  EXPECT_EQ(port.engine.calls.size(), 3u);  // set b, set a, get c: the block waits
  port.engine.answer(1, "+OK\r\n");
  client.take();
  EXPECT_EQ(port.engine.seen.back(), "exec");
  EXPECT_EQ(port.engine.calls.size(), 3u);  // set b, get c, exec: set x waits
  port.engine.answer_all();
  client.take();
  EXPECT_EQ(port.engine.seen.back(), "set x 1");
  port.engine.answer_all();
}

TEST(ClientSession, TheSameKeyOfAnotherDatabaseOrClientIsAnother) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  FakeClient other(port, "127.0.0.1:5001");
  client.feed(requests({"set a 1", "select 3", "set a 2"}));
  other.feed(requests({"set a 3"}));
  EXPECT_EQ(port.engine.seen.size(), 3u);
  port.engine.answer_all();
}

TEST(ClientSession, OtherLanesWaitUntilNothingIsUnderWay) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"get a", "keys *", "get b"}));
  ASSERT_EQ(port.engine.seen.size(), 1u);
  port.engine.answer(0, "$1\r\n1\r\n");
  EXPECT_EQ(client.take(), "$1\r\n1\r\n");
  ASSERT_EQ(port.engine.seen.size(), 2u);  // keys alone; `get b` waits for it
  port.engine.answer(0, "*0\r\n");
  EXPECT_EQ(client.take(), "*0\r\n");
  ASSERT_EQ(port.engine.seen.size(), 3u);
  port.engine.answer(0, "$1\r\n2\r\n");
  EXPECT_EQ(client.take(), "$1\r\n2\r\n");
}

TEST(ClientSession, AClientThatGoesOrphansItsCalls) {
  FakePort port;
  port.engine.immediate = false;
  {
    FakeClient client(port);
    client.feed(requests({"get a", "ping", "get b"}));
  }
  EXPECT_EQ(port.engine.gone.size(), 1u);
  port.engine.answer(0, "$1\r\n1\r\n");
  port.engine.answer(0, "$1\r\n2\r\n");
  EXPECT_EQ(port.context.calls.in_use(), 0u);
  EXPECT_TRUE(port.context.sessions.empty());
}

TEST(ClientSession, StopsParsingAtTheOutstandingLimitAndPausesReading) {
  FakePort port;
  port.context.limits.max_outstanding = 4;
  port.engine.immediate = false;
  FakeClient client(port);
  std::string many;
  for (int i = 0; i < 4000; ++i) many += request("get aaaaaaaaaaaaaaaaaaaaaa");
  client.feed(many);
  EXPECT_EQ(port.engine.calls.size(), 4u);
  EXPECT_TRUE(client.io.paused);
  std::size_t answered = 0;
  while (!port.engine.calls.empty()) {
    port.engine.answer(0, "+x\r\n");
    answered += client.take().size() / 4;
  }
  EXPECT_EQ(answered, 4000u);
  EXPECT_FALSE(client.io.paused);
}

TEST(ClientSession, StopsParsingWhileOutputIsStuckAndClosesAfterTheGrace) {
  FakePort port;
  FakeClient client(port);
  client.io.stuck_bytes = 2u << 20;
  EXPECT_EQ(client.feed(request("get a")), "");
  client.io.stuck_bytes = 0;
  client.session->resume();
  EXPECT_EQ(client.take(), "$5\r\nget a\r\n");
  client.io.stuck_bytes = 10u << 20;
  port.context.now.mono_us = 1'000'000;
  client.session->check_limits();
  EXPECT_FALSE(client.io.closed);
  port.context.now.mono_us = 6'500'000;
  client.session->check_limits();
  EXPECT_TRUE(client.io.at_once);
}

TEST(ClientSession, OutputThatNobodyTakesIsClosed) {
  FakePort port;
  FakeClient client(port);
  client.io.stuck_bytes = 100u << 10;
  client.io.stuck_since_us = 1'000'000;
  port.context.now.mono_us = 5'900'000;
  client.session->check_limits();
  EXPECT_FALSE(client.io.closed);
  port.context.now.mono_us = 6'100'000;
  client.session->check_limits();
  EXPECT_TRUE(client.io.at_once);
}

TEST(ClientSession, ABegunRequestThatTakesTooLongIsClosed) {
  FakePort port;
  FakeClient idle(port), slow(port), large(port);
  port.context.now.mono_us = 1'000'000;
  idle.feed(request("get a"));
  slow.feed("*2\r\n$3\r\nget\r\n$1");
  large.feed("*2\r\n$3\r\nget\r\n$9000000\r\n" + std::string(3'000'000, 'x'));
  port.context.now.mono_us = 5'000'000;
  slow.feed("0");  // a byte now and then is no excuse
  port.context.now.mono_us = 6'100'000;
  for (FakeClient* client : {&idle, &slow, &large}) client->session->check_limits();
  EXPECT_FALSE(idle.io.closed);
  EXPECT_TRUE(slow.io.at_once);
  EXPECT_FALSE(large.io.closed);  // a second more for each MB
  port.context.now.mono_us = 10'000'000;
  large.session->check_limits();
  EXPECT_TRUE(large.io.at_once);
}

TEST(ClientSession, WhoHoldsMuchWaitsWhenThePoolIsUsedUp) {
  FakePort port;
  port.context.limits.buffer_pool = 200'000;
  FakeClient hog(port), large(port), small(port);
  hog.feed("*2\r\n$3\r\nget\r\n$9000000\r\n" + std::string(150'000, 'x'));
  EXPECT_FALSE(hog.io.paused);
  large.feed("*2\r\n$3\r\nget\r\n$9000000\r\n" + std::string(100'000, 'x'));
  hog.feed("x");
  EXPECT_TRUE(hog.io.paused);
  EXPECT_EQ(small.feed(request("get a")), "$5\r\nget a\r\n");
  large.session.reset();
  hog.session->check_limits();
  EXPECT_FALSE(hog.io.paused);
  hog.session.reset();
  EXPECT_EQ(port.context.buffered, 0u);
}

TEST(ClientSession, OneCallAtATimeWhenManyAreUnderWay) {
  FakePort port;
  port.context.limits.max_all_outstanding = 2;
  port.engine.immediate = false;
  FakeClient first(port), second(port);
  first.feed(request("get a") + request("get b") + request("get c"));
  second.feed(request("get d") + request("get e"));
  EXPECT_EQ(port.engine.seen, (std::vector<std::string>{"get a", "get b", "get d"}));
  port.engine.answer(2, "$1\r\nD\r\n");
  EXPECT_EQ(second.take(), "$1\r\nD\r\n");
  EXPECT_EQ(port.engine.seen.back(), "get e");
  while (!port.engine.calls.empty()) {
    port.engine.answer(0, "_\r\n");
    first.take();
    second.take();
  }
  EXPECT_EQ(port.engine.seen.back(), "get c");
}

TEST(ClientSession, ProtocolErrorsAnswerAndClose) {
  FakePort port;
  FakeClient client(port);
  const std::string out = client.feed("*1\r\n$x\r\n");
  EXPECT_TRUE(out.starts_with("-ERR Protocol error")) << out;
  EXPECT_TRUE(client.io.closed);
  EXPECT_EQ(port.counters.protocol_errors, 1u);
}

TEST(ClientSession, AnHttpRequestIsCutOff) {
  FakePort port;
  FakeClient client(port);
  EXPECT_EQ(client.feed("POST / HTTP/1.1\r\nHost: x\r\n\r\nset a b\r\n"), "");
  EXPECT_TRUE(client.io.closed);
  EXPECT_TRUE(port.engine.seen.empty());
}

TEST(ClientSession, EndOfInputWaitsForWhatIsUnderWayButNotForABlockedCommand) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient patient(port), blocked(port);
  patient.feed(request("get a"));
  patient.session->on_eof();
  EXPECT_FALSE(patient.io.closed);
  port.engine.answer(0, "$1\r\nA\r\n");
  EXPECT_EQ(patient.take(), "$1\r\nA\r\n");
  EXPECT_TRUE(patient.io.closed);
  blocked.feed(request("blpop q 0"));
  blocked.session->on_eof();
  EXPECT_TRUE(blocked.io.at_once);
  blocked.session.reset();
  port.engine.answer(0, "_\r\n");
}

TEST(ClientSession, ReplyOffOnKeepsOneReplyForRedbird) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"client reply off", "del k", "client reply on"}));
  port.engine.answer(0, ":1\r\n");
  EXPECT_EQ(client.take(), "+OK\r\n");
  port.engine.immediate = true;
  EXPECT_EQ(client.feed(requests({"client reply skip", "get a", "get b"})), "$5\r\nget b\r\n");
}

TEST(ClientSession, InfoOfALivingRedisIsMadeAStandaloneMaster) {
  FakePort port;
  std::string info;
  write_verbatim(info, "# Server\r\nredis_mode:cluster\r\nrole:slave\r\nloading:1\r\n");
  port.engine.next_reply = info;
  FakeClient client(port);
  const std::string out = client.feed(request("info"));
  EXPECT_EQ(out, "$57\r\n# Server\r\nredis_mode:standalone\r\nrole:master\r\nloading:1\r\n\r\n");
}

TEST(ClientSession, StartsInTheDatabaseOfTheUrlAndResetReturnsThere) {
  FakePort port;
  port.context.default_db = 3;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"get a", "select 5", "get b"}));
  ASSERT_EQ(port.engine.calls.size(), 2u);
  EXPECT_EQ(port.engine.calls[0]->db, 3);
  EXPECT_EQ(port.engine.calls[1]->db, 5);
  port.engine.answer(0, "_\r\n");
  port.engine.answer(0, "_\r\n");
  client.feed(requests({"reset", "get c"}));
  EXPECT_EQ(port.engine.calls.at(0)->db, 3);
  port.engine.answer(0, "_\r\n");
}

TEST(ClientSession, IsSmall) {
  EXPECT_LE(sizeof(ClientSession), 512u);
}

}  // namespace
}  // namespace stayd
