#include "proxy/client_session.h"

#include <algorithm>

#include "base/error.h"
#include "proxy/client_state.h"
#include "proxy/info_text.h"
#include "resp/convert.h"
#include "resp/reply.h"

namespace stayd {
namespace {

// Input kept while parsing waits; then the kernel keeps the rest.
constexpr std::size_t kHeldInput = 64u << 10;
// Room made at once for the rest of a large request. Not all: it has only been announced.
constexpr std::size_t kMaxReserve = 256u << 10;
constexpr std::int64_t kBytesPerUs = 1;  // what a large request may take longer

bool same_in_resp2(std::string_view reply) {
  const char type = reply.empty() ? '_' : reply.front();
  return type == '+' || type == '-' || type == ':' || type == '$';
}

bool counts(const CommandSpec& spec) {
  return spec.name == "publish" || spec.name == "pubsub|numsub";
}

}  // namespace

ClientSession::ClientSession(ClientIo& io, CallHandler& handler, Counters& counters,
                             PortContext& context, ClientAddress address)
    : io_(io),
      handler_(handler),
      counters_(counters),
      context_(context),
      address_(std::move(address)),
      id_(context.next_client_id++),
      created_us_(context.now.mono_us),
      last_input_us_(context.now.mono_us),
      db_(context.default_db),
      authenticated_(!context.auth.required()) {
  context_.sessions.emplace(id_, this);
}

ClientSession::~ClientSession() {
  closed_ = closing_ = true;
  drop_subscriptions();
  context_.sessions.erase(id_);
  context_.buffered -= counted_bytes_;
  context_.outstanding -= outstanding_;
  while (head_ != nullptr) {
    PendingCall* next = head_->next;
    head_->session = nullptr;
    // The engine answers orphans into the pool; the port's own entries have nobody else.
    if (head_->done || head_ == subscribing_) context_.calls.give(*head_);
    head_ = next;
  }
  handler_.client_gone(id_);
}

void ClientSession::on_bytes(std::string_view bytes) {
  if (closing_) return;
  last_input_us_ = context_.now.mono_us;
  if (in_.empty()) {
    parse(bytes);
    if (!bytes.empty() && !closing_) {
      in_.reserve(bytes.size() + std::min(parser_.bytes_missing(), kMaxReserve));
      in_.assign(bytes);
    }
    update_pause();
    return count_buffers();
  }
  in_.append(bytes);
  std::string_view rest = in_;
  parse(rest);
  settle(rest);
}

void ClientSession::resume() {
  if (closing_ || in_.empty() || !may_parse()) return;
  std::string_view rest = in_;
  parse(rest);
  settle(rest);
}

// Keeps `rest`, the end of in_, and gives the memory back when there is none.
void ClientSession::settle(std::string_view rest) {
  if (rest.empty() || closing_) {
    std::string().swap(in_);
  } else {
    in_.erase(0, in_.size() - rest.size());
  }
  update_pause();
  count_buffers();
}

void ClientSession::count_buffers() {
  const std::size_t held = in_.size() + parser_.held_bytes() + outstanding_bytes_ + held_bytes_ +
                           io_.unsent_bytes() + (block_ == nullptr ? 0 : block_->bytes);
  context_.buffered += held - counted_bytes_;
  counted_bytes_ = held;
}

void ClientSession::update_pause() {
  const bool crowded = context_.crowded() && in_.size() >= context_.limits.buffer_share;
  const bool pause = crowded || (blocked_ && in_.size() >= kHeldInput);
  if (pause == paused_) return;
  paused_ = pause;
  io_.pause_reading(pause);
}

bool ClientSession::may_parse() const {
  const PortLimits& limits = context_.limits;
  const std::size_t allowed = context_.crowded() ? limits.buffer_share : limits.soft_output;
  if (outstanding_ > 0 && context_.busy()) return false;
  return !closing_ && !parsing_ && !exclusive_ && queued_ < limits.max_outstanding &&
         io_.unsent_bytes() + held_bytes_ + outstanding_bytes_ <= allowed;
}

void ClientSession::parse(std::string_view& bytes) {
  blocked_ = false;
  while (!bytes.empty()) {
    if (!may_parse()) {
      blocked_ = true;
      break;
    }
    Args& args = context_.args;
    const RequestLimits& limits = authenticated_ ? context_.limits.request : kUnauthenticatedLimits;
    const auto outcome = parser_.parse(bytes, limits, args);
    if (outcome.status == RequestParser::Status::need_more) {
      if (request_since_us_ == 0) request_since_us_ = context_.now.mono_us;
      break;
    }
    request_since_us_ = 0;
    if (outcome.status == RequestParser::Status::error) {
      protocol_error(outcome.error);
      break;
    }
    if (outcome.status == RequestParser::Status::ready) {
      parsing_ = true;
      request_bytes_ = outcome.consumed;
      const bool taken = dispatch(outcome.frame, args);
      parsing_ = false;
      request_bytes_ = 0;
      if (!taken) {
        blocked_ = true;
        break;
      }
    }
    bytes.remove_prefix(outcome.consumed);
  }
  if (closing_) close_when_answered();
}

void ClientSession::protocol_error(std::string_view text) {
  ++counters_.protocol_errors;
  reply_mode_ = ReplyMode::on;
  error(text);
  closing_ = true;
}

void ClientSession::close_when_answered() {
  if (closed_ || head_ != nullptr) return;
  closed_ = true;
  io_.close(false);
}

void ClientSession::on_eof() {
  closing_ = true;
  const bool waits =
      subscribing_ != nullptr || (head_ != nullptr && head_->spec != nullptr &&
                                  (head_->pinned || head_->spec->handling == Handling::blocking));
  if (waits && !closed_) {
    closed_ = true;
    return io_.close(true);
  }
  close_when_answered();
}

void ClientSession::kill() {
  closing_ = true;
  if (closed_ || parsing_) return;  // a client that kills itself still reads the answer
  closed_ = true;
  io_.close(true);
}

PendingCall& ClientSession::append_call(const CommandSpec* spec) {
  PendingCall& call = context_.calls.take(*this);
  call.spec = spec;
  call.db = db_;
  call.client_id = id_;
  call.proto = proto_;
  call.muted = muted();
  call.weight = 0;
  if (tail_ == nullptr) {
    head_ = &call;
  } else {
    tail_->next = &call;
  }
  tail_ = &call;
  ++queued_;
  return call;
}

void ClientSession::on_reply(PendingCall& call, std::string_view reply) {
  STAYD_ASSERT(!call.done && outstanding_ > 0);
  call.done = true;
  --outstanding_;
  if (call.only_reads()) --outstanding_reads_;
  --context_.outstanding;
  outstanding_bytes_ -= call.weight;
  if (call.exclusive) exclusive_ = false;
  if (&call == head_) {
    emit(call, reply);
    end_call(call);
    emit_done();
  } else {
    call.reply.assign(reply);
    held_bytes_ += reply.size();
  }
  count_buffers();
  if (closing_ && !parsing_) return close_when_answered();
  if (blocked_ && !parsing_) io_.request_resume();
}

// The replies that waited for the one just sent.
void ClientSession::emit_done() {
  while (head_ != nullptr && head_->done) {
    PendingCall& call = *head_;
    held_bytes_ -= call.reply.size();
    emit(call, call.reply);
    end_call(call);
  }
}

// Requires: `call` is the head.
void ClientSession::end_call(PendingCall& call) {
  head_ = call.next;
  if (head_ == nullptr) tail_ = nullptr;
  --queued_;
  context_.calls.give(call);
}

void ClientSession::emit(PendingCall& call, std::string_view reply) {
  if (closed_) return;
  if (call.spec != nullptr && call.spec->name == "exec") return emit_exec(call, reply);
  if (call.muted) return;
  std::string rewritten;
  if (call.spec != nullptr && call.spec->name == "info" && !call.final_form) {
    rewritten = rewrite_info(reply);
    reply = rewritten;
  } else if (call.spec != nullptr && call.spec->handling == Handling::pubsub &&
             counts(*call.spec)) {
    rewritten = recounted(call, reply);
    reply = rewritten;
  }
  largest_reply_ = std::max(largest_reply_, reply.size());
  if (call.final_form || call.proto == 3 || same_in_resp2(reply)) {
    io_.output().append(reply);
  } else {
    append_resp2(io_.output(), reply, call.spec, call.args);
  }
}

void ClientSession::emit_exec(PendingCall& call, std::string_view reply) {
  const ReplyView view(reply);
  if (view.type() != ReplyType::array || view.size() != call.block.size()) {
    if (call.muted) return;
    if (call.proto == 3 || same_in_resp2(reply)) {
      io_.output().append(reply);
    } else {
      append_resp2(io_.output(), reply, call.spec, call.args);
    }
    return;
  }
  std::string out;
  out.reserve(reply.size() + 16);
  write_array(out, view.size());
  auto elements = view.elements();
  ReplyView element;
  std::string own;
  for (std::size_t i = 0; elements.next(element); ++i) {
    const Call* queued = call.block[i].get();
    std::string_view frame = element.frame();
    if (i < call.originals.size() && call.originals[i] != nullptr) {
      queued = call.originals[i].get();
      own.clear();
      if (local_reply(*queued->spec, queued->args, own)) frame = own;
    } else if (queued->spec->name == "select" && !element.is_error()) {
      db_ = database_number(queued->args[1]).value_or(db_);
    } else if (counts(*queued->spec)) {
      own = recounted(*queued, frame);
      frame = own;
    }
    if (call.proto == 3) {
      out.append(frame);
    } else {
      append_resp2(out, frame, queued->spec, queued->args);
    }
  }
  largest_reply_ = std::max(largest_reply_, out.size());
  if (!call.muted) io_.output().append(out);
}

bool ClientSession::request_is_late() const {
  if (request_since_us_ == 0 || in_.empty() || blocked_) return false;
  const auto size = static_cast<std::int64_t>(in_.size());
  return context_.now.mono_us - request_since_us_ >
         context_.limits.partial_request_us + size / kBytesPerUs;
}

void ClientSession::check_limits() {
  if (closed_) return;
  const std::int64_t now = context_.now.mono_us;
  const PortLimits& limits = context_.limits;
  const std::size_t unsent = io_.unsent_bytes();
  const std::size_t allowed =
      std::clamp(largest_reply_ + limits.soft_output, limits.hard_output, limits.max_output);
  if (unsent <= limits.hard_output) {
    largest_reply_ = 0;
    over_limit_since_us_ = 0;
  } else if (unsent > allowed && over_limit_since_us_ == 0) {
    over_limit_since_us_ = now;
  }
  const bool output = over_limit_since_us_ != 0 && unsent > allowed &&
                      now - over_limit_since_us_ > limits.output_grace_us;
  const std::int64_t stalled = io_.stalled_since_us();
  const bool unread =
      stalled != 0 && unsent > limits.buffer_share && now - stalled > limits.output_grace_us;
  const bool stranger = !authenticated_ && now - last_input_us_ > limits.unauthenticated_us;
  update_pause();  // there may be room again
  if (!output && !unread && !request_is_late() && !stranger) return;
  ++counters_.limit_closes;
  closed_ = closing_ = true;
  io_.close(true);
}

}  // namespace stayd
