#include "net/acceptor.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/address.h"

namespace stayd {
namespace {

// Accepted per wake-up, so that a storm of connections leaves room for those who are in.
constexpr int kAcceptBurst = 64;

Error failure(const std::string& address, const char* what) {
  return make_error(Errc::io,
                    "cannot listen on '" + address + "': " + what + ": " + std::strerror(errno));
}

bool somebody_listens(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool yes = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return yes;
}

// Size 0: it has none any more.
Address address_of(int fd, bool peer) {
  Address out;
  out.size = sizeof out.storage;
  auto* generic = reinterpret_cast<sockaddr*>(&out.storage);
  const int failed =
      peer ? getpeername(fd, generic, &out.size) : getsockname(fd, generic, &out.size);
  if (failed != 0) out.size = 0;
  return out;
}

}  // namespace

class Acceptor::Socket final : public Pollable {
 public:
  Socket(Acceptor& owner, int fd, bool is_unix, std::string path)
      : owner_(owner), fd_(fd), is_unix_(is_unix), path_(std::move(path)) {}
  ~Socket() override {
    owner_.loop_.unwatch(fd_, *this);
    ::close(fd_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void on_ready(std::uint32_t) override { owner_.accept_all(*this); }

  Acceptor& owner_;
  int fd_;
  bool is_unix_;
  std::string path_;
};

Acceptor::Acceptor(Loop& loop, AcceptTarget& target)
    : loop_(loop), target_(target), reserve_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

Acceptor::~Acceptor() {
  close();
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
}

void Acceptor::close() {
  sockets_.clear();
}

void Acceptor::add(int fd, bool is_unix, std::string unlink_path) {
  sockets_.push_back(std::make_unique<Socket>(*this, fd, is_unix, std::move(unlink_path)));
  loop_.watch(fd, *sockets_.back(), EPOLLIN);
}

Result<void> Acceptor::listen(const std::string& address, const ListenOptions& options) {
  if (address.starts_with("unix:")) return listen_unix(address.substr(5), options);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return make_error(Errc::invalid, "'" + address + "' is not address:port or unix:/path");
  }
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const bool any = host.empty() || host == "*";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  hints.ai_family = any ? AF_INET6 : AF_UNSPEC;
  addrinfo* found = nullptr;
  int status = getaddrinfo(any ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  if (status != 0) {
    return make_error(Errc::invalid, "cannot listen on '" + address + "': " + gai_strerror(status));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure(address, "socket");
  const int yes = 1;
  const int no = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (found->ai_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &no : &yes, sizeof no);
  }
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, options.backlog) != 0) {
    const Error error = failure(address, "bind");
    ::close(fd);
    return error;
  }
  add(fd, false, {});
  return {};
}

Result<void> Acceptor::listen_unix(const std::string& path, const ListenOptions& options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return make_error(Errc::invalid, "'unix:" + path + "' is not a usable socket path");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // A file left by a killed process is replaced; one that is in use is not.
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
    if (somebody_listens(address)) {
      return make_error(Errc::busy, "cannot listen on 'unix:" + path + "': it is in use");
    }
    ::unlink(path.c_str());
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure("unix:" + path, "socket");
  // The mode is set before anybody can connect.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), options.unix_mode) != 0 || ::listen(fd, options.backlog) != 0) {
    const Error error = failure("unix:" + path, "bind");
    ::close(fd);
    return error;
  }
  add(fd, true, path);
  return {};
}

Result<void> Acceptor::adopt(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
    return make_error(Errc::invalid,
                      "descriptor " + std::to_string(fd) + " is not a listening socket");
  }
  int domain = 0;
  size = sizeof domain;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  add(fd, domain == AF_UNIX, {});
  return {};
}

std::uint16_t Acceptor::port() const {
  for (const auto& socket : sockets_) {
    if (socket->is_unix_) continue;
    return address_of(socket->fd_, false).port();
  }
  return 0;
}

void Acceptor::accept_all(Socket& socket) {
  for (int i = 0; i < kAcceptBurst; ++i) {
    const int fd = accept4(socket.fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      target_.on_accept(fd, socket.is_unix_);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      if (reserve_fd_ < 0) return;
      refuse_one(socket.fd_);
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    return;
  }
}

void Acceptor::refuse_one(int fd) {
  ::close(reserve_fd_);
  const int refused = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (refused >= 0) ::close(refused);
  reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

std::vector<int> inherited_listen_fds() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  std::vector<int> fds;
  if (pid != nullptr && count != nullptr && std::atoi(pid) == getpid()) {
    for (int i = 0; i < std::atoi(count); ++i) fds.push_back(3 + i);
  }
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return fds;
}

std::string socket_text(int fd, bool peer) {
  const Address address = address_of(fd, peer);
  const auto family = address.storage.ss_family;
  const std::string port = ":" + std::to_string(address.port());
  if (address.size == 0) return "?" + port;
  if (family == AF_INET) return address.host_text() + port;
  if (family == AF_INET6) return "[" + address.host_text() + "]" + port;
  // A unix client has no name of its own: both ends are told by the server's path, as Redis does.
  if (peer) return socket_text(fd, false);
  return reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path + port;
}

}  // namespace stayd
