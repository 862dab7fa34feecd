#include "redis/cluster_watch.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/info.h"
#include "redis/topology_change.h"
#include "resp/request_parser.h"

namespace stayd {

// One node: its link, and the answers under way.
class ClusterWatch::Node final : public UpstreamEvents, public ReplyHandler {
 public:
  Node(ClusterWatch& watch, const Endpoint& address)
      : watch_(watch),
        address_(address),
        link_(options(watch, address), watch.dialer_, *this, watch.of_links_, watch.random_) {
    link_.start(watch.now_);
  }

  void on_tick() { link_.on_tick(watch_.now_); }
  // It answers, and belongs to a Cluster.
  bool well() const { return well_; }

  void ask(bool hinted) {
    if (!link_.up()) return;
    if (link_.pending() > 0) {
      hinted_ = hinted_ || hinted;
      return;
    }
    hinted_ = false;
    state_ok_.reset();
    send({"CLUSTER", "INFO"}, kInfo);
    send({"CLUSTER", "NODES"}, kNodes);
  }

 private:
  enum Tag : std::uint64_t { kInfo, kNodes };

  static LinkOptions options(const ClusterWatch& watch, const Endpoint& address) {
    LinkOptions link = watch.options_.link;
    link.endpoint = address;
    link.hello_only = true;
    link.max_retry_ms = link.probe_interval_ms;
    return link;
  }

  void send(std::initializer_list<std::string_view> words, Tag tag) {
    std::string request;
    append_request(request, words);
    const auto deadline_us = watch_.now_.mono_us + watch_.options_.answer_deadline_ms * 1000;
    link_.send(request, -1, *this, tag, deadline_us, 1, Order::strict);
  }

  void on_upstream_up(const GateFacts&) override { ask(false); }
  void on_upstream_down(bool, std::string_view cause) override { fail(cause); }
  void on_upstream_push(std::string_view) override {}
  void on_upstream_lost(std::uint64_t) override {}

  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override {
    const ReplyView reply(frame);
    if (reply.is_error()) {
      fail(reply.text());
    } else if (tag == kInfo) {
      state_ok_ = info_field(reply.text(), "cluster_state") == "ok";
    } else {
      on_nodes(reply.text());
    }
    if (hinted_ && link_.pending() == 0) ask(false);  // it came while these were on their way
  }

  void on_nodes(std::string_view text) {
    const auto state_ok = std::exchange(state_ok_, std::nullopt);
    if (!state_ok) return;  // refused, which is told
    const auto names = watch_.options_.link.tls ? NodeNames::hostnames : NodeNames::addresses;
    auto view = parse_cluster_nodes(text, address_, names);
    if (!view) return fail("its CLUSTER NODES is not what Redis answers");
    well_ = std::ranges::any_of(view->nodes, [](const auto& node) { return !node.slots.empty(); });
    if (!well_) fail("it knows of no slots: is it part of a Cluster yet?");
    watch_.map_.on_answer(address_, {std::move(*view), *state_ok}, watch_.now_.mono_us);
    if (!std::exchange(serves_, *state_ok) && serves_) watch_.events_.on_node_serves(address_);
    watch_.answered_ = true;
  }

  void fail(std::string_view why) {
    well_ = serves_ = false;
    watch_.trouble_ = address_.text() + ": " + std::string(why);
  }

  ClusterWatch& watch_;
  const Endpoint address_;
  std::optional<bool> state_ok_;  // of CLUSTER INFO, until CLUSTER NODES comes
  bool well_ = false;
  bool serves_ = false;  // it has said cluster_state:ok last
  bool hinted_ = false;  // since it was last asked
  Link link_;
};

ClusterWatch::ClusterWatch(ClusterOptions options, Dialer& dialer, ClusterEvents& events,
                           EventSink& log, Counters& counters, Random& random)
    : options_(std::move(options)),
      dialer_(dialer),
      events_(events),
      log_(log),
      counters_(counters),
      random_(random) {}

ClusterWatch::~ClusterWatch() = default;

void ClusterWatch::start(Now now) {
  now_ = now;
  asked_us_ = answered_us_ = covered_us_ = now.mono_us;
  for (const Endpoint& seed : options_.seeds) map_.add_seed(seed);
  if (options_.known) {
    map_.resume(*options_.known, now.mono_us);
    told_ = options_.known;
    uncovered_ = map_.uncovered();
  }
  choose_nodes();
}

void ClusterWatch::on_tick(Now now) {
  now_ = now;
  for (const auto& [address, node] : nodes_) node->on_tick();
  const bool pressed = hinted_ && now.mono_us >= asked_us_ + options_.hint_pause_ms * 1000;
  if (pressed || now.mono_us >= next_ask_us_) ask_all();
  elect();
  if (map_.slots_move()) {
    next_ask_us_ = std::min(next_ask_us_, asked_us_ + options_.doubt_interval_ms * 1000);
  }
  if (std::exchange(answered_, false)) choose_nodes();
  tell_of_uncovered();
  tell_of_reach();
}

void ClusterWatch::doubt(bool a_shard_is_lost) {
  if (a_shard_is_lost && !doubted_) next_ask_us_ = 0;
  doubted_ = a_shard_is_lost;
}

void ClusterWatch::ask_all() {
  const bool often = doubted_ || lost_ || !map_.followed();
  std::int64_t wait_us = options_.doubt_interval_ms * 1000;
  if (!often) {
    wait_us = options_.ask_interval_ms * 900;
    wait_us += static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(options_.ask_interval_ms) * 200 + 1));
  }
  asked_us_ = now_.mono_us;
  next_ask_us_ = now_.mono_us + wait_us;
  const bool hinted = std::exchange(hinted_, false);
  map_.forget(now_.mono_us);
  choose_nodes();
  for (const auto& [address, node] : nodes_) node->ask(hinted);
}

