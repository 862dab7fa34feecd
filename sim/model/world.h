// The small world: one key, one or two stayds (the real Engine and Link) on ledgers of their own,
// two Redis nodes, a few tabs. It does nothing by itself: `steps` says what may happen next, `take`
// does one of them. Between two steps nothing is half done.
//
// Everything it holds lies in the arena; the story does not, and outlives it. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "core/engine.h"
#include "redis/link.h"
#include "sim/model/key_states.h"
#include "sim/model/ledger.h"
#include "sim/model/story.h"
#include "sim/model/wires.h"
#include "sim/redis_model.h"
#include "sim/scheduler.h"

namespace stayd::sim::model {

enum class Kind : std::uint8_t {
  ask,          // tab `who` asks its next command
  redis_takes,  // of wire `n` of instance `who`
  stayd_takes,  // likewise
  write,        // the ledger of instance `who` does what it was given
  report,       // ... tells stayd
  sync,         // ... and the disk is in step
  wait,         // time passes until something happens
  fault,        // `fault`, at instance `who`; `n` changes of Redis' history are lost
  thaw,
  demote,  // the old primary ends its connections
  heal,    // the run goes on undisturbed to its end, which is compared (I14)
};
struct Step {
  Kind kind = Kind::ask;
  Fault fault = Fault::lose;
  std::uint8_t who = 0;
  std::uint16_t n = 0;
  bool operator==(const Step&) const = default;
};

class World final : private CallSink, private EventSink {
 public:
  // Requires: inside arena::Scope. Runs undisturbed until everything is TRUSTED and adopted.
  World(const Story& story, const EngineOptions& options, int max_faults);
  ~World() override;

  // What may happen next; empty: the run is over. Steps that commute with all others come alone.
  void steps(std::vector<Step>& out);
  void take(const Step& step);
  // Empty: everything has been as it must.
  const std::string& violation() const { return violation_; }
  void fail(const std::string& what);  // requires: inside arena::Scope
  // For people: what the step would do, and what a step has led to since it was last asked.
  std::string describe(const Step& step) const;
  // From now on what each command was told is part of the world; "tab:command=reply " of all.
  void remember_replies() { remembers_ = true; }
  std::string told() const;
  void listen(std::string* events) { events_ = events; }  // outside the arena

 private:
  // No auxiliary connection: the stories use none of its commands.
  class NoUpstream final : public Upstream {
   public:
    bool up() const override { return false; }
    void send(std::string_view, int, ReplyHandler&, std::uint64_t, std::int64_t, std::uint32_t,
              Order) override {}
    void condemn(std::string_view) override {}
    std::size_t pending() const override { return 0; }
  };
  struct Instance {
    Instance(World& world, int number);
    Ledger ledger;
    Wires wires;
    Random random{7};
    NoUpstream aux;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Link> data;
  };
  struct Asking {
    Call call;
    int id = 0;
    bool writes = false;
    bool answered = false;
  };
  struct Client {
    std::size_t next = 0;  // of its program
    std::unique_ptr<Asking> asking;
  };

  void start(int instance);
  void settle();
  void turn(int instance, const std::function<void()>& action);
  void on_reply(Call& call, std::string_view reply) override;
  void on_event(const Event& event) override;
  void tell(std::string_view text);

  // steps
  bool one_connection() const;
  void delivery_steps(std::vector<Step>& out) const;
  void fault_steps(std::vector<Step>& out) const;
  void prefixes(Fault fault, std::vector<Step>& out) const;
  bool redis_may_be_struck(const std::vector<Step>& possible, Fault fault) const;
  bool may_take(const Wire& wire) const;
  bool kill_may_strike() const;
  bool may_wait() const;
  bool in_step() const;
  bool asked_everything() const;
  WirePtr live_wire(int instance) const;
  const WirePtr& wire(const Step& step) const;

  // taking them
  void ask(int tab);
  void redis_takes(const WirePtr& wire);
  void wait();
  bool tick();
  void strike(const Step& step);
  void split(std::size_t lost);
  void kill(int instance);
  void lose(int instance, bool arrives);
  void thaw();
  void demote();
  void end_split();
  void heal();
  void compare();
  void compare(const Ledger& ledger);
  void forget_past();

  RedisModel& redis() { return *nodes_[primary_]; }
  const RedisModel& redis() const { return *nodes_[primary_]; }

  const Story* story_;
  const EngineOptions* options_;
  Scheduler clock_;
  Random random_{1};
  std::unique_ptr<RedisModel> nodes_[2];
  int primary_ = 0;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::vector<Client> clients_;
  KeyStates states_;
  int faults_left_ = 0;
  int waits_left_ = 0;
  int unnoticed_ = 0;  // waits until a heartbeat must have noticed what was done behind our back
  bool frozen_ = false;
  int frozen_waits_ = 0;
  bool split_ = false;
  bool healing_ = false;
  bool healed_ = false;
  bool evicted_ = false;
  int calm_ = 0;                    // waits in step, while healing
  std::int64_t heal_until_us_ = 0;  // I14
  bool remembers_ = false;
  std::map<int, std::string> told_;  // by operation, if remembered
  std::string violation_;
  std::string* events_ = nullptr;
};

}  // namespace stayd::sim::model
