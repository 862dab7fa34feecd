// Commands the port answers itself: aligned pairs of command and exact reply, as
// redis-server 7.0.15 gives them unless the comment says otherwise.
#include <gtest/gtest.h>

#include "proxy/fake_port.h"

namespace stayd {
namespace {

using testing::FakeClient;
using testing::FakePort;
using testing::request;
using testing::requests;

constexpr std::string_view kHello2 =
    "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n"
    "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
    "$7\r\nmodules\r\n*0\r\n";

struct Row {
  std::string_view command;
  std::string_view reply;
};

void expect_rows(FakeClient& client, std::initializer_list<Row> rows) {
  for (const Row& row : rows)
    EXPECT_EQ(client.feed(request(row.command)), row.reply) << row.command;
}

TEST(LocalCommands, Table) {
  FakePort port;
  FakeClient client(port);
  expect_rows(
      client,
      {{"ping", "+PONG\r\n"},
       {"PING hi", "$2\r\nhi\r\n"},
       {"ping a b", "-ERR wrong number of arguments for 'ping' command\r\n"},
       {"echo x", "$1\r\nx\r\n"},
       {"select 15", "+OK\r\n"},
       {"select 16", "-ERR DB index is out of range\r\n"},
       {"select x", "-ERR value is not an integer or out of range\r\n"},
       {"hello", kHello2},
       {"hello 2", kHello2},
       {"hello 4", "-NOPROTO unsupported protocol version\r\n"},
       {"hello a", "-ERR Protocol version is not an integer or out of range\r\n"},
       {"hello 3 foo", "-ERR Syntax error in HELLO option 'foo'\r\n"},
       {"hello 2 auth a b", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
       {"client unblock asd", "-ERR value is not an integer or out of range\r\n"},
       {"client unblock 7 never", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"},
       {"client unblock 7", "$16\r\nclient unblock 7\r\n"},  // the engine's
       {"auth a",
        "-ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?\r\n"},
       {"client id", ":1\r\n"},
       {"client getname", "$-1\r\n"},
       {"client setname x", "+OK\r\n"},
       {"client getname", "$1\r\nx\r\n"},
       {"client setname \n",
        "-ERR Client names cannot contain spaces, newlines or special "
        "characters.\r\n"},
       {"client SETINFO LIB-NAME x", "+OK\r\n"},
       {"client no-evict on", "+OK\r\n"},
       {"client no-evict x", "-ERR syntax error\r\n"},
       {"client no-touch on", "+OK\r\n"},
       {"client getredir", ":-1\r\n"},
       {"client kill id 99", ":0\r\n"},
       {"client kill 1.1.1.1:2", "-ERR No such client\r\n"},
       {"client kill type lazy", "-ERR Unknown client type 'lazy'\r\n"},
       {"client kill type master", ":0\r\n"},
       {"client kill user nobody", "-ERR No such user 'nobody'\r\n"},
       {"client kill id x", "-ERR client-id should be greater than 0\r\n"},
       {"client kill a b", "-ERR syntax error\r\n"},
       {"client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"},
       {"client maint_notifications on",
        "-ERR unknown subcommand 'maint_notifications'. Try CLIENT HELP.\r\n"},
       {"client", "-ERR wrong number of arguments for 'client' command\r\n"},
       {"client pause 1", "-ERR stayd: 'client|pause' is not offered through stayd\r\n"},
       {"readonly", "-ERR This instance has cluster support disabled\r\n"},
       {"cluster nodes", "-ERR This instance has cluster support disabled\r\n"},
       {"sentinel masters",
        "-ERR unknown command 'sentinel', with args beginning with: 'masters' \r\n"},
       {"monitor", "-ERR stayd: 'monitor' is not offered through stayd\r\n"},
       {"get", "-ERR wrong number of arguments for 'get' command\r\n"},
       {"reset", "+RESET\r\n"},
       {"client getname", "$-1\r\n"}});
}

TEST(LocalCommands, WhileRedisIsOut) {
  FakePort port;
  port.engine.up = false;
  port.context.now.wall_ms = 1'700'000'000'123;
  FakeClient client(port);
  expect_rows(client,
              {{"role", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
               {"time", "*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n"},
               {"config get replica-read-only", "*2\r\n$17\r\nreplica-read-only\r\n$3\r\nyes\r\n"},
               {"config set notify-keyspace-events Egx", "+OK\r\n"},
               {"config set maxmemory 1", "-ERR stayd: Redis is unavailable\r\n"},
               {"slowlog get", "-ERR stayd: Redis is unavailable\r\n"},
               {"command", "*0\r\n"},
               {"command getkeys mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
               {"publish c x", ":0\r\n"}});
  const std::string info = client.feed(request("info"));
  for (const char* line : {"redis_version:7.0.15\r\n", "redis_mode:standalone\r\n",
                           "role:master\r\n", "loading:0\r\n", "cluster_enabled:0\r\n"}) {
    EXPECT_NE(info.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(client.feed(request("info replication")).find("redis_version"), std::string::npos);
  EXPECT_TRUE(port.engine.seen.empty());
  port.engine.up = true;
  client.feed(request("config get timeout"));
  EXPECT_EQ(port.engine.seen.size(), 1u);
}

TEST(LocalCommands, NothingWithoutPassword) {
  FakePort port;
  port.context.auth.password = "secret";
  port.context.auth.users["app"] = "pw";
  FakeClient client(port);
  constexpr std::string_view kNoAuth = "-NOAUTH Authentication required.\r\n";
  constexpr std::string_view kWrong =
      "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  expect_rows(client, {{"get a", kNoAuth},
                       {"ping", kNoAuth},
                       {"foo", "-ERR unknown command 'foo', with args beginning with: \r\n"},
                       {"get", "-ERR wrong number of arguments for 'get' command\r\n"},
                       {"multi", kNoAuth},
                       {"auth bad", kWrong},
                       {"auth secre", kWrong},
                       {"auth secrets", kWrong},
                       {"auth app secret", kWrong},
                       {"auth nobody secret", kWrong},
                       {"hello 3 auth default bad", kWrong},
                       {"auth secret", "+OK\r\n"},
                       {"ping", "+PONG\r\n"},
                       {"reset", "+RESET\r\n"},
                       {"ping", kNoAuth},
                       {"auth app pw", "+OK\r\n"},
                       {"ping", "+PONG\r\n"}});
  EXPECT_TRUE(port.engine.seen.empty());
  FakeClient stranger(port);
  EXPECT_TRUE(stranger.feed(request("hello 3")).starts_with("-NOAUTH HELLO must be called"));
  EXPECT_TRUE(stranger.feed("*11\r\n").starts_with("-ERR Protocol error"));
  EXPECT_TRUE(stranger.io.closed);
}

TEST(LocalCommands, NodeRedisHandshakeInOneWrite) {
  FakePort port;
  FakeClient client(port);
  const std::string out = client.feed(
      requests({"HELLO 3", "CLIENT SETINFO LIB-VER 6.3.0", "CLIENT SETINFO LIB-NAME node-redis",
                "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip"}));
  EXPECT_TRUE(out.starts_with("%7\r\n")) << out;
  EXPECT_TRUE(
      out.ends_with("*0\r\n+OK\r\n+OK\r\n-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. "
                    "Try CLIENT HELP.\r\n"))
      << out;
}

TEST(LocalCommands, ClientsSeeAndKillEachOther) {
  FakePort port;
  FakeClient first(port, "10.0.0.1:1"), second(port, "10.0.0.2:2");
  second.feed(request("hello 3 setname worker"));
  const std::string list = first.feed(request("client list"));
  EXPECT_NE(list.find("id=1 addr=10.0.0.1:1"), std::string::npos);
  EXPECT_NE(list.find("name=worker"), std::string::npos);
  EXPECT_EQ(first.feed(request("client kill addr 10.0.0.2:2")), ":1\r\n");
  EXPECT_TRUE(second.io.at_once);
  EXPECT_EQ(first.feed(request("client kill skipme no id 1")), ":1\r\n");
  EXPECT_TRUE(first.io.closed);
  EXPECT_FALSE(first.io.at_once);
}

}  // namespace
}  // namespace stayd
