// Three Sentinels and what they make of one Redis and its replicas. Each has its own view of who is
// the primary; two that see it down for long enough promote a replica, the others hear of it later,
// or not while they are cut off. They speak RESP, as the product's SentinelWatch asks them.
//
//   Servers ◀─ looked at ─ Sentinel 0..2 ─ down for two of them ─▶ promote() ─▶ new view, epoch + 1
//                              ▲  └─ hello, up to 2 s later ─▶ the others
//                              └── stayd: SENTINEL ..., SUBSCRIBE +switch-master
//
// Deterministic; one loop; owned by the Servers.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "redis/transport.h"
#include "sim/scheduler.h"
#include "sim/server.h"

namespace stayd::sim {

class Servers;

class Sentinel final : public Server {
 public:
  struct View {
    Endpoint primary;
    std::uint64_t epoch = 0;
  };
  enum class State : std::uint8_t {
    well,
    dead,
    frozen,    // takes bytes, does nothing
    refusing,  // wants a password
    ignorant,  // knows no primary of this name
  };

  bool listening() const override { return state != State::dead; }
  const std::string& run_id() const override { return id; }
  bool frozen() const override { return state == State::frozen; }

  // Takes part in what the Sentinels decide.
  bool takes_part() const { return !cut && state != State::dead && state != State::frozen; }
  void become(State next);  // connections end with a dead one; a frozen one goes on where it was
  void tell_switch(const Endpoint& from);

  std::string id;
  std::map<std::string, Endpoint> others;  // by their ids
  View view;
  std::optional<Endpoint> leads_from;  // its failover is not over: MASTER has still this address
  State state = State::well;
  bool cut = false;           // from Redis and from the other Sentinels, not from stayd
  std::int64_t seen_us = 0;   // when the primary of its view answered last
  std::int64_t hears_us = 0;  // when it hears of a newer view; 0: of none

 private:
  void command(Peer& peer, const Args& args, std::string& out) override;
  void describe(std::string& out) const;
};

class Sentinels {
 public:
  static constexpr std::size_t kCount = 3;
  static constexpr std::string_view kHost = "sentinel";
  static constexpr std::string_view kPrimaryName = "mymaster";

  Sentinels(Scheduler& scheduler, Random random, Servers& servers);

  static Endpoint endpoint(std::size_t number);
  Server* at(const Endpoint& endpoint);  // nullptr: nobody is there
  Sentinel& operator[](std::size_t number) { return sentinels_[number]; }
  // Nothing that a client is to believe more than those that name the present primary. It does not
  // take most of them, but where a failover of a set that is new has an epoch of before.
  bool tell_primary() const;

  // A replica takes over; what it lacks is the caller's matter.
  std::function<void()> promote = [] {};
  // --- faults
  // SENTINEL FAILOVER. False: too few of them work, or one is under way.
  bool fail_over();
  // The present primary is cut off from Sentinels and replicas, not from stayd.
  void cut_primary();
  void join_primary() { cut_off_.reset(); }
  std::optional<std::int64_t> primary_cut_us() const;  // since when; nullopt: it is not
  // The whole set is new: other ids, no epochs.
  void set_up_anew();
  // It starts from a configuration of long ago.
  void forget(std::size_t number);
  void heal();

 private:
  void look();
  bool reaches(const Sentinel& one, const Endpoint& primary) const;
  void hear(Sentinel& one);
  void judge();
  void lead(std::size_t leader);
  void demote_old();
  void introduce();
  bool majority() const;

  Scheduler& scheduler_;
  Random random_;
  Servers& servers_;
  std::array<Sentinel, kCount> sentinels_;
  std::int64_t down_after_us_;
  std::uint64_t epoch_ = 1;  // the highest so far
  std::uint64_t generation_ = 1;
  std::uint64_t failover_ = 0;      // the number of the last
  bool failing_over_ = false;       // it is under way
  std::int64_t not_before_us_ = 0;  // the next
  std::optional<Endpoint> cut_off_;
  std::int64_t cut_off_us_ = 0;
  std::int64_t old_since_us_ = 0;  // the old primary is reached, and says it is one; 0: is not
  Endpoint first_;
};

}  // namespace stayd::sim
