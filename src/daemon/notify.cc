#include "daemon/notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "daemon/units.h"

namespace stayd {

namespace {

constexpr int kFirstPassedFd = 3;
constexpr std::int64_t kMaxPassedFds = 64;

std::string_view value(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

// Not set, or set to us.
bool is_for(std::string_view pid, std::int64_t own_pid) {
  return pid.empty() || parse_integer(pid) == own_pid;
}

}  // namespace

Notifier::Notifier(std::string socket) : socket_(std::move(socket)) {
  if (socket_.empty()) return;
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

Notifier::~Notifier() {
  if (fd_ >= 0) ::close(fd_);
}

bool Notifier::send(std::string_view what, std::string_view text) {
  sockaddr_un address{};
  if (fd_ < 0 || socket_.size() >= sizeof address.sun_path) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  std::string message(what);
  for (const char c : text) message.push_back(c == '\n' ? ' ' : c);
  const auto sent = ::sendto(fd_, message.data(), message.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&address), length);
  return sent == static_cast<ssize_t>(message.size());
}

bool Notifier::reloading(std::int64_t monotonic_us) {
  return send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us), "");
}

std::optional<std::int64_t> watchdog_interval_us(
    const std::map<std::string, std::string>& environment, std::int64_t own_pid) {
  const auto usec = parse_integer(value(environment, "WATCHDOG_USEC"));
  if (!usec || *usec < 2 || !is_for(value(environment, "WATCHDOG_PID"), own_pid)) {
    return std::nullopt;
  }
  return *usec / 2;
}

PassedSockets passed_sockets(const std::map<std::string, std::string>& environment,
                             std::int64_t own_pid) {
  PassedSockets sockets;
  const auto count = parse_integer(value(environment, "LISTEN_FDS"));
  const std::string_view pid = value(environment, "LISTEN_PID");
  // LISTEN_PID is always set by systemd; without it the variables were inherited from somebody
  // else.
  if (!count || *count <= 0 || *count > kMaxPassedFds || pid.empty() || !is_for(pid, own_pid)) {
    return sockets;
  }
  std::string_view names = value(environment, "LISTEN_FDNAMES");
  const bool named =
      names.find("resp") != std::string_view::npos || names.find("http") != std::string_view::npos;
  for (int i = 0; i < *count; ++i) {
    const std::size_t colon = names.find(':');
    const std::string_view name = names.substr(0, colon);
    names = colon == std::string_view::npos ? "" : names.substr(colon + 1);
    const bool http = named ? name == "http" : i == 1;
    (http ? sockets.http : sockets.resp).push_back(kFirstPassedFd + i);
  }
  return sockets;
}

}  // namespace stayd
