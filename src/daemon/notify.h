// What systemd is told and tells: readiness, watchdog and passed sockets, without libsystemd.
// Sources: sd_notify(3), sd_listen_fds(3). Without systemd everything is a no-op. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

class Notifier {
 public:
  // `socket`: $NOTIFY_SOCKET, a path or "@abstract"; empty: nobody listens.
  explicit Notifier(std::string socket);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  bool ready(std::string_view status) { return send("READY=1\nSTATUS=", status); }
  bool status(std::string_view text) { return send("STATUS=", text); }
  bool reloading(std::int64_t monotonic_us);
  bool watchdog() { return send("WATCHDOG=1", ""); }
  bool stopping() { return send("STOPPING=1\nSTATUS=", "draining"); }

 private:
  // Never blocks; false: nobody listens, or the datagram could not be sent.
  bool send(std::string_view what, std::string_view text);

  std::string socket_;
  int fd_ = -1;
};

// Half of WATCHDOG_USEC, in microseconds, if this process is the one watched.
std::optional<std::int64_t> watchdog_interval_us(
    const std::map<std::string, std::string>& environment, std::int64_t own_pid);

struct PassedSockets {
  std::vector<int> resp;
  std::vector<int> http;
};

// LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES: sockets named "http" go there, every other one to the
// Redis port; without names the first is the Redis port and the second HTTP. Descriptors start
// at 3.
PassedSockets passed_sockets(const std::map<std::string, std::string>& environment,
                             std::int64_t own_pid);

}  // namespace stayd
