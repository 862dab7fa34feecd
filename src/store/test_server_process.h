// For tests: a server as a process of the test's own in a temporary folder, killed at the end. As
// root it runs as another user, since databases refuse to run as root.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/real_time.h"
#include "store/open_backup.h"
#include "store/test_support.h"

namespace stayd::test {

// Polls; throws after `seconds`.
inline void wait_for(const std::function<bool()>& condition, const char* what, int seconds = 20) {
  // tidy: allow(clock) because the tests wait for a server
  const std::int64_t until = real_now().mono_us + seconds * 1'000'000LL;
  while (!condition()) {
    // tidy: allow(clock) because the tests wait for a server
    if (real_now().mono_us > until) throw std::runtime_error(std::string("still not: ") + what);
    ::usleep(5'000);  // tidy: allow(sleep) because a server is polled
  }
}

inline Result<BackupAdmin::Made> init_backup(const BackupOptions& options) {
  const std::unique_ptr<BackupAdmin> admin = open_backup_admin(options);
  const Result<void> connected = admin->connect();
  if (!connected) return connected.error();
  return admin->init();
}

class ServerProcess {
 public:
  explicit ServerProcess(std::string user) : user_(std::move(user)), port_(free_port()) {
    char folder[] = "/tmp/stayd-db-XXXXXX";
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    if (::geteuid() != 0) return;
    const passwd* entry = ::getpwnam(user_.c_str());
    if (entry == nullptr) throw std::runtime_error("no user " + user_);
    [[maybe_unused]] const int given = ::chown(folder, entry->pw_uid, entry->pw_gid);
  }
  virtual ~ServerProcess() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& folder() const { return folder_; }
  int port() const { return port_; }
  // SIGKILL; returns when all its processes are gone.
  void kill() {
    if (pid_ <= 0) return;
    const std::vector<pid_t> all = processes();
    for (const pid_t pid : all) ::kill(pid, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    wait_for(
        [&] { return std::ranges::none_of(all, [](pid_t pid) { return ::kill(pid, 0) == 0; }); },
        "its processes are gone");
  }
  // The one that makes new processes first, then also what it has just made.
  void freeze() {
    ::kill(pid_, SIGSTOP);
    for (int i = 0; i < 2; ++i) signal_all(SIGSTOP);
  }
  void thaw() { signal_all(SIGCONT); }

  // Waits until it has ended; throws if it fails.
  void run(const std::vector<std::string>& words) const {
    int status = 0;
    ::waitpid(spawn(words), &status, 0);
    if (status == 0) return;
    std::ostringstream log;
    log << words[0] << " failed (" << status << "):\n" << std::ifstream(folder_ + "/log").rdbuf();
    throw std::runtime_error(log.str());
  }

 protected:
  // All of them end with this process.
  pid_t spawn(std::vector<std::string> words) const {
    std::vector<std::string> all{"setpriv", "--pdeathsig", "KILL"};
    if (::geteuid() == 0) {
      all.insert(all.end(), {"--reuid", user_, "--regid", user_, "--clear-groups"});
    }
    all.push_back("--");
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log = folder_ + "/log";
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setsid();
      if (::freopen(log.c_str(), "a", stdout) == nullptr) ::_exit(126);
      ::dup2(STDOUT_FILENO, STDERR_FILENO);
      if (::chdir("/") != 0) ::_exit(126);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    return pid;
  }
  // It and its children.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> out{pid_};
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::string text;
      std::getline(std::ifstream(entry.path() / "stat"), text);
      const std::size_t end = text.rfind(')');
      if (end == std::string::npos) continue;
      if (std::atoi(text.c_str() + end + 4) == pid_) out.push_back(std::atoi(name.c_str()));
    }
    return out;
  }
  void signal_all(int number) const {
    for (const pid_t pid : processes()) ::kill(pid, number);
  }

  const std::string user_;
  const int port_;
  std::string folder_;
  pid_t pid_ = 0;

 private:
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
  }
};

}  // namespace stayd::test
