#include "daemon/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace stayd {
namespace {

// systemd's end of the notification socket.
class Receiver {
 public:
  explicit Receiver(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0) << strerror(errno);
  }
  ~Receiver() { ::close(fd_); }
  std::string next() {
    char buffer[512];
    const auto size = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
    return size < 0 ? "(nothing)" : std::string(buffer, static_cast<std::size_t>(size));
  }

 private:
  int fd_;
};

TEST(Notifier, SpeaksToARealSocket) {
  std::string folder = testing::TempDir() + "stayd-notify-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/notify";
  {
    Receiver receiver(path);
    Notifier notifier(path);
    EXPECT_TRUE(notifier.ready("serving"));
    EXPECT_EQ(receiver.next(), "READY=1\nSTATUS=serving");
    EXPECT_TRUE(notifier.status("Redis is out\nREADY=0"));
    EXPECT_EQ(receiver.next(), "STATUS=Redis is out READY=0");
    EXPECT_TRUE(notifier.watchdog());
    EXPECT_EQ(receiver.next(), "WATCHDOG=1");
    EXPECT_TRUE(notifier.reloading(7));
    EXPECT_EQ(receiver.next(), "RELOADING=1\nMONOTONIC_USEC=7");
    EXPECT_TRUE(notifier.stopping());
    EXPECT_EQ(receiver.next(), "STOPPING=1\nSTATUS=draining");
  }
  std::filesystem::remove_all(folder);
}

TEST(Notifier, AbstractSocket) {
  const std::string name = "@stayd-notify-test-" + std::to_string(getpid());
  Receiver receiver(name);
  Notifier notifier(name);
  EXPECT_TRUE(notifier.watchdog());
  EXPECT_EQ(receiver.next(), "WATCHDOG=1");
}

TEST(Notifier, WithoutSystemdNothingHappens) {
  EXPECT_FALSE(Notifier("").ready("x"));
  EXPECT_FALSE(Notifier("/nonexistent/notify").ready("x"));
  EXPECT_FALSE(Notifier(std::string(200, 'x')).ready("x"));
}

TEST(Watchdog, HalfOfWhatSystemdWaits) {
  EXPECT_EQ(watchdog_interval_us({{"WATCHDOG_USEC", "10000000"}}, 7), 5'000'000);
  EXPECT_EQ(watchdog_interval_us({{"WATCHDOG_USEC", "10"}, {"WATCHDOG_PID", "7"}}, 7), 5);
  EXPECT_FALSE(watchdog_interval_us({{"WATCHDOG_USEC", "10"}, {"WATCHDOG_PID", "8"}}, 7));
  EXPECT_FALSE(watchdog_interval_us({{"WATCHDOG_USEC", "x"}}, 7));
  EXPECT_FALSE(watchdog_interval_us({}, 7));
}

TEST(PassedSockets, ByNameAndByOrder) {
  const auto named = passed_sockets(
      {{"LISTEN_FDS", "3"}, {"LISTEN_PID", "7"}, {"LISTEN_FDNAMES", "http:resp:resp"}}, 7);
  EXPECT_EQ(named.http, std::vector<int>{3});
  EXPECT_EQ(named.resp, (std::vector<int>{4, 5}));

  const auto unnamed = passed_sockets(
      {{"LISTEN_FDS", "2"}, {"LISTEN_PID", "7"}, {"LISTEN_FDNAMES", "stayd.socket:stayd.socket"}},
      7);
  EXPECT_EQ(unnamed.resp, std::vector<int>{3});
  EXPECT_EQ(unnamed.http, std::vector<int>{4});
}

TEST(PassedSockets, SomebodyElsesAreLeftAlone) {
  EXPECT_TRUE(passed_sockets({{"LISTEN_FDS", "1"}, {"LISTEN_PID", "8"}}, 7).resp.empty());
  EXPECT_TRUE(passed_sockets({{"LISTEN_FDS", "1"}}, 7).resp.empty());
  EXPECT_TRUE(passed_sockets({{"LISTEN_FDS", "x"}, {"LISTEN_PID", "7"}}, 7).resp.empty());
  EXPECT_TRUE(passed_sockets({{"LISTEN_FDS", "9999"}, {"LISTEN_PID", "7"}}, 7).resp.empty());
  EXPECT_TRUE(passed_sockets({}, 7).resp.empty());
}

}  // namespace
}  // namespace stayd
