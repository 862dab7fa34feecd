// SUBSCRIBE and friends, PUBLISH and PUBSUB, of one client.
#include "proxy/client_session.h"
#include "proxy/client_state.h"
#include "resp/reply.h"

namespace stayd {
namespace {

// A subscriber that reads slower than its channels speak is closed (Redis: 32 MB).
constexpr std::size_t kMaxPushBacklog = 32u << 20;

}  // namespace

bool ClientSession::subscribed() const {
  return topics_ != nullptr;
}

bool ClientSession::pubsub(const CommandSpec& spec, std::string_view frame, const Args& args) {
  const std::string_view name = spec.name;
  if (name == "subscribe") return subscribe(args, false);
  if (name == "psubscribe") return subscribe(args, true);
  if (name == "unsubscribe") return unsubscribe(args, false);
  if (name == "punsubscribe") return unsubscribe(args, true);
  if (name == "ssubscribe" || name == "sunsubscribe") {
    return error("ERR stayd: '" + std::string(name) + "' is not offered through stayd"), true;
  }
  if (handler_.redis_answers()) return forward(spec, frame, args, true);
  PubSubHub& hub = context_.hub;
  std::string out;
  if (name == "publish") {
    write_integer(out, static_cast<std::int64_t>(hub.publish(args[1], args[2])));
  } else if (name == "pubsub|channels") {
    const auto channels = hub.channels(args.size() > 2 ? args[2] : std::string_view());
    write_array(out, channels.size());
    for (const std::string_view channel : channels) write_bulk(out, channel);
  } else if (name == "pubsub|numsub") {
    write_array(out, 2 * (args.size() - 2));
    for (std::size_t i = 2; i < args.size(); ++i) {
      write_bulk(out, args[i]);
      write_integer(out, static_cast<std::int64_t>(hub.listeners(args[i])));
    }
  } else if (name == "pubsub|numpat") {
    write_integer(out, static_cast<std::int64_t>(hub.patterns()));
  } else {
    write_error(out, "ERR stayd: Redis is unavailable");
  }
  answer(out, &spec, args);
  return true;
}

void ClientSession::append_push_header(std::string& out, std::size_t size) const {
  if (proto_ == 3) {
    write_push(out, size);
  } else {
    write_array(out, size);
  }
}

// One acknowledgement, with the count as it is now. A null topic: there was nothing to leave.
void ClientSession::append_ack(std::string& out, std::string_view kind,
                               const std::string_view* topic) const {
  append_push_header(out, 3);
  write_bulk(out, kind);
  if (topic != nullptr) {
    write_bulk(out, *topic);
  } else {
    out += proto_ == 3 ? "_\r\n" : "$-1\r\n";
  }
  write_integer(out, static_cast<std::int64_t>(topics_ == nullptr ? 0 : topics_->count()));
}

bool ClientSession::subscribe(const Args& args, bool pattern) {
  if (outstanding_ > 0) return false;
  if (topics_ == nullptr) topics_ = std::make_unique<Topics>();
  auto& mine = pattern ? topics_->patterns : topics_->channels;
  PubSubHub& hub = context_.hub;
  std::string acks;
  bool ready = true;
  for (std::size_t i = 1; i < args.size(); ++i) {
    if (mine.emplace(args[i]).second) {
      const bool now = pattern ? hub.psubscribe(args[i], *this) : hub.subscribe(args[i], *this);
      ready = ready && now;
    }
    append_ack(acks, pattern ? "psubscribe" : "subscribe", &args[i]);
  }
  answer_acks(std::move(acks), !ready);
  return true;
}

// Pushes, in RESP2 too: CLIENT REPLY does not silence them.
void ClientSession::answer_acks(std::string acks, bool wait) {
  const ReplyMode mode = reply_mode_;
  reply_mode_ = ReplyMode::on;
  if (!wait) {
    answer_final(acks);
    reply_mode_ = mode;
    return command_ended();
  }
  ++counters_.replies_local;
  PendingCall& call = append_call(nullptr);
  call.final_form = call.exclusive = true;
  call.reply = std::move(acks);
  exclusive_ = true;
  subscribing_ = &call;
  ++outstanding_;
  ++context_.outstanding;
  reply_mode_ = mode;
  command_ended();
  context_.hub.await(*this, context_.now);
}

void ClientSession::on_subscribed() {
  if (subscribing_ == nullptr) return;
  PendingCall& call = *subscribing_;
  subscribing_ = nullptr;
  const std::string acks = std::move(call.reply);
  call.reply.clear();
  on_reply(call, acks);
}

bool ClientSession::unsubscribe(const Args& args, bool pattern) {
  if (outstanding_ > 0) return false;
  const std::string_view kind = pattern ? "punsubscribe" : "unsubscribe";
  std::vector<std::string> names(args.begin() + 1, args.end());
  if (names.empty() && topics_ != nullptr) {
    const auto& mine = pattern ? topics_->patterns : topics_->channels;
    names.assign(mine.begin(), mine.end());
  }
  std::string acks;
  for (const std::string& name : names) {
    if (topics_ != nullptr && (pattern ? topics_->patterns : topics_->channels).erase(name) > 0) {
      if (pattern) {
        context_.hub.punsubscribe(name, *this);
      } else {
        context_.hub.unsubscribe(name, *this);
      }
    }
    const std::string_view topic = name;
    append_ack(acks, kind, &topic);
  }
  if (names.empty()) append_ack(acks, kind, nullptr);
  if (topics_ != nullptr && topics_->count() == 0) topics_.reset();
  answer_acks(std::move(acks), context_.hub.leaves(*this));
  return true;
}

void ClientSession::drop_subscriptions() {
  if (topics_ != nullptr) {
    for (const std::string& name : topics_->channels) context_.hub.unsubscribe(name, *this);
    for (const std::string& name : topics_->patterns) context_.hub.punsubscribe(name, *this);
    topics_.reset();
  }
  context_.hub.forget(*this);
}

// PUBLISH and PUBSUB NUMSUB as Redis would count if our clients were its own.
std::string ClientSession::recounted(const Call& call, std::string_view reply) const {
  const PubSubHub& hub = context_.hub;
  const ReplyView view(reply);
  std::string out;
  if (call.spec->name == "publish") {
    const auto counted = view.integer();
    if (!counted) return std::string(reply);
    write_integer(out, hub.receivers_instead(call.args[1], *counted));
    return out;
  }
  if (view.type() != ReplyType::array) return std::string(reply);
  write_array(out, view.size());
  auto elements = view.elements();
  ReplyView channel;
  ReplyView count;
  while (elements.next(channel) && elements.next(count)) {
    write_bulk(out, channel.text());
    write_integer(out, hub.listeners_instead(channel.text(), count.integer().value_or(0)));
  }
  return out;
}

void ClientSession::check_push_limit() {
  if (closed_ || io_.unsent_bytes() <= kMaxPushBacklog) return;
  ++counters_.limit_closes;
  closed_ = closing_ = true;
  io_.close(true);
}

void ClientSession::push_message(std::string_view channel, std::string_view payload) {
  if (closed_) return;
  std::string& out = io_.output();
  append_push_header(out, 3);
  write_bulk(out, "message");
  write_bulk(out, channel);
  write_bulk(out, payload);
  check_push_limit();
}

void ClientSession::push_pmessage(std::string_view pattern, std::string_view channel,
                                  std::string_view payload) {
  if (closed_) return;
  std::string& out = io_.output();
  append_push_header(out, 4);
  write_bulk(out, "pmessage");
  write_bulk(out, pattern);
  write_bulk(out, channel);
  write_bulk(out, payload);
  check_push_limit();
}

}  // namespace stayd
