#include "redis/link.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/info.h"
#include "core/reply_class.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr int kMaxFlapShift = 5;
constexpr int kUnknownDb = -1;
}  // namespace

Link::Link(LinkOptions options, Dialer& dialer, UpstreamEvents& events, Counters& counters,
           Random& random)
    : options_(std::move(options)),
      dialer_(dialer),
      events_(events),
      counters_(counters),
      random_(random) {}

Link::~Link() {
  if (transport_) transport_->close(true);
}

void Link::start(Now now) {
  now_ = now;
  stopped_ = false;
  next_dial_us_ = 0;
}

void Link::stop() {
  stopped_ = true;
  if (state_ != State::idle) finish(false, "stayd is stopping");
}

void Link::on_tick(Now now) {
  now_ = now;
  graveyard_.reset();
  switch (state_) {
    case State::idle:
      if (not_serial_ && options_.credentials->serial() != *not_serial_) {
        not_serial_.reset();
        hurry();
      }
      if (!stopped_ && options_.endpoint.known() && now.mono_us >= next_dial_us_) dial();
      break;
    case State::dialling:
      break;  // the dialer keeps the connect deadline
    case State::gating:
      if (now.mono_us > gate_deadline_us_) finish(true, "no answer to the first commands");
      break;
    case State::up:
      if (!pending_.empty() && now.mono_us > pending_.front().deadline_us) {
        on_silence();
      } else if (transport_->unsent_bytes() + held_bytes_ > options_.max_unsent_bytes) {
        ++counters_.condemned_connections;
        finish(true, "Redis has stopped reading");
      } else if (renew_us_ != 0 && now.mono_us >= renew_us_) {
        log_in_again();
      }
      break;
  }
}

// A reply that comes late would be taken for the next request's (I11).
void Link::on_silence() {
  if (!options_.rules.replies_have_deadlines) return;
  if (options_.rules.late_replies_condemn) {
    ++counters_.condemned_connections;
    return finish(true, "no reply within the deadline");
  }
  const Pending late = pending_.front();
  pending_.pop_front();
  if (late.handler != nullptr) late.handler->on_upstream_lost(late.tag);
}

void Link::dial() {
  not_serial_.reset();
  if (!knows_login()) {
    if (options_.credentials->trouble().empty()) return;  // the next tick asks again
    not_serial_ = options_.credentials->serial();
    return finish(true, "no password: " + options_.credentials->trouble());
  }
  ++counters_.connects;
  state_ = State::dialling;
  rest_.clear();
  scanner_.reset();
  current_db_ = 0;
  selecting_ = false;
  transport_ = dialer_.dial(options_.endpoint, options_.connect_timeout_ms, *this);
}

void Link::on_connected() {
  state_ = State::gating;
  gate_step_ = 0;
  facts_ = GateFacts{};
  facts_.asked_wall_ms = now_.wall_ms;
  gate_deadline_us_ = now_.mono_us + options_.gate_deadline_ms * 1000;
  std::string out;
  append_hello(out);
  if (!options_.hello_only) {
    append_request(out, {"TIME"});
    append_request(out, {"INFO"});
  }
  transport_->write(out);
}

void Link::on_bytes(std::string_view bytes) {
  in_feed_ = true;
  if (rest_.empty()) {
    const std::size_t used = consume(bytes);
    if (used < bytes.size()) rest_.assign(bytes.substr(used));
  } else {
    rest_.append(bytes);
    const std::size_t used = consume(rest_);
    rest_.erase(0, used);
  }
  in_feed_ = false;
  if (condemn_requested_) {
    condemn_requested_ = false;
    ++counters_.condemned_connections;
    finish(true, condemn_cause_);
  }
}

std::size_t Link::consume(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !condemn_requested_) {
    const auto outcome = scanner_.scan(bytes.substr(used));
    if (outcome.status == FrameScanner::Status::need_more) break;
    if (outcome.status == FrameScanner::Status::error) {
      condemn("Redis sent bytes that are not RESP: " + std::string(outcome.error));
      break;
    }
    scanner_.reset();
    const auto frame = bytes.substr(used, outcome.size);
    used += outcome.size;
    on_frame(frame);
  }
  return used;
}