// On a tick only: no node's own reply is being read then.
void ClusterWatch::choose_nodes() {
  const auto chosen = map_.to_ask();
  std::set<std::string> wanted;
  for (const Endpoint& address : chosen) wanted.insert(address.text());
  std::erase_if(nodes_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const Endpoint& address : chosen) {
    auto& node = nodes_[address.text()];
    if (!node) node = std::make_unique<Node>(*this, address);
  }
}

void ClusterWatch::elect() {
  const bool another = map_.elect(now_.mono_us);
  const bool confirms = !confirmed_ && map_.confirmed(now_.mono_us);
  if (!another && !confirms) return;
  confirmed_ = confirmed_ || confirms;
  const Topology& next = *map_.followed();
  if (!told_) {
    tell_of_first();
  } else if (!told_->same_primaries(next) || next.returned.any()) {
    tell_of_change(next);
  }
  told_ = next;
  uncovered_ = map_.uncovered();
  events_.on_topology(*told_);
}

std::size_t ClusterWatch::answering() const {
  const auto well = [](const auto& entry) { return entry.second->well(); };
  return static_cast<std::size_t>(std::ranges::count_if(nodes_, well));
}

void ClusterWatch::tell_of_first() const {
  const Topology& topology = *map_.followed();
  log_.on_event({Severity::info,
                 "topology_named",
                 "the Redis Cluster has " + std::to_string(topology.shards.size()) +
                     " shards, named by " + std::to_string(answering()) + " of " +
                     std::to_string(map_.known()) + " nodes: " + shortened(topology.text()),
                 {}});
}

void ClusterWatch::tell_of_change(const Topology& next) {
  counters_.primary_switches += switches_between(*told_, next);
  log_.on_event({Severity::warning,
                 "topology_changed",
                 "the Redis Cluster has changed: " + change_text(*told_, next) +
                     ": the connections to where slots were are given up",
                 {}});
}

void ClusterWatch::tell_of_uncovered() {
  if ((uncovered_ & ~uncovered_told_).none()) {
    uncovered_told_ = uncovered_;
    covered_us_ = now_.mono_us;
    return;
  }
  if (now_.mono_us - covered_us_ <= options_.tell_after_ms * 1000) return;
  uncovered_told_ = uncovered_;
  log_.on_event({Severity::warning,
                 "cluster_slots_uncovered",
                 "slots of the Redis Cluster belong to no node (" +
                     shortened(slot_ranges_text(uncovered_)) +
                     "): sessions in them are answered from the ledger",
                 {}});
}

void ClusterWatch::tell_of_reach() {
  if (answering() > 0) answered_us_ = now_.mono_us;
  const bool lost = now_.mono_us - answered_us_ > options_.tell_after_ms * 1000;
  if (lost == lost_) return;
  lost_ = lost;
  if (!lost) {
    log_.on_event(
        {Severity::info, "cluster_back", "a node of the Redis Cluster answers again", {}});
    return;
  }
  next_ask_us_ = 0;
  log_.on_event({Severity::warning,
                 "cluster_lost",
                 "no node of the Redis Cluster in redis.url, or that was learnt, answers (" +
                     trouble_ + "): " +
                     (map_.followed() ? "the last topology is used on"
                                      : "sessions are answered from the ledger"),
                 {}});
}

ClusterStatus ClusterWatch::status() const {
  ClusterStatus out;
  if (map_.followed()) {
    out.topology = *map_.followed();
    out.uncovered = slot_ranges_text(uncovered_);
    out.moving = slot_ranges_text(map_.moving());
  }
  for (const ClusterShard& shard : out.topology.shards) {
    out.config_epoch = std::max(out.config_epoch, shard.config_epoch);
  }
  out.known = map_.known();
  out.asked = nodes_.size();
  out.answering = answering();
  out.lost = lost_;
  if (lost_) out.trouble = trouble_;
  return out;
}

}  // namespace stayd
