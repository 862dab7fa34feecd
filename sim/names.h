// The name of a Redis whose primary moves: what the record says, and what a host's resolver makes
// of it. The record follows a promotion late; each host keeps an answer for its TTL, and may get
// none, an empty one, or one of before. Deterministic; one loop; owned by the Servers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "redis/name_resolver.h"
#include "redis/transport.h"
#include "sim/scheduler.h"

namespace stayd::sim {

class Servers;

class Names {
 public:
  static constexpr std::string_view kName = "redis.test";

  Names(Scheduler& scheduler, Random random, Servers& servers);

  void on_promoted();  // the record follows
  // --- faults
  enum class State : std::uint8_t {
    well,
    silent,  // answers come when that is over
    failing,
    empty,
  };
  void become(State state);
  bool well() const { return state_ == State::well; }
  // Every answer has it, but for those that hosts have kept.
  bool tells(const Endpoint& primary) const;
  std::int64_t ttl_us() const { return ttl_us_; }
  // Two answers take turns: what is so, and what was so before.
  void alternate(bool so) { alternates_ = so; }
  // Addresses where nobody is are answered, too.
  void add_dead(bool so) { adds_dead_ = so; }
  void heal();

 private:
  friend class HostResolver;
  void answer(NameResolver::Done done);
  NameAnswer record();

  Scheduler& scheduler_;
  Random random_;
  Servers& servers_;
  std::int64_t ttl_us_;
  std::string address_, before_;
  std::uint64_t moves_ = 0;
  State state_ = State::well;
  bool alternates_ = false, turn_ = false;
  bool adds_dead_ = false;
  std::uint64_t version_ = 0;  // what hosts have kept from before it is forgotten
  std::vector<NameResolver::Done> waiting_;
};

// Of one host: it outlives stayd's process.
class HostResolver final : public NameResolver {
 public:
  // `deliver` runs an event inside the client's process, or drops it when the process is dead.
  using Deliver = std::function<void(std::function<void()>)>;
  HostResolver(Names& names, Deliver deliver) : names_(names), deliver_(std::move(deliver)) {}
  void ask(const std::string& host, Done done) override;
  void on_kill() { ++life_; }  // whoever has asked is gone

 private:
  void pass_on(std::uint64_t life, const NameAnswer& answer, const Done& done);

  Names& names_;
  Deliver deliver_;
  std::uint64_t life_ = 0;
  NameAnswer kept_;
  std::int64_t kept_until_us_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace stayd::sim