void Link::on_frame(std::string_view frame) {
  if (frame[0] == '>') {
    events_.on_upstream_push(frame);
    return;
  }
  if (state_ == State::gating) {
    on_gate_frame(frame);
    return;
  }
  if (pending_.empty()) {
    condemn("Redis sent a reply that nobody asked for");
    return;
  }
  Pending& front = pending_.front();
  if (front.replies > 1) {
    --front.replies;
    return;
  }
  const Pending entry = front;
  pending_.pop_front();
  if (entry.handler != nullptr) {
    entry.handler->on_upstream_reply(entry.tag, frame);
  } else if (frame[0] == '-') {
    condemn("Redis refused SELECT: " + std::string(frame.substr(1, frame.find('\r') - 1)));
  } else {
    release();
  }
}

void Link::on_gate_frame(std::string_view frame) {
  const ReplyView reply(frame);
  if (reply.is_error()) {
    if (refuses_login(reply.text()) && gate_step_ == 0) on_refusal();
    condemn(std::string(reply.text()));
    return;
  }
  switch (gate_step_++) {
    case 0: {  // HELLO: a map
      on_login();
      auto pairs = reply.elements();
      ReplyView name;
      ReplyView value;
      while (pairs.next(name) && pairs.next(value)) {
        if (name.text() == "id") facts_.client_id = value.integer().value_or(0);
        if (name.text() == "version") facts_.version = value.text();
      }
      if (options_.hello_only) come_up();
      return;
    }
    case 1: {
      const auto redis_wall_ms = time_reply_ms(reply);
      if (!redis_wall_ms) return condemn("this is no Redis: it answers TIME with something else");
      facts_.redis_wall_ms = *redis_wall_ms;
      return;
    }
    default:
      on_gate_info(reply);
  }
}

void Link::on_gate_info(const ReplyView& info) {
  const auto text = info.text();
  facts_.run_id = info_field(text, "run_id");
  facts_.evicted_keys = info_number(text, "evicted_keys");
  facts_.replicas = replicas_of(text);
  facts_.may_evict =
      info_number(text, "maxmemory") != 0 && info_field(text, "maxmemory_policy") != "noeviction";
  if (info_field(text, "loading") == "1") {
    condemn("Redis is loading its dataset");
    return;
  }
  if (options_.require_primary && info_field(text, "role") != "master") {
    condemn("this Redis is a replica, not a primary");
    return;
  }
  come_up();
}

void Link::come_up() {
  state_ = State::up;
  up_since_us_ = now_.mono_us;
  plan_renewal();
  events_.on_upstream_up(facts_);
}

void Link::send(std::string_view request, int db, ReplyHandler& handler, std::uint64_t tag,
                std::int64_t deadline_us, std::uint32_t replies, Order order) {
  STAYD_ASSERT(up());
  const Pending pending{&handler, tag, deadline_us, replies};
  if (!selecting_ && (db < 0 || db == current_db_)) return write(request, order, pending);
  held_.push_back({std::string(request), db, order, pending});
  held_bytes_ += request.size();
  if (selecting_) {
    hasten(deadline_us);
  } else {
    select(db, deadline_us);
  }
}

void Link::write(std::string_view request, Order order, const Pending& pending) {
  transport_->write(request);
  hasten(pending.deadline_us);
  pending_.push_back(pending);
  if (order == Order::strays) current_db_ = kUnknownDb;
}

// Replies come in order: what stands before one must have been answered by its deadline too.
void Link::hasten(std::int64_t deadline_us) {
  for (auto it = pending_.rbegin(); it != pending_.rend() && it->deadline_us > deadline_us; ++it) {
    it->deadline_us = deadline_us;
  }
}

void Link::select(int db, std::int64_t deadline_us) {
  std::string request;
  append_request(request, {"SELECT", std::to_string(db)});
  write(request, Order::strict, {nullptr, 0, deadline_us, 1});
  current_db_ = db;
  selecting_ = true;
}

