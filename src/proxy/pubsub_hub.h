// Who of stayd's clients listens to which channel and pattern, and the seam to the one upstream
// subscriber connection that serves them all.
//
//   SUBSCRIBE ─▶ ClientSession ─▶ PubSubHub ─ first/last listener ─▶ UpstreamPubSub (engine)
//   message   ◀─ ClientSession ◀─ PubSubHub ◀──────────── on_message ┘
//
// Ownership: listeners are not owned; each leaves before it dies. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace stayd {

class UpstreamPubSub {
 public:
  virtual ~UpstreamPubSub() = default;
  // The first local listener came (`on`) or the last one left. When Redis has confirmed it, the
  // hub's on_upstream_ready / on_upstream_left or their pattern forms are called.
  virtual void want_channel(std::string_view channel, bool on) = 0;
  virtual void want_pattern(std::string_view pattern, bool on) = 0;
};

// One client as the hub sees it. Implemented by ClientSession.
class PubSubListener {
 public:
  virtual ~PubSubListener() = default;
  virtual void push_message(std::string_view channel, std::string_view payload) = 0;
  virtual void push_pmessage(std::string_view pattern, std::string_view channel,
                             std::string_view payload) = 0;
  // Everything it waited for is ready, or the wait is over.
  virtual void on_subscribed() = 0;
};

class PubSubHub {
 public:
  // How long a SUBSCRIBE waits for Redis' confirmation before it is acknowledged anyway: the
  // client's subscription then begins when Redis is back.
  static constexpr std::int64_t kReadyWaitUs = 500'000;

  // Null detaches. Attaching asks for everything that is listened to.
  void set_upstream(UpstreamPubSub* upstream);

  // Adds the listener; returns false when it must wait for on_subscribed (see await).
  bool subscribe(std::string_view channel, PubSubListener& listener);
  bool psubscribe(std::string_view pattern, PubSubListener& listener);
  void unsubscribe(std::string_view channel, PubSubListener& listener);
  void punsubscribe(std::string_view pattern, PubSubListener& listener);
  // True when Redis has not yet confirmed something that this listener left.
  bool leaves(const PubSubListener& listener) const;
  // The listener is told once by on_subscribed: when no topic of its is unconfirmed, or in 500 ms.
  void await(PubSubListener& listener, Now now);
  // Ends a wait without telling; for a listener that goes, after it has left its topics.
  void forget(PubSubListener& listener);

  // From the engine: Redis confirmed; a message came.
  void on_upstream_ready(std::string_view channel);
  void on_upstream_pattern_ready(std::string_view pattern);
  void on_upstream_down();  // what was to be left has been left
  void on_upstream_left(std::string_view channel);
  void on_upstream_pattern_left(std::string_view pattern);
  void on_message(std::string_view channel, std::string_view payload);
  void on_pmessage(std::string_view pattern, std::string_view channel, std::string_view payload);

  // Local PUBLISH while Redis is out: to channel and pattern listeners; returns how many receivers.
  std::size_t publish(std::string_view channel, std::string_view payload);

  // Ends waits that are over. Call every few milliseconds.
  void tick(Now now);

  std::vector<std::string_view> channels(std::string_view pattern) const;  // "" = all
  std::size_t listeners(std::string_view channel) const;
  std::size_t patterns() const { return patterns_.size(); }
  // Redis sees one subscriber in place of all of ours: what PUBLISH and PUBSUB NUMSUB count there,
  // and what they would count without stayd.
  std::int64_t receivers_instead(std::string_view channel, std::int64_t counted) const;
  std::int64_t listeners_instead(std::string_view channel, std::int64_t counted) const;

 private:
  struct Topic {
    std::vector<PubSubListener*> listeners;
    bool ready = false;
  };
  using Topics = std::map<std::string, Topic, std::less<>>;
  struct Waiting {
    PubSubListener* listener;
    std::int64_t until_us;
  };

  bool add(Topics& topics, std::string_view name, PubSubListener& listener);
  void remove(Topics& topics, std::string_view name, PubSubListener& listener);
  void want(const Topics& topics, std::string_view name, bool on);
  void mark_ready(Topics& topics, std::string_view name);
  bool all_ready(const Topics& topics, const PubSubListener& listener) const;
  void left(const Topics& topics, std::string_view name);
  void release_ready();

  Topics channels_;
  Topics patterns_;
  std::vector<Waiting> waiting_;
  struct Leaving {
    const Topics* topics;
    std::string name;
    PubSubListener* listener;  // null: it is gone
  };
  std::vector<Leaving> leaving_;  // Redis has not yet confirmed; each is answered, or its link ends
  UpstreamPubSub* upstream_ = nullptr;
};

}  // namespace stayd
