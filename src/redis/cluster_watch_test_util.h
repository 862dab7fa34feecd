// A watch on two halves of a Cluster that are scripts, for tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "redis/cluster_watch.h"
#include "resp/reply.h"

namespace stayd::testing {

struct Wire {
  TransportEvents* events = nullptr;
  std::string sent;
  int dials = 0;
  bool open = false;
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Wire& wire) : wire_(wire) {}
  ~FakeTransport() override { wire_.open = false; }
  void write(std::string_view bytes) override { wire_.sent += bytes; }
  std::size_t unsent_bytes() const override { return 0; }
  void close(bool) override { wire_.open = false; }

 private:
  Wire& wire_;
};

struct FakeDialer final : Dialer {
  std::unique_ptr<Transport> dial(const Endpoint& to, std::int64_t, TransportEvents& e) override {
    Wire& wire = wires[to.host];
    wire.events = &e;
    wire.open = true;
    ++wire.dials;
    return std::make_unique<FakeTransport>(wire);
  }
  std::map<std::string, Wire> wires;
};

// a has half of the slots, b the others; d is a's replica.
struct Halves {
  std::string a = "0-8000";
  std::string b = "8001-16383";
  int a_epoch = 1;
  bool promoted = false;  // d is the primary instead of a
};

inline std::string nodes_text(const std::string& self, const Halves& halves) {
  const auto line = [&](const std::string& id, const std::string& rest) {
    const std::string flags = id == self ? " myself," : " ";
    return id + " " + id + ":6379@16379" + flags + rest + "\n";
  };
  const std::string epoch = std::to_string(halves.a_epoch) + " connected ";
  const std::string primary = "master - 0 0 ";
  std::string out = line("b", primary + "2 connected " + halves.b);
  out += line("a", halves.promoted ? "slave d 0 0 " + epoch : primary + epoch + halves.a);
  out += line("d", halves.promoted ? primary + epoch + halves.a : "slave a 0 0 " + epoch);
  return out;
}

class ClusterWatchTest : public ::testing::Test, public ClusterEvents, public EventSink {
 protected:
  ClusterWatchTest() { start(); }
  ClusterOptions options() {
    ClusterOptions out;
    out.seeds = {{"a", 6379, ""}, {"seed", 6379, ""}};
    credentials.offer("secret");
    out.link.credentials = &credentials;
    return out;
  }
  void start() { start(options()); }
  void start(ClusterOptions with) {
    watch.reset();  // before what it is connected to
    dialer.wires.clear();
    watch.emplace(std::move(with), dialer, *this, *this, counters, random);
    watch->start(now);
    tick();
  }
  void tick(std::int64_t ms = 5) {
    now.mono_us += ms * 1000;
    watch->on_tick(now);
  }
  Wire& wire(const std::string& name) { return dialer.wires.at(name); }
  void feed(const std::string& name, const std::string& bytes) {
    wire(name).events->on_bytes(bytes);
  }
  void connect(const std::string& name) {
    wire(name).events->on_connected();
    wire(name).sent.clear();
    feed(name, "%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n");
  }
  void answer_text(const std::string& name, const std::string& nodes, bool ok = true) {
    std::string out;
    write_bulk(out,
               std::string("cluster_state:") + (ok ? "ok" : "fail") + "\r\ncluster_size:2\r\n");
    write_bulk(out, nodes);
    feed(name, out);
  }
  void answer(const std::string& name, const Halves& halves = {}) {
    answer_text(name, nodes_text(name, halves));
  }
  // a and b have answered, all is well.
  void settle() {
    connect("a");
    answer("a");
    tick();
    tick();
    connect("b");
    answer("b");
    tick();
    watch->doubt(false);
    told.clear();
    tick(300);
    for (const char* name : {"a", "b"}) {
      if (asked(name)) answer(name);
    }
  }
  bool asked(const std::string& name) {
    return std::exchange(wire(name).sent, "").find("NODES") != std::string::npos;
  }

  void on_topology(const Topology& topology) override { named += topology.text() + "\n"; }
  void on_node_serves(const Endpoint& node) override { serve += node.host + " "; }
  void on_event(const Event& event) override {
    told += std::string(event.name) + " ";
    last_text = event.text;
  }

  FakeDialer dialer;
  Counters counters;
  Random random{1};
  Credentials credentials{"", *this, counters};
  Now now{1'000'000, 0};
  std::string named, serve, told, last_text;
  std::optional<ClusterWatch> watch;
};

}  // namespace stayd::testing
