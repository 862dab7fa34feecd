// Real programs: what they print, and all the ways in which they do not.
#include "daemon/password_command.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "daemon/units.h"

namespace stayd {
namespace {

std::string run(const std::string& script, const PasswordCommandLimits& limits = {}) {
  const auto result = run_password_command({"/bin/sh", "-c", script}, limits);
  return result ? *result : "error: " + result.error().message;
}

// Within 5 s it is gone, or waits for whoever inherited it to notice.
bool ends(int pid) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < until) {
    std::string state;
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    if (!std::getline(stat, state) || state.find(") Z") != std::string::npos) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(PasswordCommand, WhatItPrintsIsThePassword) {
  EXPECT_EQ(run("echo secret"), "secret");
  EXPECT_EQ(run("printf 'no end of line'"), "no end of line");
  EXPECT_EQ(run("printf 'dos\\r\\n'"), "dos");
  EXPECT_EQ(run("printf 'gr\\303\\274n\\n'"), "gr\303\274n");
  EXPECT_EQ(run("echo noise >&2; echo secret"), "secret");
}

TEST(PasswordCommand, ArgumentsReachItWithoutAShell) {
  const auto result = run_password_command({"/usr/bin/printf", "%s", "$HOME `ls` \"'"});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, "$HOME `ls` \"'");
}

TEST(PasswordCommand, EverythingElseIsAnErrorThatSaysWhy) {
  const struct {
    const char* script;
    const char* says;
  } cases[] = {
      {"exit 3", "error: /bin/sh: exit code 3"},
      {"echo secret; echo 'vault is\nsealed' >&2; exit 2",
       "error: /bin/sh: exit code 2: vault is sealed"},
      {"kill -9 $$", "error: /bin/sh: ended by signal 9"},
      {"true", "error: /bin/sh: it printed nothing"},
      {"echo", "error: /bin/sh: it printed nothing"},
      {"echo a; echo b", "error: /bin/sh: it printed more than one line"},
      {"printf 'a\\000b'", "error: /bin/sh: it printed what is no text"},
      {"printf '\\033[1msecret'", "error: /bin/sh: it printed what is no text"},
      {"yes", "error: /bin/sh: it printed more than 16384 bytes"},
  };
  for (const auto& c : cases) EXPECT_EQ(run(c.script), c.says) << c.script;
  EXPECT_LT(run("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1").size(), 400u);
  const auto missing = run_password_command({"/nowhere/program"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "/nowhere/program: No such file or directory");
}

TEST(PasswordCommand, AHangingOneIsKilledWithWhatItStarted) {
  PasswordCommandLimits limits;
  limits.deadline_ms = 200;
  const std::string path = testing::TempDir() + "stayd-password-command";
  std::remove(path.c_str());
  EXPECT_EQ(
      run("cat /dev/zero >/dev/null & echo $! >" + path + "; echo half; cat /dev/zero >/dev/null",
          limits),
      "error: /bin/sh: no end within 0.2 s");
  int started = 0;
  std::ifstream(path) >> started;
  ASSERT_GT(started, 0);
  EXPECT_TRUE(ends(started));
}

TEST(PasswordCommand, ItsEndEndsTheWaitThoughAChildKeepsTheOutput) {
  EXPECT_EQ(run("cat /dev/zero >/dev/null & echo secret"), "secret");
}

TEST(PasswordCommand, ItCanBeCancelled) {
  PasswordCommandLimits limits;
  limits.cancel_fd = ::eventfd(1, EFD_CLOEXEC);
  EXPECT_EQ(run("cat /dev/zero >/dev/null", limits), "error: /bin/sh: stayd is stopping");
  ::close(limits.cancel_fd);
}

// The server blocks its signals: a program that inherited that could not be ended in order.
TEST(PasswordCommand, ItInheritsNoSecretNoSignalAndNoDescriptor) {
  ::setenv("STAYD_REDIS_PASSWORD", "hush", 1);
  ::setenv("STAYDX", "kept", 1);
  EXPECT_EQ(run("echo \"$STAYD_REDIS_PASSWORD-$STAYDX\""), "-kept");
  ::unsetenv("STAYD_REDIS_PASSWORD");
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(run("grep SigBlk /proc/self/status | tr -d '\\t'"), "SigBlk:0000000000000000");
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const int fd = ::dup(0);
  EXPECT_EQ(run("ls /proc/$$/fd | tr '\\n' ' '").substr(0, 6), "0 1 2 ");
  EXPECT_EQ(run("test -e /proc/$$/fd/" + std::to_string(fd) + " || echo closed"), "closed");
  ::close(fd);
}

}  // namespace
}  // namespace stayd
