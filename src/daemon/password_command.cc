#include "daemon/password_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/real_time.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxComplaint = 300;  // of standard error, in the log

std::int64_t mono_ms() {
  return real_now().mono_us / 1000;
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
  bool open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read.reset(fds[0]);
    write.reset(fds[1]);
    return ::fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
  }
  // Appends what is there, up to `limit` bytes in all; the rest is thrown away.
  void drain(std::string& out, std::size_t limit) {
    char buffer[4096];
    for (;;) {
      const ssize_t size = ::read(read.get(), buffer, sizeof buffer);
      if (size < 0 && errno == EINTR) continue;
      if (size == 0) read.reset();
      if (size <= 0) return;
      out.append(buffer, std::min(static_cast<std::size_t>(size), limit - out.size()));
    }
  }
};

bool is_meant_for_stayd(std::string_view variable) {
  for (const std::string_view prefix : {"STAYD_", "LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_"}) {
    if (variable.starts_with(prefix)) return true;
  }
  return false;
}

// 0, or errno.
int spawn(const std::vector<std::string>& argv, int out, int err, pid_t& pid) {
  std::vector<char*> words, variables;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  for (char** one = environ; *one != nullptr; ++one) {
    if (!is_meant_for_stayd(*one)) variables.push_back(*one);
  }
  variables.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out, 1);
  posix_spawn_file_actions_adddup2(&files, err, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setpgroup(&how, 0);
  posix_spawnattr_setflags(&how,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = ::posix_spawn(&pid, words[0], &files, &how, words.data(), variables.data());
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

// What it said, as one piece of a line.
std::string complaint(std::string text) {
  text.resize(std::min(text.size(), kMaxComplaint));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text.empty() ? "" : ": " + text;
}

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return fmt::format("ended by signal {}", WTERMSIG(status));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

// Reads until the program has ended. Returns why it was not let end; "" if it was.
std::string watch(int pidfd, Pipe& out, Pipe& err, const PasswordCommandLimits& limits,
                  std::string& output, std::string& said) {
  const std::int64_t until_ms = mono_ms() + limits.deadline_ms;
  for (;;) {
    pollfd waiting[] = {{pidfd, POLLIN, 0},
                        {out.read.get(), POLLIN, 0},
                        {err.read.get(), POLLIN, 0},
                        {limits.cancel_fd, POLLIN, 0}};
    const auto left = std::max<std::int64_t>(0, until_ms - mono_ms());
    const int ready = ::poll(waiting, std::size(waiting), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return std::strerror(errno);
    if (ready == 0) {
      return fmt::format("no end within {} s", static_cast<double>(limits.deadline_ms) / 1'000);
    }
    if (waiting[1].revents != 0) out.drain(output, limits.max_output_bytes + 1);
    if (waiting[2].revents != 0) err.drain(said, kMaxComplaint);
    if (waiting[3].revents != 0) return "stayd is stopping";
    if (output.size() > limits.max_output_bytes) {
      return fmt::format("it printed more than {} bytes", limits.max_output_bytes);
    }
    if (waiting[0].revents != 0) {
      if (out.read.get() >= 0) out.drain(output, limits.max_output_bytes + 1);
      if (err.read.get() >= 0) err.drain(said, kMaxComplaint);
      return "";
    }
  }
}

}  // namespace

Result<std::string> password_in(std::string_view output) {
  if (output.ends_with('\n')) output.remove_suffix(1);
  if (output.ends_with('\r')) output.remove_suffix(1);
  const auto wrong = [](const char* what) { return make_error(Errc::unavailable, what); };
  if (output.empty()) return wrong("it printed nothing");
  if (output.find('\n') != std::string_view::npos) return wrong("it printed more than one line");
  const bool text = std::ranges::none_of(
      output, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!text) return wrong("it printed what is no text");
  return std::string(output);
}

Result<std::string> run_password_command(const std::vector<std::string>& argv,
                                         const PasswordCommandLimits& limits) {
  const auto error = [&](const std::string& why) {
    return make_error(Errc::unavailable, fmt::format("{}: {}", argv[0], why));
  };
  Pipe out, err;
  if (!out.open() || !err.open()) return error(std::strerror(errno));
  pid_t pid = 0;
  if (const int failed = spawn(argv, out.write.get(), err.write.get(), pid); failed != 0) {
    return error(std::strerror(failed));
  }
  out.write.reset();
  err.write.reset();
  std::string output, said, why;
  if (const Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      pidfd.get() >= 0) {
    why = watch(pidfd.get(), out, err, limits, output, said);
  } else {
    why = std::strerror(errno);
  }
  // Not waited for yet, so the number is still this group's.
  ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!why.empty()) return error(why + complaint(said));
  if (output.size() > limits.max_output_bytes) return error("it printed too much");
  if (status != 0) return error(end_of(status) + complaint(said));
  auto password = password_in(output);
  if (!password) return error(password.error().message + complaint(said));
  return password;
}

}  // namespace stayd