// The connection stands in its database: what was held for it goes, as far as the order allows, and
// a SELECT for what stays. One turn for each database, however they take turns in what was sent.
void Link::release() {
  selecting_ = false;
  bool passing = true;
  std::int64_t due_us = INT64_MAX;
  auto held = std::exchange(held_, {});
  for (Held& next : held) {
    const bool here = next.db < 0 || next.db == current_db_;
    const bool in_order = held_.empty() || (passing && next.order == Order::by_key);
    if (here && in_order) {
      held_bytes_ -= next.request.size();
      write(next.request, next.order, next.pending);
    } else {
      passing = passing && next.order == Order::by_key;
      due_us = std::min(due_us, next.pending.deadline_us);
      held_.push_back(std::move(next));
    }
  }
  if (!held_.empty()) select(held_.front().db, due_us);
}

void Link::condemn(std::string_view cause) {
  if (state_ == State::idle) return;
  if (in_feed_) {
    if (!condemn_requested_) condemn_cause_ = cause;
    condemn_requested_ = true;
    return;
  }
  ++counters_.condemned_connections;
  finish(true, cause);
}

void Link::move_to(const Endpoint& endpoint, std::string_view cause) {
  options_.endpoint = endpoint;
  condemn(cause);
  hurry();
}

void Link::on_closed(CloseReason reason, std::string_view detail) {
  if (state_ == State::idle) return;
  std::string cause(detail);
  if (reason == CloseReason::eof) cause = "Redis closed the connection";
  if (reason == CloseReason::timeout && state_ == State::dialling) cause = "connect timed out";
  const bool hung_up = reason == CloseReason::eof || reason == CloseReason::reset;
  if (hung_up && state_ == State::gating && gate_step_ == 0) {
    cause += " before its first answer";
    if (!options_.tls) cause += ": is this a port with TLS (rediss://)?";
  }
  moved_ = reason == CloseReason::moved;
  finish(true, cause);
}

std::int64_t Link::retry_delay_ms() {
  if (std::exchange(moved_, false)) return 0;  // not more often than names are asked
  const auto refusal = std::exchange(refusal_, Refusal::none);
  if (refusal == Refusal::try_another) return 0;
  if (refusal == Refusal::wait) {
    not_serial_ = options_.credentials->serial();
    constexpr auto kPauseMs = Credentials::kRefusedPauseMs;
    return kPauseMs + static_cast<std::int64_t>(random_.below(kPauseMs));
  }
  const bool was_up = up_since_us_ != 0;
  const bool stable = was_up && now_.mono_us - up_since_us_ > options_.stable_after_ms * 1000;
  if (stable || !was_up) {
    if (stable) flaps_ = 0;
    const std::int64_t base = was_up ? options_.first_retry_ms : options_.probe_interval_ms;
    return base / 2 +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(base / 2) + 1));
  }
  // Lost again soon after it came up: flapping. Full jitter under a doubling bound.
  const std::int64_t bound = std::min(
      options_.max_retry_ms, options_.probe_interval_ms << std::min(flaps_, kMaxFlapShift));
  const std::int64_t floor = flaps_ == 0 ? 0 : options_.probe_interval_ms / 2;
  ++flaps_;
  return floor + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound) + 1));
}

void Link::finish(bool reset, std::string_view cause) {
  const bool never_up = state_ != State::up;
  if (never_up) ++counters_.connect_failures;
  const std::string why(cause);
  if (transport_) {
    transport_->close(reset);
    graveyard_ = std::move(transport_);
  }
  state_ = State::idle;
  condemn_requested_ = false;
  next_dial_us_ = now_.mono_us + retry_delay_ms() * 1000;
  up_since_us_ = 0;
  auto lost = std::move(pending_);
  pending_.clear();
  for (const Held& held : std::exchange(held_, {})) lost.push_back(held.pending);
  held_bytes_ = 0;
  for (const Pending& entry : lost) {
    if (entry.handler != nullptr) entry.handler->on_upstream_lost(entry.tag);
  }
  events_.on_upstream_down(never_up, why);
}

}  // namespace stayd
