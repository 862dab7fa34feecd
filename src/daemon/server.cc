#include "daemon/server.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/version.h"
#include "daemon/config_keys.h"

namespace stayd {

Server::Server(Inputs inputs, Logger& log, Notifier& notifier)
    : in_(std::move(inputs)),
      config_(in_.loaded.config),
      log_(log),
      notifier_(notifier),
      random_(in_.seed) {}

Server::~Server() {
  if (signal_fd_ >= 0) loop_.unwatch(signal_fd_, *this);
  loop_.remove_ticker(*this);
  if (gate_) loop_.cancel_turn_end(*gate_);
}

Result<void> Server::start() {
  const Now now = loop_.now();
  facts_.version = kVersion;
  facts_.ledger_path = config_.ledger.path;
  facts_.started_ms = now.wall_ms;
  if (const auto opened = open_ledger(); !opened) return opened.error();
  fill_port(config_);
  port_.facts.run_id = in_.run_id;
  port_.facts.started_mono_us = now.mono_us;
  port_.facts.process_id = in_.process_id;
  port_.admin = config_.admin;
  if (config_.redis.target.cluster()) port_.databases = 1;
  port_.default_db = static_cast<std::uint8_t>(config_.redis.target.db);
  port_.limits.max_clients = static_cast<std::size_t>(config_.listen.max_clients);
  if (const auto made = make_regions(); !made) return made.error();
  make_shards();
  if (const auto listening = listen(); !listening) return listening.error();
  loop_.add_ticker(*this);
  return {};
}

Result<void> Server::open_ledger() {
  LedgerOptions options;
  options.path = config_.ledger.path;
  options.block_cache_bytes = config_.ledger.cache_size.bytes;
  options.header_cache_bytes = config_.ledger.header_cache_size.bytes;
  options.sync_interval_ms = static_cast<int>(config_.ledger.sync_interval.count());
  auto at_rest = AtRestKeys::read(config_.at_rest);
  if (!at_rest) return at_rest.error();
  const MasterKeys keys = at_rest->keys;
  options.at_rest = std::move(*at_rest);
  options.wall_ms = [] {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000;
  };
  ledger_waker_ = loop_.make_waker([this] {
    if (ledger_) ledger_->deliver();
  });
  auto ledger = Ledger::open(std::move(options), *ledger_waker_);
  if (!ledger) return ledger.error();
  ledger_ = std::move(*ledger);
  if (config_.backup.url.empty()) {
    note_life_without_backup(*ledger_);
  } else {
    backup_ = std::make_unique<SharedBackup>(
        config_.backup, keys, SharedBackup::Parts{loop_, *ledger_, counters_, log_, random_});
  }
  const StoreStats stats = ledger_->stats();
  data_key_ = stats.data_key;
  sealed_under_ = stats.resealing ? 0 : stats.data_key;
  if (const auto& problem = ledger_->in_flight_problem(); !problem.empty()) {
    log_.warning("in_flight_unkept",
                 "writes on their way to Redis would be lost from sight by a kill -9: " + problem);
  }
  if (const auto ignored = ledger_->in_flight().ignored(); ignored > 0) {
    log_.warning("in_flight_damaged",
                 fmt::format("{} entries of {}/inflight do not read and are ignored", ignored,
                             config_.ledger.path));
  }
  return {};
}

Result<void> Server::listen() {
  resp_ = std::make_unique<RespListener>(loop_, *gate_, counters_, port_);
  const ListenOptions options{.unix_mode = static_cast<mode_t>(config_.listen.unix_mode.bits)};
  for (const int fd : in_.sockets.resp) {
    if (const auto adopted = resp_->adopt(fd); !adopted) return adopted.error();
    facts_.resp.push_back(socket_text(fd, false));
  }
  // Sockets that systemd passed stand in for the configured addresses.
  for (const std::string& address : config_.listen.resp) {
    if (!in_.sockets.resp.empty()) break;
    if (const auto bound = resp_->listen(address, options); !bound) return bound.error();
    facts_.resp.push_back(address);
  }
  if (!config_.listen.tls.empty()) {
    if (const auto read = listen_files_.start(config_.listen.tls_files); !read) {
      return read.error();
    }
  }
  for (const std::string& address : config_.listen.tls) {
    const auto bound = resp_->listen_tls(address, listen_files_, options);
    if (!bound) return bound.error();
    facts_.resp.push_back("tls:" + address);
  }
  port_.facts.tcp_port = resp_->port();

  http_ = std::make_unique<HttpServer>(
      loop_, [this](const HttpRequest& request) { return answer(request); });
  for (const int fd : in_.sockets.http) {
    if (const auto adopted = http_->adopt(fd); !adopted) return adopted.error();
  }
  if (in_.sockets.http.empty() && config_.http_address) {
    if (const auto bound = http_->listen(config_.listen.http, options); !bound)
      return bound.error();
  }
  return {};
}

void Server::fill_port(const Config& config) {
  port_.auth.password = config.listen.password;
  port_.auth.users.clear();
  for (const UserConfig& user : config.users) port_.auth.users[user.name] = user.password;
}

void Server::run(int signal_fd) {
  signal_fd_ = signal_fd;
  loop_.watch(signal_fd_, *this, EPOLLIN);
  log_.info("serving",
            fmt::format("stayd {} serves on {}, HTTP on {}, Redis at {}, ledger in {}, {}",
                        kVersion, fmt::join(facts_.resp, " "), config_.listen.http,
                        regions_->in_use().target().text(), facts_.ledger_path, config_.mode));
  notifier_.ready("serving");
  loop_.run();
  // What the engines still owed the ledger is in its queue; close() executes it.
  shards_->on_turn_end();
  ledger_->close();
  log_.info("stopped", "the ledger is flushed and closed");
}

void Server::on_tick(Now now) {
  regions_->on_tick(now);
  pubsub_->on_tick(now);
  relay_->on_tick(now);
  port_.hub.tick(now);
  if (backup_) backup_->on_tick(now);
  shards_->on_tick(now);
  if (in_.watchdog_us && now.mono_us >= next_watchdog_us_) {
    next_watchdog_us_ = now.mono_us + *in_.watchdog_us;
    notifier_.watchdog();
  }
  if (now.mono_us >= next_second_us_) {
    next_second_us_ = now.mono_us + kSecondUs;
    each_second(now);
  }
  if (drain_until_us_ != 0) drain(now);
}

std::string Server::summary(const EngineStatus& status) const {
  if (drain_until_us_ != 0) return "draining";
  std::string text = fmt::format("Redis {}", trust_name(status.shard.trust));
  if (!status.shard.reason.empty() && status.shard.trust != Trust::trusted) {
    text += fmt::format(" ({})", status.shard.reason);
  }
  if (!status.ledger_ok) text += ", the ledger cannot be written";
  return text;
}

void Server::tell_of_ledger(const EngineStatus& status) {
  if (status.ledger_ok == ledger_told_ok_) return;
  ledger_told_ok_ = status.ledger_ok;
  if (ledger_told_ok_) {
    log_.info("ledger_writable", "the ledger takes writes again");
  } else {
    log_.error("ledger_unwritable",
               fmt::format("the ledger cannot be written ({}): Redis answers on, logouts hold in "
                           "memory, the next outage is unprotected",
                           status.store.last_error));
  }
}

void Server::tell_of_keys(const StoreStats& stats) {
  if (std::exchange(data_key_, stats.data_key) != stats.data_key) {
    log_.info("encryption_key_changed",
              fmt::format("values are sealed under the data key {} from now on; those of before "
                          "follow in the background",
                          stats.data_key));
  }
  if (stats.resealing || std::exchange(sealed_under_, stats.data_key) == stats.data_key) return;
  const std::string skipped =
      stats.reseal_skipped == 0 ? ""
                                : fmt::format(" (rows that do not open: {})", stats.reseal_skipped);
  log_.info("reseal_ended",
            fmt::format("every value is sealed under the data key {}{}; {} rows were rewritten, "
                        "and what they replace leaves the disk's files with their next compaction",
                        stats.data_key, skipped, stats.resealed));
}

void Server::each_second(Now now) {
  if (backup_) backup_->each_second(now);
  const auto& topology = regions_->in_use().topology();
  if (config_.redis.replica_reads && topology) shards_->name_replicas(*topology);
  log_.tick();
  const EngineStatus status = shards_->status();
  tell_of_ledger(status);
  tell_of_keys(status.store);
  std::string text = summary(status);
  if (text == last_summary_) return;
  notifier_.status(text);
  last_summary_ = std::move(text);
}

HttpResponse Server::answer(const HttpRequest& request) {
  constexpr std::string_view kCommands[] = {"/backfill", "/switch", "/drain", "/undrain"};
  const bool command = std::ranges::find(kCommands, request.path) != std::end(kCommands);
  if (command && request.method == "POST") return obey(request);
  HttpResponse response;
  if (request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    response.body = "only GET and HEAD\n";
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  facts_.now_ms = loop_.now().wall_ms;
  facts_.clients = resp_->connections();
  facts_.draining = drain_until_us_ != 0;
  Region& region = regions_->in_use();
  facts_.redis_url_host = region.target().text();
  facts_.sentinels.reset();
  facts_.cluster.reset();
  if (region.sentinels()) facts_.sentinels = region.sentinels()->status();
  if (region.cluster()) facts_.cluster = region.cluster()->status();
  facts_.regions = regions_->status();
  facts_.login_probes = shards_->login_probes();
  if (backup_) facts_.backup = backup_->facts(loop_.now());
  facts_.certificates = {{"listen", listen_files_.not_after_s()}};
  if (const TlsDialer* tls = region.tls()) {
    facts_.certificates.emplace_back("redis", tls->server_not_after_s());
    facts_.certificates.emplace_back("own", tls->own_not_after_s());
  }
  if (request.path == "/metrics" || request.path == "/status.json") measure_process(facts_);
  const EngineStatus status = shards_->status();
  HttpPage page = render_page(request.path, {status, counters_, facts_});
  response.status = page.status;
  response.content_type = std::move(page.content_type);
  response.body = std::move(page.body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

void Server::on_ready(std::uint32_t) {
  signalfd_siginfo info{};
  while (::read(signal_fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGHUP) {
      reload();
    } else if (drain_until_us_ != 0) {
      drain_until_us_ = 1;  // the second signal: at once
    } else {
      begin_drain();
    }
  }
}

void Server::begin_drain() {
  log_.info("stopping", fmt::format("draining {} calls of {} clients", shards_->calls_under_way(),
                                    resp_->connections()));
  notifier_.stopping();
  resp_->stop_accepting();
  drain_until_us_ = loop_.now().mono_us + kDrainUs;
}

void Server::drain(Now now) {
  const bool late = now.mono_us >= drain_until_us_;
  if (closing_) {
    const bool shipped = !backup_ || backup_->may_end();
    if (late || (resp_->connections() == 0 && shipped)) loop_.stop();
    return;
  }
  if (!late && shards_->calls_under_way() + gate_->waiting() > 0) return;
  closing_ = true;
  drain_until_us_ = now.mono_us + kFlushUs;
  resp_->close_all();
}

void Server::reload_keys(const AtRestConfig& fresh) {
  keys_.read_again(fresh, [this](Result<AtRestOptions> read) {
    const auto refused = [this](const Error& error) {
      log_.error("encryption_key_refused",
                 "the encryption keys stay as they were: " + error.message);
    };
    if (!read) return refused(read.error());
    const auto told = [this, refused, keys = read->keys](const Error& error) {
      if (!error.message.empty()) return refused(error);
      if (backup_) backup_->take_up_keys(keys);
    };
    ledger_->rekey(std::move(*read), told);
    ledger_->submit();
  });
}

void Server::reload() {
  notifier_.reloading(loop_.now().mono_us);
  const auto loaded = load_config(in_.sources);
  if (!loaded) {
    log_.error("reload_failed",
               fmt::format("the old configuration stays: {}", loaded.error().message));
    notifier_.ready("reload failed");
    return;
  }
  const Config& fresh = loaded->config;
  std::vector<std::string> waiting;  // keys that only a restart takes up
  for (const ConfigKey& key : config_keys()) {
    const std::string path = key.path();
    const bool password = key.section == "backup" && key.name.starts_with("password");
    const bool taken = path == "log.level" || key.section == "at_rest" || password ||
                       RedisLogins::takes_up(key.name);
    if (!taken && show_config_value(fresh, key) != show_config_value(config_, key)) {
      waiting.push_back(path);
    }
  }
  log_.set_level(*parse_severity(fresh.log.level));
  shards_->replace_policies(fresh.sessions);
  fill_port(fresh);
  regions_->reload(fresh);
  if (backup_) backup_->take_up_password(fresh.backup);
  config_.sessions = fresh.sessions;
  reload_keys(fresh.at_rest);
  const std::string rest =
      "sessions and passwords are taken up, encryption keys once they are read";
  log_.info("reloaded", waiting.empty() ? "log level, " + rest
                                        : fmt::format("{} wait for a restart; log level, {}",
                                                      fmt::join(waiting, ", "), rest));
  notifier_.ready("reloaded");
}

}  // namespace stayd
