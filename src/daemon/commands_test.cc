// The subcommands against a server of canned answers and a real ledger.
#include "daemon/commands.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "base/hlc.h"
#include "daemon/at_rest_keys.h"
#include "daemon/blocking_client.h"
#include "store/ledger/ledger.h"

namespace stayd {
namespace {

// Listens on a free port and answers each connection's first bytes with `answer`, then closes.
class CannedServer {
 public:
  explicit CannedServer(std::string answer) : answer_(std::move(answer)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~CannedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void serve() {
    for (;;) {
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      char buffer[4096];
      if (::recv(client, buffer, sizeof buffer, 0) > 0) {
        (void)::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
      ::close(client);
    }
  }
  std::string answer_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "stayd-commands-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    loaded_.config = *parse_config("");
    loaded_.config.ledger.path = folder_ + "/ledger";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void http_at(const std::string& address) { loaded_.config.http_address = parse_address(address); }
  void redis_at(const std::string& address) {
    loaded_.config.redis.target.endpoint = *parse_address(address);
  }

  std::string folder_;
  LoadedConfig loaded_;
  CommandLine line_;
  std::ostringstream out_, err_;
  Terminal terminal_{out_, err_};
};

constexpr const char* kStatus =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    "{\"version\":\"1.2.3\",\"adoption_complete\":true,\"adopted\":7}";

TEST_F(Commands, StatusAsTableAndJson) {
  const CannedServer server(kStatus);
  http_at(server.address());
  EXPECT_EQ(run_status(loaded_.config, line_, terminal_), 0) << err_.str();
  EXPECT_NE(out_.str().find("stayd       1.2.3"), std::string::npos) << out_.str();
  out_.str("");
  line_.json = true;
  EXPECT_EQ(run_status(loaded_.config, line_, terminal_), 0);
  EXPECT_TRUE(out_.str().starts_with("{\"version\""));
}

TEST_F(Commands, BackfillEndsWhenItIsComplete) {
  const CannedServer server(kStatus);
  http_at(server.address());
  line_.json = true;
  EXPECT_EQ(run_backfill(loaded_.config, line_, terminal_), 0) << err_.str();
  EXPECT_TRUE(out_.str().starts_with("{\"complete\":true")) << out_.str();
}

TEST_F(Commands, NobodyToAsk) {
  std::string address;
  {
    const CannedServer gone("");
    address = gone.address();
  }
  http_at(address);
  EXPECT_EQ(run_status(loaded_.config, line_, terminal_), 1);
  EXPECT_EQ(err_.str(), "stayd: no stayd answers: " + address + ": Connection refused\n");
  loaded_.config.http_address.reset();
  EXPECT_EQ(run_status(loaded_.config, line_, terminal_), 1);
}

TEST_F(Commands, StrangersAreNotTakenForStayd) {
  for (const char* answer : {"hello", "HTTP/1.1 500 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n[]", ""}) {
    const CannedServer server(answer);
    http_at(server.address());
    EXPECT_EQ(run_backfill(loaded_.config, line_, terminal_), 1) << answer;
    EXPECT_EQ(run_status(loaded_.config, line_, terminal_), 1) << answer;
  }
}

TEST_F(Commands, CheckOfARedisThatRefuses) {
  const CannedServer server("-NOAUTH Authentication required.\r\n");
  redis_at(server.address());
  EXPECT_EQ(run_check(loaded_, terminal_), 1);
  EXPECT_NE(out_.str().find("PROBLEM redis       MULTI: NOAUTH Authentication required."),
            std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("ok      ledger"), std::string::npos) << out_.str();
}

TEST_F(Commands, CheckOfSomethingThatIsNotRedis) {
  const CannedServer server("HTTP/1.1 400 Bad Request\r\n\r\n");
  redis_at(server.address());
  EXPECT_EQ(run_check(loaded_, terminal_), 1);
  EXPECT_NE(out_.str().find("PROBLEM redis"), std::string::npos) << out_.str();
}

struct NoWaker : Waker {
  void wake() override {}
};

class LedgerCommands : public Commands {
 protected:
  void fill() {
    NoWaker waker;
    LedgerOptions options;
    options.path = loaded_.config.ledger.path;
    options.at_rest = AtRestKeys::read(loaded_.config.at_rest).value();
    options.wall_ms = [] { return std::int64_t{1'767'323'045'678}; };
    auto ledger = Ledger::open(options, waker);
    ASSERT_TRUE(ledger) << ledger.error().message;
    put(**ledger, 0, "sess:1", "hello");
    put(**ledger, 0, "sess:2", std::string("\xff\x00", 2));
    put(**ledger, 3, "other", "x");
    Mutation tomb;
    tomb.kind = Mutation::Kind::tomb;
    tomb.key = full_key(0, "gone");
    tomb.hlc = ++hlc_;
    tomb.tomb_until_ms = 9'000'000'000'000;
    (*ledger)->apply_one(tomb, 0, Durability::synced);
    (*ledger)->submit();
    (*ledger)->close();
  }
  void put(Ledger& ledger, int db, std::string_view key, std::string value) {
    Mutation mutation;
    mutation.key = full_key(db, key);
    mutation.hlc = ++hlc_;
    mutation.record.value = std::move(value);
    ledger.apply_one(mutation, 0, Durability::written);
  }
  std::string run(CommandLine::Command command) {
    line_.command = command;
    out_.str("");
    EXPECT_EQ(run_ledger(loaded_.config, line_, terminal_), 0) << err_.str();
    return out_.str();
  }
  Hlc hlc_ = hlc_from_wall_ms(1'767'323'045'678);
};

TEST_F(LedgerCommands, ListGetExport) {
  using Command = CommandLine::Command;
  fill();
  EXPECT_EQ(run(Command::ledger_ls),
            "0  live   string  -                         sess:1\n"
            "0  live   string  -                         sess:2\n"
            "3  live   string  -                         other\n");
  line_.match = "sess:*";
  line_.limit = 1;
  EXPECT_EQ(run(Command::ledger_ls), "0  live   string  -                         sess:1\n");
  line_ = {};
  line_.db = 3;
  EXPECT_EQ(run(Command::ledger_ls), "3  live   string  -                         other\n");
  line_ = {};
  line_.tombs = true;
  const std::string tombs = run(Command::ledger_ls);
  EXPECT_TRUE(tombs.starts_with("0  tomb")) << tombs;
  EXPECT_TRUE(tombs.ends_with("  gone\n")) << tombs;
  line_ = {};
  const std::string exported = run(Command::ledger_export);
  EXPECT_EQ(std::count(exported.begin(), exported.end(), '\n'), 3);
  EXPECT_NE(exported.find("\"value\":{\"base64\":\"/wA=\"}"), std::string::npos) << exported;
  line_.key = "sess:1";
  EXPECT_NE(run(Command::ledger_get).find("\"value\":\"hello\""), std::string::npos);
}

TEST_F(LedgerCommands, StatsOfALedgerInClear) {
  fill();
  EXPECT_EQ(run(CommandLine::Command::ledger_stats),
            "live               3\ntombstones         1\nvalues in clear    3\n"
            "master key         none\n");
}

TEST_F(LedgerCommands, AnEncryptedLedgerIsReadWithItsKeyOnly) {
  loaded_.config.at_rest.encryption_key = std::string(64, 'a');
  fill();
  const std::string stats = run(CommandLine::Command::ledger_stats);
  EXPECT_NE(stats.find("values in clear    0\nsealed, data key 1 3\n"), std::string::npos) << stats;
  line_.key = "sess:1";
  EXPECT_NE(run(CommandLine::Command::ledger_get).find("\"value\":\"hello\""), std::string::npos);
  loaded_.config.at_rest.encryption_key = std::string(64, 'b') + "," + std::string(63, 'a');
  EXPECT_EQ(run_ledger(loaded_.config, line_, terminal_), 1);
  EXPECT_EQ(err_.str(),
            "stayd: [at_rest] encryption_key: key 2 is not 32 bytes as 64 hexadecimal digits or as "
            "base64 (openssl rand -hex 32)\n");
}

TEST_F(LedgerCommands, WhatIsNotThere) {
  line_.command = CommandLine::Command::ledger_ls;
  EXPECT_EQ(run_ledger(loaded_.config, line_, terminal_), 1);
  EXPECT_TRUE(err_.str().starts_with("stayd: ")) << err_.str();
  fill();
  line_.command = CommandLine::Command::ledger_get;
  line_.key = "none";
  EXPECT_EQ(run_ledger(loaded_.config, line_, terminal_), 1);
  EXPECT_NE(err_.str().find("the ledger knows no key \"none\" in database 0"), std::string::npos);
}

}  // namespace
}  // namespace stayd
