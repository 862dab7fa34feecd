// The metrics page: prometheus-cpp's data model and text writer over a snapshot; nothing is
// registered and the hot path knows nothing of it.
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "daemon/pages.h"

namespace stayd {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Page {
 public:
  void counter(std::string name, std::string help, double value) {
    ClientMetric metric;
    metric.counter.value = value;
    add(std::move(name), std::move(help), MetricType::Counter).metric.push_back(metric);
  }
  void gauge(std::string name, std::string help, double value) {
    gauges(std::move(name), std::move(help), "", {{"", value}});
  }
  // One series for each value of `label`.
  void gauges(std::string name, std::string help, const std::string& label,
              const std::vector<std::pair<std::string, double>>& values) {
    MetricFamily& family = add(std::move(name), std::move(help), MetricType::Gauge);
    for (const auto& [text, value] : values) {
      ClientMetric metric;
      if (!label.empty()) metric.label.push_back({label, text});
      metric.gauge.value = value;
      family.metric.push_back(metric);
    }
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  MetricFamily& add(std::string name, std::string help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = std::move(name);
    family.help = std::move(help);
    family.type = type;
    return family;
  }
  std::vector<MetricFamily> families_;
};

double number(bool value) {
  return value ? 1 : 0;
}
double number(std::uint64_t value) {
  return static_cast<double>(value);
}
double seconds(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

void add_shard(Page& page, const ShardStatus& shard) {
  std::vector<std::pair<std::string, double>> states;
  for (const Trust trust : {Trust::out, Trust::suspect, Trust::trusted}) {
    states.emplace_back(std::string(trust_name(trust)), number(shard.trust == trust));
  }
  page.gauges("stayd_shard_trust", "What is believed of Redis' memory; 1 for the present state",
              "state", states);
  page.gauge("stayd_shard_since_seconds", "Unix time of the last change of trust",
             seconds(shard.since_ms));
  page.gauge("stayd_redis_connected", "1 while the data connection to Redis is up",
             number(shard.connected));
  page.gauge("stayd_shard_shared_unsafe", "1 while another stayd works on the same Redis",
             number(shard.shared_unsafe));
  page.gauges("stayd_breaker_closed", "Circuit breaker: 1 while Redis takes such commands",
              "capability",
              {{"read", number(shard.reads_closed)},
               {"write", number(shard.writes_closed)},
               {"delete", number(shard.deletes_closed)}});
  page.gauge("stayd_debts", "Rows that Redis has not confirmed", number(shard.debts));
  page.gauge("stayd_debts_complete", "0 when there are more debts than the table holds",
             number(shard.debts_complete));
  page.gauge("stayd_reconcile_rows", "Rows replayed in the present reconcile",
             number(shard.reconcile_done));
  page.gauge("stayd_trust_epoch", "Counts the times Redis' memory may have changed unseen",
             static_cast<double>(shard.trust_epoch));
  page.gauge("stayd_heartbeat_timestamp_seconds", "Unix time of the last heartbeat",
             seconds(shard.last_heartbeat_ms));
  page.gauge("stayd_heartbeat_round_trip_seconds", "Duration of the last heartbeat",
             static_cast<double>(shard.round_trip_us) / 1e6);
}

void add_ledger(Page& page, const EngineStatus& engine) {
  const StoreStats& store = engine.store;
  page.gauge("stayd_ledger_ok", "1 while the ledger can be written", number(engine.ledger_ok));
  page.gauge("stayd_keys_to_read_back", "Keys of which only Redis has the last value",
             number(engine.to_read_back));
  page.gauge("stayd_ledger_rows", "Rows in the ledger, estimated", number(store.rows_estimate));
  page.gauge("stayd_ledger_disk_bytes", "Size of the ledger on disk", number(store.disk_bytes));
  page.gauge("stayd_ledger_memory_bytes", "Memory of the ledger's buffers and cache",
             number(store.memory_bytes));
  page.gauge("stayd_ledger_queue", "Operations waiting for the ledger", number(store.queued));
  page.counter("stayd_ledger_applied_total", "Mutations applied", number(store.applied_total));
  page.counter("stayd_ledger_batches_total", "Batches written", number(store.batches_total));
  page.counter("stayd_ledger_syncs_total", "Syncs to disk", number(store.sync_total));
  page.gauge("stayd_ledger_data_key", "The data key that values are sealed under; 0: in clear",
             number(std::uint64_t{store.data_key}));
  page.gauge("stayd_ledger_resealing", "1 while values may be sealed under another data key",
             number(store.resealing));
  page.gauge("stayd_adoption_complete", "1 when every key of Redis is in the ledger",
             number(engine.adoption_complete));
  page.gauge("stayd_near_cache_records", "Records in the near cache",
             number(engine.cached_records));
  page.gauge("stayd_near_cache_bytes", "Memory of the near cache", number(engine.cached_bytes));
  page.gauge("stayd_replicas_known", "Replicas that may be asked while their primary is out",
             number(engine.replicas_known));
  page.gauge("stayd_calls_under_way", "Commands without a reply yet",
             number(engine.calls_under_way));
}

void add_process(Page& page, const ProcessFacts& process, const EngineStatus& engine) {
  page.gauge("stayd_clients", "Clients of the Redis port", number(process.clients));
  page.gauges("stayd_mode", "1 for the present mode", "mode",
              {{"protect", number(engine.mode == "protect")},
               {"observe", number(engine.mode == "observe")}});
  page.gauges("stayd_build_info", "Always 1", "version", {{process.version, 1}});
  page.gauge("process_resident_memory_bytes", "Resident memory", number(process.resident_bytes));
  page.gauge("process_open_fds", "Open file descriptors", number(process.open_fds));
  page.gauge("process_max_fds", "Limit of file descriptors", number(process.max_fds));
  page.counter("process_cpu_seconds_total", "User and system CPU time", process.cpu_seconds);
  page.gauge("process_start_time_seconds", "Unix time of the start", seconds(process.started_ms));
}

void add_certificates(Page& page,
                      const std::vector<std::pair<std::string, std::int64_t>>& certificates) {
  std::vector<std::pair<std::string, double>> ends;
  for (const auto& [whose, end_s] : certificates) {
    if (end_s != 0) ends.emplace_back(whose, static_cast<double>(end_s));
  }
  if (ends.empty()) return;
  page.gauges("stayd_certificate_expires_seconds", "Unix time at which a TLS certificate ends",
              "certificate", ends);
}

void add_login_probes(Page& page, const std::vector<LoginProbeStatus>& probes) {
  std::vector<std::pair<std::string, double>> failing, last_ok;
  for (const LoginProbeStatus& probe : probes) {
    failing.emplace_back(probe.address, number(probe.failing));
    last_ok.emplace_back(probe.address, seconds(probe.last_ok_ms));
  }
  if (probes.empty()) return;
  page.gauges("stayd_login_probe_failing",
              "1 while new connections to Redis fail, though those in use work", "redis", failing);
  page.gauges("stayd_login_probe_success_seconds",
              "Unix time of the last connection of the probe that succeeded; 0: none yet", "redis",
              last_ok);
}

void add_sentinels(Page& page, const SentinelStatus& sentinels) {
  page.gauge("stayd_sentinels_known", "Sentinels, named and learnt", number(sentinels.known));
  page.gauge("stayd_sentinels_answering", "Sentinels that name a primary at present",
             number(sentinels.answering));
  page.gauge("stayd_sentinel_config_epoch", "The config-epoch of the primary that is followed",
             number(sentinels.config_epoch));
}

void add_cluster(Page& page, const ClusterStatus& cluster, const std::vector<NamedShard>& shards) {
  page.gauge("stayd_cluster_nodes_known", "Nodes of the Cluster, named and learnt",
             number(cluster.known));
  page.gauge("stayd_cluster_nodes_asked", "Nodes that are asked for the topology",
             number(cluster.asked));
  page.gauge("stayd_cluster_nodes_answering", "Nodes of those that answer at present",
             number(cluster.answering));
  page.gauge("stayd_cluster_config_epoch", "The highest config-epoch in the topology",
             number(cluster.config_epoch));
  std::vector<std::pair<std::string, double>> trusted, debts;
  for (const NamedShard& shard : shards) {
    trusted.emplace_back(shard.id, number(shard.status.trust == Trust::trusted));
    debts.emplace_back(shard.id, number(shard.status.debts));
  }
  page.gauges("stayd_cluster_shard_trusted", "1 while this shard's memory is trusted", "shard",
              trusted);
  page.gauges("stayd_cluster_shard_debts", "Rows that this shard has not confirmed", "shard",
              debts);
}

void add_regions(Page& page, const std::vector<RegionStatus>& regions) {
  std::vector<std::pair<std::string, double>> in_use, well, drained;
  for (const RegionStatus& region : regions) {
    in_use.emplace_back(region.name, number(region.in_use));
    drained.emplace_back(region.name, number(region.drained));
    if (!region.in_use) well.emplace_back(region.name, number(region.well));
  }
  if (regions.empty()) return;
  page.gauges("stayd_region_in_use", "1 for the [[redis]] that is used", "region", in_use);
  page.gauges("stayd_region_well", "1 while a [[redis]] that is not in use takes writes", "region",
              well);
  page.gauges("stayd_region_drained", "1 while this [[redis]] is to be left alone", "region",
              drained);
}

void add_backup(Page& page, const BackupFacts& backup) {
  const FleetStatus& fleet = backup.fleet;
  page.gauge("stayd_backup_up", "1 while the shared backup answers", number(fleet.backup.up));
  page.gauge("stayd_backup_writable", "1 while the shared backup takes writes",
             number(fleet.backup.writable));
  page.gauge("stayd_backup_clock_offset_seconds", "The backup's clock minus this host's",
             seconds(fleet.backup.clock_offset_ms));
  page.gauge("stayd_backup_unshipped_rows", "Rows of the ledger that the backup may not have",
             number(fleet.unshipped - fleet.put_off));
  page.gauge("stayd_backup_oldest_unshipped_seconds", "How long the oldest of these has waited",
             seconds(backup.oldest_unshipped_ms));
  page.gauge("stayd_backup_put_off_rows", "Rows of which the backup lacks a later expiry only",
             number(fleet.put_off));
  page.gauge("stayd_backup_feed_age_seconds",
             "Since the feed of the backup was read to its end; -1: never",
             backup.feed_age_ms < 0 ? -1 : seconds(backup.feed_age_ms));
  page.counter("stayd_backup_feed_rows_total", "Rows of other stayds that the ledger has taken",
               number(fleet.rows_taken));
  page.gauge("stayd_backup_reads_under_way", "Keys that the backup is being asked for",
             number(fleet.reads));
  page.gauge("stayd_backup_queue", "Operations that wait for a connection to the backup",
             number(fleet.backup.queued));
  page.gauge("stayd_backup_restoring",
             "1 while every row of the ledger is written to a restored backup",
             number(fleet.restoring));
  page.gauge("stayd_backup_other_hosts", "Other stayds that were seen on this backup lately",
             number(backup.others.size()));
  page.gauge("stayd_backup_hosts_at_work", "Other stayds that are seen to write to this Redis",
             number(fleet.at_work));
}

}  // namespace

std::string render_metrics(const PageInput& input) {
  Page page;
  page.gauge("stayd_ready", "1 when /readyz says 200", number(judge_readiness(input).ready));
  add_shard(page, input.engine.shard);
  add_ledger(page, input.engine);
  add_process(page, input.process, input.engine);
  add_certificates(page, input.process.certificates);
  add_login_probes(page, input.process.login_probes);
  add_regions(page, input.process.regions);
  if (input.process.backup) add_backup(page, *input.process.backup);
  if (input.process.sentinels) add_sentinels(page, *input.process.sentinels);
  if (input.process.cluster) add_cluster(page, *input.process.cluster, input.engine.shards);
#define X(name, help) page.counter("stayd_" #name "_total", help, number(input.counters.name));
  STAYD_COUNTERS(X)
#undef X
  return page.text();
}

}  // namespace stayd
