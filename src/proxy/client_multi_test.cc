// Transactions as scripts.
#include <gtest/gtest.h>

#include "proxy/fake_port.h"

namespace stayd {
namespace {

using testing::FakeClient;
using testing::FakePort;
using testing::request;
using testing::requests;

constexpr std::string_view kAbort =
    "-EXECABORT Transaction discarded because of previous errors.\r\n";

TEST(Multi, GoesToTheEngineAsOneCallAndElementsAreConvertedOneByOne) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  EXPECT_EQ(client.feed(requests({"multi", "set a 1", "hgetall h", "exec"})),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  ASSERT_EQ(port.engine.calls.size(), 1u);
  ASSERT_EQ(port.engine.calls[0]->block.size(), 2u);
  EXPECT_FALSE(port.engine.calls[0]->pinned);
  port.engine.answer(0, "*2\r\n+OK\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
  EXPECT_EQ(client.take(), "*2\r\n+OK\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}

TEST(Multi, QueueTimeErrorsSpoilIt) {
  FakePort port;
  FakeClient client(port);
  for (const char* bad : {"foo", "get", "client foo", "monitor", "hello 3"}) {
    client.feed(requests({"multi", "get a", bad}));
    EXPECT_EQ(client.feed(request("exec")), kAbort) << bad;
  }
  EXPECT_TRUE(port.engine.seen.empty());
  EXPECT_EQ(client.feed(requests({"multi", "multi", "watch a", "exec"})),
            "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not "
            "allowed\r\n*0\r\n");
  EXPECT_EQ(client.feed(requests({"exec", "discard"})),
            "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
  EXPECT_EQ(client.feed(requests({"multi", "get a", "discard", "get b"})),
            "+OK\r\n+QUEUED\r\n+OK\r\n$5\r\nget b\r\n");
}

TEST(Multi, LocalCommandsInsideAreAnsweredByThePort) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"multi", "client id", "echo x", "select 4", "get k", "exec", "get z"}));
  ASSERT_EQ(port.engine.calls.size(), 1u);  // `get z` waits: its database depends on the block
  const Call& exec = *port.engine.calls[0];
  ASSERT_EQ(exec.block.size(), 4u);
  EXPECT_EQ(exec.block[0]->args[0], "PING");
  EXPECT_EQ(exec.block[3]->db, 4);
  port.engine.answer(0, "*4\r\n+PONG\r\n$1\r\nx\r\n+OK\r\n_\r\n");
  EXPECT_TRUE(client.take().ends_with("*4\r\n:1\r\n$1\r\nx\r\n+OK\r\n$-1\r\n"));
  ASSERT_EQ(port.engine.calls.size(), 1u);
  EXPECT_EQ(port.engine.calls[0]->db, 4);
  port.engine.answer(0, "_\r\n");
}

TEST(Multi, WatchPinsTheExecAndDiscardEndsTheWatch) {
  FakePort port;
  port.engine.immediate = false;
  FakeClient client(port);
  client.feed(requests({"watch a", "get a", "multi", "set a 2", "exec"}));
  ASSERT_EQ(port.engine.seen, std::vector<std::string>{"watch a"});
  port.engine.answer(0, "+OK\r\n");
  client.take();
  port.engine.answer(0, "$1\r\n1\r\n");
  EXPECT_EQ(client.take(), "$1\r\n1\r\n+OK\r\n+QUEUED\r\n");
  ASSERT_EQ(port.engine.calls.size(), 1u);
  EXPECT_TRUE(port.engine.calls[0]->pinned);
  port.engine.answer(0, "_\r\n");
  EXPECT_EQ(client.take(), "*-1\r\n");

  port.engine.immediate = true;
  port.engine.next_reply = "+OK\r\n";
  port.engine.seen.clear();
  EXPECT_EQ(client.feed(requests({"watch a", "multi", "set a 3", "discard"})),
            "+OK\r\n+OK\r\n+QUEUED\r\n+OK\r\n");
  EXPECT_EQ(port.engine.seen, (std::vector<std::string>{"watch a", "UNWATCH"}));
}

TEST(Multi, ABlockThatIsTooLargeIsRefused) {
  FakePort port;
  port.context.limits.max_block = 2;
  FakeClient client(port);
  EXPECT_TRUE(
      client.feed(requests({"multi", "get a", "get b", "get c", "exec"})).ends_with(kAbort));
}

}  // namespace
}  // namespace stayd
