// For tests: a real redis-server of the test's own, on a unix socket in a temporary folder, without
// persistence, killed at the end; and a blocking connection to it.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd::testing {

class RealRedis {
 public:
  explicit RealRedis(std::vector<std::string> options = {}) {
    char folder[] = "/tmp/stayd-test-XXXXXX";
    if (mkdtemp(folder) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    std::vector<std::string> words{"redis-server",  "--port", "0",     "--unixsocket", path(),
                                   "--save",        "",       "--dir", folder_,        "--logfile",
                                   folder_ + "/log"};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      execvp(argv[0], argv.data());
      _exit(127);
    }
  }
  ~RealRedis() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RealRedis(const RealRedis&) = delete;
  RealRedis& operator=(const RealRedis&) = delete;

  std::string path() const { return folder_ + "/redis.sock"; }

  // A connected socket; throws when the server has ended or does not listen within ten seconds.
  int connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    for (int tries = 0; tries < 1000; ++tries) {
      const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
      close(fd);
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
      poll(nullptr, 0, 10);
    }
    throw std::runtime_error("redis-server does not start");
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

class RedisLink {
 public:
  explicit RedisLink(const RealRedis& server) : fd_(server.connect()) {}
  ~RedisLink() { close(fd_); }
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server hung up; receive() will tell
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // The next reply's bytes; empty when the server closes first. Throws after ten silent seconds.
  std::string receive() {
    FrameScanner scanner;
    while (true) {
      const auto outcome = scanner.scan(buffer_);
      if (outcome.status == FrameScanner::Status::error) {
        throw std::runtime_error(std::string(outcome.error));
      }
      if (outcome.status == FrameScanner::Status::ready) {
        const std::string reply = buffer_.substr(0, outcome.size);
        buffer_.erase(0, outcome.size);
        return reply;
      }
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, 10'000) != 1) throw std::runtime_error("no reply");
      char chunk[65536];
      const ssize_t size = recv(fd_, chunk, sizeof chunk, 0);
      if (size <= 0) return {};
      buffer_.append(chunk, static_cast<std::size_t>(size));
    }
  }
  std::string ask(const Args& args) {
    std::string request;
    append_request(request, args);
    send(request);
    return receive();
  }
  // A command as one would type it.
  std::string type(std::string_view line) {
    send(line);
    send("\r\n");
    return receive();
  }

 private:
  int fd_;
  std::string buffer_;
};

// The words of an inline command; they stay valid while the object lives.
class Typed {
 public:
  explicit Typed(std::string_view line) : line_(std::string(line) + "\r\n") {
    parser_.parse(line_, {}, args_);
  }
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;
  const Args& args() const { return args_; }

 private:
  std::string line_;
  RequestParser parser_;
  Args args_;
};

}  // namespace stayd::testing
