// The shards of a FakeCluster on a ledger in memory, with a clock that the test winds.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "redis/cluster_test_util.h"
#include "redis/shard_set.h"
#include "resp/command_table.h"
#include "store/memory/memory_store.h"

namespace stayd::testing {

inline constexpr std::string_view kLow = "0-8191";
inline constexpr std::string_view kHigh = "8192-16383";

inline SlotSet slots(std::string_view ranges) {
  return parse_slot_ranges(ranges).value();
}

// A session in this slot's half, third, ...
inline std::string key_in(std::string_view ranges) {
  for (int i = 0;; ++i) {
    const std::string key = "sess:" + std::to_string(i);
    if (slots(ranges)[slot_of(key)]) return key;
  }
}

struct Shards {
  std::string node;
  std::string ranges;
  std::uint64_t config_epoch = 0;
};

inline Topology topology(const std::vector<Shards>& shards) {
  Topology out;
  for (const auto& [node, ranges, config_epoch] : shards) {
    ClusterShard shard;
    shard.config_epoch = config_epoch;
    shard.primary_id = node;
    shard.primary = {node, 6379, ""};
    shard.slots = slots(ranges);
    out.shards.push_back(std::move(shard));
  }
  return out;
}

struct Request {
  std::deque<std::string> words;
  Call call;
  std::string reply;
};

class ShardSetTest : public ::testing::Test, public EventSink, public CallSink {
 protected:
  ~ShardSetTest() override {
    // Whatever hangs would be told of after its end.
    for (const auto& request : requests) EXPECT_NE(request->reply, "") << request->words[0];
  }

  void start(std::vector<SessionPolicy> policies = {}) {
    ShardSetOptions options;
    options.cluster = true;
    options.stack.engine.replica_reads = replica_reads;
    options.stack.engine.region = region;
    set = std::make_unique<ShardSet>(std::move(options), std::move(policies), store, cluster,
                                     counters, *this, random);
    set->set_hint([this] { ++hints; });
    set->start(now);
  }
  // kill -9, and a new life.
  void restart() {
    store.submit();
    set.reset();
    store.crash();
    start();
  }
  void tick() {
    now.mono_us += 5'000;
    now.wall_ms += 5;
    set->set_now(now);
    set->on_tick(now);
    cluster.deliver();
    store.submit();
    if (ledger_works) store.deliver();
  }
  void run(std::int64_t ms) {
    for (std::int64_t i = 0; i < ms; i += 5) tick();
  }
  bool until(const std::function<bool()>& done, std::int64_t ms = 5'000) {
    for (std::int64_t i = 0; i < ms && !done(); i += 5) tick();
    return done();
  }
  bool settled() {
    const auto all = [this] {
      const auto status = set->status();
      return status.shard.trust == Trust::trusted && status.shard.debts == 0 && moved();
    };
    return until(all);
  }
  bool moved() const { return owners() == wanted; }

  // The Cluster has come to this, keys included, and stayd is told.
  void reshard(const std::vector<Shards>& shards) {
    std::map<std::string, std::string, std::less<>> keys;
    for (const auto& node : nodes) keys.merge(cluster.node(node).data);
    for (const auto& node : nodes) cluster.node(node).slots.reset();
    for (const auto& [name, ranges, config_epoch] : shards) {
      const std::string node = name + ":6379";
      nodes.insert(node);
      cluster.node(node).slots = slots(ranges);
    }
    for (const auto& node : nodes) cluster.node(node).data.clear();
    for (const auto& [key, value] : keys) {
      if (key.find(":lease:") != std::string::npos) continue;  // these end by themselves
      for (const auto& node : nodes) {
        if (cluster.node(node).slots[slot_of(key)]) cluster.node(node).data[key] = value;
      }
    }
    tell(shards);
  }
  void tell(const std::vector<Shards>& shards) {
    wanted.clear();
    for (const auto& [node, ranges, config_epoch] : shards) wanted[node + ":6379"] = ranges;
    set->on_topology(topology(shards));
  }
  // Which slots are where, as stayd has it.
  std::map<std::string, std::string> owners() const {
    std::map<std::string, std::string> out;
    for (const auto& shard : set->status().shards) out[shard.status.address] = shard.slots;
    return out;
  }
  std::string id_of(const std::string& node) const {
    for (const auto& shard : set->status().shards) {
      if (shard.status.address == node + ":6379") return shard.id;
    }
    return "none";
  }
  Trust trust_of(const std::string& node) const {
    for (const auto& shard : set->status().shards) {
      if (shard.status.address == node + ":6379") return shard.status.trust;
    }
    return Trust::out;
  }
  FakeNode& node(const std::string& name) { return cluster.node(name + ":6379"); }

  Request& ask(std::vector<std::string> words, std::uint64_t client = 1) {
    auto& request = *requests.emplace_back(std::make_unique<Request>());
    request.words.assign(words.begin(), words.end());
    fill(request.call, request.words, client);
    set->handler().submit(request.call);
    return request;
  }
  void fill(Call& call, const std::deque<std::string>& words, std::uint64_t client) {
    for (const auto& word : words) call.args.push_back(word);
    append_request(call.raw, call.args);
    call.spec = find_command(call.args);
    call.client_id = client;
    call.sink = this;
  }
  Request& exec(const std::vector<std::string>& words) {
    auto& request = *requests.emplace_back(std::make_unique<Request>());
    request.words = {"exec"};
    fill(request.call, request.words, 1);
    request.call.pinned = true;
    block.assign(words.begin(), words.end());
    fill(*request.call.block.emplace_back(std::make_unique<Call>()), block, 1);
    set->handler().submit(request.call);
    return request;
  }
  std::string reply_to(std::vector<std::string> words) {
    Request& request = ask(std::move(words));
    until([&] { return !request.reply.empty(); });
    return request.reply;
  }
  void on_reply(Call& call, std::string_view reply) override {
    for (const auto& request : requests) {
      if (&request->call == &call) request->reply = reply;
    }
  }
  void on_event(const Event&) override {}

  Now now{1'000'000, 1'700'000'000'000};
  MemoryStore store{[this] { return now.wall_ms; }};
  FakeCluster cluster;
  Counters counters;
  Random random{1};
  std::set<std::string> nodes;
  std::map<std::string, std::string> wanted;
  std::deque<std::string> block;
  std::vector<std::unique_ptr<Request>> requests;
  bool ledger_works = true;
  bool replica_reads = false;
  std::string region;  // that a start begins with
  int hints = 0;
  std::unique_ptr<ShardSet> set;
};

// Of two shards, x and y, that are trusted.
class DividedTest : public ShardSetTest {
 protected:
  explicit DividedTest(std::string in_use = {}) {
    region = std::move(in_use);
    start();
    reshard({{"x", std::string(kLow)}, {"y", std::string(kHigh)}});
    EXPECT_TRUE(settled());
  }
};

}  // namespace stayd::testing
