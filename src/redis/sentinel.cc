#include "redis/sentinel.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  if (ec != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// The value of a field in a map, or in an array of names and values.
std::string_view field(const ReplyView& reply, std::string_view name) {
  auto pairs = reply.elements();
  ReplyView key, value;
  while (pairs.next(key) && pairs.next(value)) {
    if (key.text() == name) return value.text();
  }
  return {};
}

std::optional<Endpoint> endpoint_of(std::string_view host, std::string_view port_text) {
  const auto port = number_of<std::uint16_t>(port_text);
  if (host.empty() || !port || *port == 0) return std::nullopt;
  return Endpoint{std::string(host), *port, ""};
}

}  // namespace

std::optional<std::uint64_t> sentinel_epoch(const ReplyView& master) {
  return number_of<std::uint64_t>(field(master, "config-epoch"));
}

std::optional<Endpoint> sentinel_address(const ReplyView& address) {
  auto parts = address.elements();
  ReplyView host, port;
  if (!parts.next(host) || !parts.next(port)) return std::nullopt;
  return endpoint_of(host.text(), port.text());
}

// One Sentinel: its link, and the answers under way.
class SentinelWatch::Sentinel final : public UpstreamEvents, public ReplyHandler {
 public:
  Sentinel(SentinelWatch& watch, std::size_t index, const Endpoint& address)
      : watch_(watch),
        index_(index),
        address_(address.text()),
        link_(options(watch, address), watch.dialer_, *this, watch.of_links_, watch.random_) {
    link_.start(watch.now_);
  }

  void on_tick() { link_.on_tick(watch_.now_); }

  void ask() {
    if (!link_.up() || link_.pending() > 0) return;
    hinted_ = false;
    epoch_.reset();
    std::string request;
    // Its answer is a push, and no reply.
    if (std::exchange(fresh_, false)) append_request(request, {"SUBSCRIBE", "+switch-master"});
    const std::string& name = watch_.options_.primary_name;
    append_request(request, {"SENTINEL", "MYID"});
    send(request, kMyId);
    send({"SENTINEL", "MASTER", name}, kMaster);
    send({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name}, kAddress);
    send({"SENTINEL", "SENTINELS", name}, kOthers);
  }

 private:
  enum Tag : std::uint64_t { kMyId, kMaster, kAddress, kOthers };

  static LinkOptions options(const SentinelWatch& watch, const Endpoint& address) {
    LinkOptions link = watch.options_.link;
    link.endpoint = address;
    link.hello_only = true;
    link.max_retry_ms = link.probe_interval_ms;
    return link;
  }

  void send(std::initializer_list<std::string_view> words, Tag tag) {
    std::string request;
    append_request(request, words);
    send(request, tag);
  }
  void send(const std::string& request, Tag tag) {
    const auto deadline_us = watch_.now_.mono_us + watch_.options_.answer_deadline_ms * 1000;
    link_.send(request, -1, *this, tag, deadline_us, 1, Order::strict);
  }

  void on_upstream_up(const GateFacts&) override {
    fresh_ = true;
    refused_ = false;
    ask();
  }
  // What it refused says more than how the connection ended for that: a SUBSCRIBE that is refused
  // has a reply, and so there is one too many.
  void on_upstream_down(bool, std::string_view cause) override {
    if (!std::exchange(refused_, false)) fail(cause);
  }
  void on_upstream_push(std::string_view frame) override {
    auto parts = ReplyView(frame).elements();
    ReplyView kind;
    if (!parts.next(kind) || kind.text() != "message") return;
    watch_.next_ask_us_ = 0;
    hinted_ = true;
  }
  void on_upstream_lost(std::uint64_t) override {}

  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override {
    const ReplyView reply(frame);
    if (reply.is_error()) {
      refused_ = true;
      fail(reply.text());
    } else if (tag == kMyId) {
      if (!reply.text().empty()) watch_.election_.identify(index_, std::string(reply.text()));
    } else if (tag == kMaster) {
      epoch_ = sentinel_epoch(reply);
    } else if (tag == kAddress) {
      on_address(reply);
    } else {
      on_others(reply);
    }
    if (hinted_ && link_.pending() == 0) ask();  // it came while these were on their way
  }

  void on_address(const ReplyView& reply) {
    const auto primary = sentinel_address(reply);
    const auto epoch = std::exchange(epoch_, std::nullopt);
    if (!primary || !epoch) return;
    refused_ = false;
    watch_.election_.on_answer(index_, {*primary, *epoch}, watch_.now_.mono_us);
    watch_.elect();
  }

