#include "daemon/pubsub_relay.h"

#include <utility>

#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

PubSubRelay::PubSubRelay(PubSubHub& hub, EventSink& events, std::function<void()> start_link)
    : hub_(hub), events_(events), start_link_(std::move(start_link)) {}

void PubSubRelay::on_tick(Now now) {
  now_ = now;
  if (now.mono_us < next_probe_us_ || upstream_ == nullptr || !upstream_->up()) return;
  next_probe_us_ = now.mono_us + kProbeIntervalUs;
  std::string out;
  append_request(out, {"PING"});
  upstream_->send(out, -1, *this, 0, now.mono_us + kDeadlineUs);
}

void PubSubRelay::want(Names& names, std::string_view command, std::string_view name, bool on) {
  if (on && start_link_) std::exchange(start_link_, nullptr)();
  if (on) {
    names.emplace(name);
  } else if (const auto found = names.find(name); found != names.end()) {
    names.erase(found);
  }
  if (upstream_ != nullptr && upstream_->up()) return send(command, name);
  if (!on) confirm_left(&names == &channels_, name);  // with no connection there is nothing to end
}

void PubSubRelay::confirm_left(bool channel, std::string_view name) {
  if (channel) {
    hub_.on_upstream_left(name);
  } else {
    hub_.on_upstream_pattern_left(name);
  }
}

void PubSubRelay::want_channel(std::string_view channel, bool on) {
  want(channels_, on ? "SUBSCRIBE" : "UNSUBSCRIBE", channel, on);
}

void PubSubRelay::want_pattern(std::string_view pattern, bool on) {
  want(patterns_, on ? "PSUBSCRIBE" : "PUNSUBSCRIBE", pattern, on);
}

void PubSubRelay::send(std::string_view command, std::string_view name) {
  std::string out;
  append_request(out, {command, name});
  append_request(out, {"PING"});
  upstream_->send(out, -1, *this, 0, now_.mono_us + kDeadlineUs);
}

void PubSubRelay::on_upstream_up(const GateFacts&) {
  for (const std::string& channel : channels_) send("SUBSCRIBE", channel);
  for (const std::string& pattern : patterns_) send("PSUBSCRIBE", pattern);
}

// Clients stay subscribed; messages published meanwhile are lost, as with any reconnect.
void PubSubRelay::on_upstream_down(bool never_up, std::string_view cause) {
  if (!never_up) {
    events_.on_event({Severity::warning,
                      "pubsub_lost",
                      "the connection that listens for subscribers is lost (" + std::string(cause) +
                          "): what is published until it is back is missed",
                      {}});
  }
  hub_.on_upstream_down();
}

void PubSubRelay::on_upstream_push(std::string_view frame) {
  auto elements = ReplyView(frame).elements();
  ReplyView kind, first, second, third;
  if (!elements.next(kind) || !elements.next(first)) return;
  if (kind.text() == "subscribe") {
    hub_.on_upstream_ready(first.text());
  } else if (kind.text() == "psubscribe") {
    hub_.on_upstream_pattern_ready(first.text());
  } else if (kind.text() == "unsubscribe" || kind.text() == "punsubscribe") {
    confirm_left(kind.text() == "unsubscribe", first.text());
  } else if (kind.text() == "message" && elements.next(second)) {
    hub_.on_message(first.text(), second.text());
  } else if (kind.text() == "pmessage" && elements.next(second) && elements.next(third)) {
    hub_.on_pmessage(first.text(), second.text(), third.text());
  }
}

}  // namespace stayd
