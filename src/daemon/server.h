// `stayd serve`: the one obvious place that wires. Makes every part, hands each what it needs, and
// runs the loop until it is told to stop.
//
//   RespListener ─ ClientSession ─▶ EngineGate ─▶ ShardSet ─▶ SocketDialer ─▶ Redis
//   HttpServer ─▶ pages                             └─▶ Ledger, or SharedBackup ─▶ Ledger
//   Regions ─▶ Sentinels, nodes of a Cluster, other Redises: where its connections go
//   PubSubHub ─ PubSubRelay ─▶ Link (pubsub), made when the first client listens
//
// Loop thread only; the ledger has its own thread, and so has the log's writer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/at_rest_keys.h"
#include "daemon/config.h"
#include "daemon/engine_gate.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/pages.h"
#include "daemon/pubsub_relay.h"
#include "daemon/regions.h"
#include "daemon/shared_backup.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/resp_listener.h"
#include "net/socket_dialer.h"
#include "net/system_resolver.h"
#include "redis/link.h"
#include "redis/shard_set.h"
#include "store/ledger/ledger.h"

namespace stayd {

class Server final : private Ticker, private Pollable {
 public:
  struct Inputs {
    ConfigSources sources;  // for reload
    LoadedConfig loaded;
    PassedSockets sockets;
    std::optional<std::int64_t> watchdog_us;
    std::string run_id;  // 40 hex digits
    std::uint64_t seed = 0;
    int process_id = 0;
  };

  // `log` and `notifier` outlive the server.
  Server(Inputs inputs, Logger& log, Notifier& notifier);
  ~Server() override;

  // Opens the ledger and the sockets. Errors: one sentence; `invalid`: the configuration is wrong.
  Result<void> start();
  // Serves until SIGTERM or SIGINT arrives on `signal_fd` (a signalfd), then drains.
  void run(int signal_fd);

 private:
  static constexpr std::int64_t kSecondUs = 1'000'000;
  static constexpr std::int64_t kDrainUs = 5'000'000;  // for calls under way
  static constexpr std::int64_t kFlushUs = 1'000'000;  // for output under way

  Result<void> open_ledger();
  Result<void> make_regions();
  void make_shards();
  Result<void> listen();
  void fill_port(const Config& config);

  void on_tick(Now now) override;
  void on_ready(std::uint32_t events) override;  // a signal
  void tell_of_ledger(const EngineStatus& status);
  void tell_of_keys(const StoreStats& stats);
  void reload_keys(const AtRestConfig& fresh);
  void each_second(Now now);
  std::string summary(const EngineStatus& status) const;
  HttpResponse answer(const HttpRequest& request);
  HttpResponse obey(const HttpRequest& request);
  HttpResponse start_backfill();
  HttpResponse change_region(const HttpRequest& request);
  void begin_drain();
  void drain(Now now);
  void reload();

  Inputs in_;
  Config config_;
  Logger& log_;
  Notifier& notifier_;
  Random random_;
  Counters counters_;
  ProcessFacts facts_;
  Loop loop_;
  PortContext port_;
  std::unique_ptr<Waker> ledger_waker_;
  std::unique_ptr<Ledger> ledger_;
  AtRestKeys keys_{loop_};
  std::uint32_t data_key_ = 0;            // of which was told
  std::uint32_t sealed_under_ = 0;        // all of it
  std::unique_ptr<SharedBackup> backup_;  // nullptr: none
  std::unique_ptr<SystemResolver> resolver_;
  std::unique_ptr<SocketDialer> dialer_;
  std::unique_ptr<Regions> regions_;
  std::unique_ptr<ShardSet> shards_;
  std::unique_ptr<EngineGate> gate_;
  std::unique_ptr<PubSubRelay> relay_;
  std::unique_ptr<Link> pubsub_;
  TlsFiles listen_files_{TlsRole::server, "the certificate of the Redis port", log_};
  std::unique_ptr<RespListener> resp_;
  std::unique_ptr<HttpServer> http_;
  int signal_fd_ = -1;
  std::int64_t next_watchdog_us_ = 0;
  std::int64_t next_second_us_ = 0;
  std::int64_t drain_until_us_ = 0;  // 0: not draining
  bool closing_ = false;
  std::string last_summary_;
  bool ledger_told_ok_ = true;
};

// Exit code: 0 well, 1 could not start, 2 configuration.
int run_serve(const ConfigSources& sources, LoadedConfig loaded);

}  // namespace stayd