  void on_others(const ReplyView& reply) {
    auto others = reply.elements();
    ReplyView other;
    while (others.next(other)) {
      const auto address = endpoint_of(field(other, "ip"), field(other, "port"));
      if (address) watch_.add(*address, std::string(field(other, "runid")), watch_.now_.mono_us);
    }
  }

  void fail(std::string_view why) { watch_.trouble_ = address_ + ": " + std::string(why); }

  SentinelWatch& watch_;
  const std::size_t index_;
  const std::string address_;
  std::optional<std::uint64_t> epoch_;  // of MASTER, until the address comes
  bool hinted_ = false;                 // a failover was told since it was last asked
  bool fresh_ = false;                  // the connection: not subscribed yet
  bool refused_ = false;                // the connection: a request on it
  Link link_;
};

SentinelWatch::SentinelWatch(SentinelOptions options, Dialer& dialer, SentinelEvents& events,
                             EventSink& log, Counters& counters, Random& random)
    : options_(std::move(options)),
      dialer_(dialer),
      events_(events),
      log_(log),
      counters_(counters),
      random_(random),
      election_(options_.link.rules) {}

SentinelWatch::~SentinelWatch() = default;

void SentinelWatch::start(Now now) {
  now_ = now;
  last_named_us_ = now.mono_us;
  for (const Endpoint& address : options_.sentinels) add(address, "", std::nullopt);
}

void SentinelWatch::add(const Endpoint& address, const std::string& id,
                        std::optional<std::int64_t> named_us) {
  const auto index = election_.learn(address, id, named_us);
  if (index) sentinels_.emplace(*index, std::make_unique<Sentinel>(*this, *index, address));
}

// On a tick only: no Sentinel's own reply is being read then.
void SentinelWatch::forget() {
  for (const auto index : election_.forget(now_.mono_us)) sentinels_.erase(index);
}

void SentinelWatch::on_tick(Now now) {
  now_ = now;
  for (const auto& [index, sentinel] : sentinels_) sentinel->on_tick();
  forget();
  if (now.mono_us >= next_ask_us_) ask_all();
  elect();
  tell_of_reach();
}

void SentinelWatch::doubt(bool primary_is_lost) {
  if (primary_is_lost && !doubted_) next_ask_us_ = 0;
  doubted_ = primary_is_lost;
}

void SentinelWatch::ask_all() {
  const auto interval = doubted_ ? options_.doubt_interval_ms : options_.ask_interval_ms;
  next_ask_us_ = now_.mono_us + interval * 1000;
  for (const auto& [index, sentinel] : sentinels_) sentinel->ask();
}

void SentinelWatch::elect() {
  const bool first = !election_.followed();
  if (!election_.elect(now_.mono_us)) return;
  const auto& followed = *election_.followed();
  if (!first) ++counters_.primary_switches;
  log_.on_event({first ? Severity::info : Severity::warning,
                 "primary_named",
                 options_.primary_name + " is " + followed.primary.text() + ", named by " +
                     std::to_string(election_.votes(followed.primary, now_.mono_us)) + " of " +
                     std::to_string(election_.known()) + " Sentinels, epoch " +
                     std::to_string(followed.epoch) +
                     (first ? "" : ": the connections to the one of before are given up"),
                 {}});
  events_.on_primary(followed.primary);
}

void SentinelWatch::tell_of_reach() {
  if (election_.answering(now_.mono_us) > 0) last_named_us_ = now_.mono_us;
  const bool lost = now_.mono_us - last_named_us_ > options_.tell_after_ms * 1000;
  if (lost == lost_) return;
  lost_ = lost;
  const auto& followed = election_.followed();
  if (lost) {
    log_.on_event({Severity::warning,
                   "sentinels_lost",
                   "no Sentinel names a primary for " + options_.primary_name + " (" + trouble_ +
                       "): " +
                       (followed ? followed->primary.text() + ", the last one, is used on"
                                 : "sessions are answered from the ledger"),
                   {}});
  } else {
    log_.on_event({Severity::info, "sentinels_back", "Sentinels name a primary again", {}});
  }
}

SentinelStatus SentinelWatch::status() const {
  SentinelStatus out;
  out.primary_name = options_.primary_name;
  if (const auto& followed = election_.followed()) {
    out.primary = followed->primary.text();
    out.config_epoch = followed->epoch;
  }
  out.known = election_.known();
  out.answering = election_.answering(now_.mono_us);
  out.lost = lost_;
  if (lost_) out.trouble = trouble_;
  return out;
}

}  // namespace stayd
