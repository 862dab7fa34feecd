// `stayd serve`: the process around the server.
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>

#include "daemon/server.h"

namespace stayd {

namespace {

std::int64_t wall_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Millis>(now).count();
}

template <std::size_t N>
std::array<unsigned char, N> random_bytes() {
  std::array<unsigned char, N> bytes{};
  // At most 256 bytes are never given in part (getrandom(2)).
  static_assert(N <= 256);
  STAYD_ASSERT(::getrandom(bytes.data(), N, 0) == static_cast<ssize_t>(N));
  return bytes;
}

// The signals as a descriptor; threads made later inherit the mask.
int take_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// Every client is a descriptor: the soft limit goes up to the hard one. Returns it.
std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::string value(const ConfigSources& sources, const char* name) {
  const auto found = sources.environment.find(name);
  return found == sources.environment.end() ? "" : found->second;
}

void warn_of_limits(const Config& config, std::uint64_t descriptors, Logger& log) {
  // Besides the clients: the ledger's files, Redis, listening sockets, the HTTP port.
  constexpr std::uint64_t kOwn = 200;
  const auto clients = static_cast<std::uint64_t>(config.listen.max_clients);
  if (descriptors == 0 || clients + kOwn <= descriptors) return;
  log.warning("few_descriptors",
              fmt::format("max_clients is {} but the process may open only {} descriptors; raise "
                          "LimitNOFILE (ulimit -n)",
                          clients, descriptors));
}

}  // namespace

int run_serve(const ConfigSources& sources, LoadedConfig loaded) {
  const int signal_fd = take_signals();
  const std::uint64_t descriptors = raise_descriptor_limit();
  const std::unique_ptr<LogSink> sink = make_stderr_sink();
  Logger log(choose_log_format(loaded.config.log.format), *parse_severity(loaded.config.log.level),
             *sink, wall_ms);
  Notifier notifier(value(sources, "NOTIFY_SOCKET"));
  for (const std::string& warning : loaded.warnings) log.warning("configuration", warning);
  warn_of_limits(loaded.config, descriptors, log);

  Server::Inputs inputs;
  inputs.sources = sources;
  inputs.process_id = ::getpid();
  inputs.sockets = passed_sockets(sources.environment, inputs.process_id);
  inputs.watchdog_us = watchdog_interval_us(sources.environment, inputs.process_id);
  inputs.loaded = std::move(loaded);
  const auto seed = random_bytes<sizeof inputs.seed>();
  std::memcpy(&inputs.seed, seed.data(), seed.size());
  for (const unsigned char byte : random_bytes<20>()) inputs.run_id += fmt::format("{:02x}", byte);

  int exit_code = 0;
  {
    Server server(std::move(inputs), log, notifier);
    if (const auto started = server.start(); started) {
      server.run(signal_fd);
    } else {
      log.error("start_failed", started.error().message);
      // Another process in the ledger may be about to end; a wrong folder or address will not heal.
      exit_code = started.error().code == Errc::invalid ? 2 : 1;
    }
  }
  log.flush();
  ::close(signal_fd);
  return exit_code;
}

}  // namespace stayd
