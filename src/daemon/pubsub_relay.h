// The one subscriber connection to Redis behind the hub of the Redis port: subscribes to what
// stayd's clients listen to, and again after every reconnect. Made apart from the data connection
// so that a flood of messages delays no session.
//
// Sans-I/O on an Upstream; loop thread only. Owns nothing; hub, events and upstream outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/types.h"
#include "core/upstream.h"
#include "observe/events.h"
#include "proxy/pubsub_hub.h"

namespace stayd {

class PubSubRelay final : public UpstreamPubSub, public UpstreamEvents, private ReplyHandler {
 public:
  static constexpr std::int64_t kProbeIntervalUs = 1'000'000;
  static constexpr std::int64_t kDeadlineUs = 5'000'000;

  // `start_link`: called once, when the first client listens; until then nothing connects.
  PubSubRelay(PubSubHub& hub, EventSink& events, std::function<void()> start_link);
  void attach(Upstream& upstream) { upstream_ = &upstream; }
  void on_tick(Now now);

  // UpstreamPubSub
  void want_channel(std::string_view channel, bool on) override;
  void want_pattern(std::string_view pattern, bool on) override;
  // UpstreamEvents
  void on_upstream_up(const GateFacts& facts) override;
  void on_upstream_down(bool never_up, std::string_view cause) override;
  void on_upstream_push(std::string_view frame) override;

 private:
  using Names = std::set<std::string, std::less<>>;
  void want(Names& names, std::string_view command, std::string_view name, bool on);
  void confirm_left(bool channel, std::string_view name);
  // In RESP3 the acknowledgements are pushes; the PING behind the command has the one reply.
  void send(std::string_view command, std::string_view name);
  void on_upstream_reply(std::uint64_t, std::string_view) override {}
  void on_upstream_lost(std::uint64_t) override {}

  PubSubHub& hub_;
  EventSink& events_;
  std::function<void()> start_link_;
  Upstream* upstream_ = nullptr;
  Names channels_;
  Names patterns_;
  Now now_;
  std::int64_t next_probe_us_ = 0;
};

}  // namespace stayd
