// `stayd serve`: the one obvious place that wires. Makes every part, hands each what it needs, and
// runs the loop until it is told to stop.
//
//   RespListener ─ ClientSession ─▶ EngineGate ─▶ ShardSet ─▶ SocketDialer ─▶ Redis
//   HttpServer ─▶ pages                             └─▶ Ledger
//   SentinelWatch, ClusterWatch ─▶ Sentinels, nodes of a Cluster: where its connections go
//   PubSubHub ─ PubSubRelay ─▶ Link (pubsub), made when the first client listens
//
// Loop thread only; the ledger has its own thread, and so has the log's writer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/config.h"
#include "daemon/credentials.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/pages.h"
#include "daemon/pubsub_relay.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/resp_listener.h"
#include "net/socket_dialer.h"
#include "net/tls_dialer.h"
#include "redis/cluster_watch.h"
#include "redis/link.h"
#include "redis/sentinel.h"
#include "redis/shard_set.h"
#include "store/ledger/ledger.h"

namespace stayd {

// In front of the engines: hands what a turn's commands changed to the ledger at the turn's end.
class EngineGate final : public CallHandler, public TurnEnd {
 public:
  EngineGate(Loop& loop, ShardSet& shards)
      : loop_(loop), shards_(shards), handler_(shards.handler()) {}

  void submit(Call& call) override {
    loop_.request_turn_end(*this);
    handler_.submit(call);
  }
  bool redis_answers() const override { return handler_.redis_answers(); }
  void client_gone(std::uint64_t client_id) override { handler_.client_gone(client_id); }
  void on_turn_end(Now) override { shards_.on_turn_end(); }

 private:
  Loop& loop_;
  ShardSet& shards_;
  CallHandler& handler_;
};

class Server final : private Ticker,
                     private Pollable,
                     private SentinelEvents,
                     private ClusterEvents {
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
  LinkOptions link_options(const char* name) const;
  void make_shards();
  void make_sentinels();
  void make_cluster_watch();
  Result<void> make_dialer();
  Dialer& redis_dialer() { return tls_ ? static_cast<Dialer&>(*tls_) : *dialer_; }
  Result<void> listen();
  void fill_port(const Config& config);

  void on_tick(Now now) override;
  void on_ready(std::uint32_t events) override;  // a signal
  void on_primary(const Endpoint& primary) override;
  void on_topology(const Topology& topology) override;
  void on_node_serves(const Endpoint& node) override { shards_->hurry(node); }
  void tell_of_ledger(const EngineStatus& status);
  void each_second(Now now);
  std::string summary(const EngineStatus& status) const;
  HttpResponse answer(const HttpRequest& request);
  HttpResponse start_backfill(const HttpRequest& request);
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
  std::unique_ptr<SystemResolver> resolver_;
  std::unique_ptr<SocketDialer> dialer_;
  std::unique_ptr<TlsDialer> tls_;  // nullptr: the URL is not rediss://
  std::unique_ptr<RedisLogins> logins_;
  std::unique_ptr<ShardSet> shards_;
  std::unique_ptr<EngineGate> gate_;
  std::unique_ptr<PubSubRelay> relay_;
  std::unique_ptr<Link> pubsub_;
  std::unique_ptr<SentinelWatch> sentinels_;  // nullptr: the URL names no Sentinels
  std::unique_ptr<ClusterWatch> cluster_;     // nullptr: the URL names no Cluster
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
