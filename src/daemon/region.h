// One of the Redises that stayd may use, a [redis] or [[redis]] block: how it is reached and logged
// in to, who knows where its primaries are, and, while it is not in use, whether it is well.
//
//   RedisLogins ─ credentials        SentinelWatch, ClusterWatch ─▶ primary, topology
//   TlsDialer   ─ on the sockets     Standby ─▶ well() (only while another is in use)
//
// Loop thread only. Owns all of them; what it is given outlives it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"
#include "daemon/credentials.h"
#include "net/loop.h"
#include "net/tls_dialer.h"
#include "observe/counters.h"
#include "redis/cluster_watch.h"
#include "redis/region_choice.h"
#include "redis/sentinel.h"
#include "redis/standby.h"
#include "store/store.h"

namespace stayd {

class Region;

class RegionEvents {
 public:
  virtual ~RegionEvents() = default;
  // Where it is, as who knows says; for the first time, or another than before.
  virtual void on_primary(Region& region, const Endpoint& primary) = 0;
  virtual void on_topology(Region& region, const Topology& topology) = 0;
  virtual void on_node_serves(Region& region, const Endpoint& node) = 0;
};

class Region final : private SentinelEvents, private ClusterEvents {
 public:
  struct Parts {
    Loop& loop;
    Dialer& sockets;
    Store& ledger;
    EventSink& log;
    Counters& counters;
    Random& random;
  };

  Region(const RedisConfig& config, Parts parts, RegionEvents& events);
  ~Region() override;

  // Reads its TLS files. Errors: invalid.
  Result<void> start();
  // Begins to look for its primaries. Once.
  void watch(bool in_use);
  void on_tick(Now now);
  // Whether it is the one that is used. Otherwise its health is watched.
  void set_in_use(bool in_use);
  // Of the one in use: a connection to it is lost, or all work.
  void doubt(bool lost);
  void hint();
  // Takes up passwords.
  void reload(const RedisConfig& fresh) { logins_.reload(fresh); }

  const std::string& name() const { return config_.name; }
  const RedisTarget& target() const { return config_.target; }
  Dialer& dialer() { return tls_ ? static_cast<Dialer&>(*tls_) : parts_.sockets; }
  std::vector<std::string> replicas() const;  // that the configuration names, "host:port"
  Credentials& credentials() { return logins_.redis(); }
  LinkOptions link_options(const char* client_name);
  // Where its primary is; not known(): a Cluster, or nobody has said so yet.
  const Endpoint& primary() const { return primary_; }
  const std::optional<Topology>& topology() const;  // of a Cluster

  // Of a node of a Cluster that is called so.
  std::optional<Endpoint> address_of(std::string_view place) const {
    return cluster_ ? cluster_->address_of(place) : std::nullopt;
  }

  bool drained() const { return drained_; }
  void set_drained(bool drained) { drained_ = drained; }
  // What it holds is older than the ledger's beginning.
  bool is_void() const { return void_; }
  void set_void(bool is_void) { void_ = is_void; }
  RegionHealth health() const {
    return {standby_.well() && !void_, standby_.well_since_us(), drained_};
  }
  std::string trouble() const;

  const SentinelWatch* sentinels() const { return sentinels_.get(); }
  const ClusterWatch* cluster() const { return cluster_.get(); }
  const TlsDialer* tls() const { return tls_.get(); }

 private:
  void on_primary(const Endpoint& primary) override;
  void on_topology(const Topology& topology) override;
  void on_node_serves(const Endpoint& node) override { events_.on_node_serves(*this, node); }
  void make_sentinels();
  void make_cluster_watch();
  std::string fact_name(std::string_view name) const;
  void look_after_standby();

  const RedisConfig& config_;
  Parts parts_;
  RegionEvents& events_;
  RedisLogins logins_;
  std::unique_ptr<TlsDialer> tls_;  // nullptr: the URL is not rediss://
  Endpoint primary_;
  std::unique_ptr<SentinelWatch> sentinels_;  // nullptr: the URL names no Sentinels
  std::unique_ptr<ClusterWatch> cluster_;     // nullptr: the URL names no Cluster
  Standby standby_;
  bool in_use_ = false;
  bool drained_ = false;
  bool void_ = false;
};

}  // namespace stayd
