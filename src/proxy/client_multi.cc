// MULTI, EXEC, DISCARD, WATCH: the block is kept here and goes to the engine as one call at EXEC.
#include "proxy/client_session.h"
#include "proxy/client_state.h"

namespace stayd {

bool ClientSession::transaction(const CommandSpec& spec, std::string_view frame, const Args& args) {
  const std::string_view name = spec.name;
  if (name == "multi") {
    // As Redis: an error, but the open transaction is not spoiled.
    if (block_ != nullptr) return error("ERR MULTI calls can not be nested"), true;
    block_ = std::make_unique<Block>();
    block_->db = db_;
    return ok(), true;
  }
  if (name == "watch" && block_ != nullptr) {
    return error("ERR WATCH inside MULTI is not allowed"), true;
  }
  if (name == "unwatch" && block_ != nullptr) return queue(spec, frame, args), true;
  if (name == "watch" || name == "unwatch") return watch(spec, frame, args);
  if (block_ == nullptr) {
    return error(name == "exec" ? "ERR EXEC without MULTI" : "ERR DISCARD without MULTI"), true;
  }
  return name == "exec" ? exec(spec, frame, args) : abandon_multi("+OK\r\n");
}

// Ends the block, and the watch, without running it, and answers `reply`.
bool ClientSession::abandon_multi(std::string_view reply) {
  if (watching_) {
    if (outstanding_ > 0) return false;
    submit_unwatch();
  }
  end_multi();
  answer_final(reply);
  return true;
}

void ClientSession::end_multi() {
  block_.reset();
}

void ClientSession::queue(const CommandSpec& spec, std::string_view frame, const Args& args) {
  const bool select = spec.name == "select";
  const bool as_it_is = select || spec.name == "ping" || spec.name == "echo";
  const bool cannot_wait = spec.name == "hello" || spec.name == "auth" ||
                           spec.name == "client|reply" || spec.name.ends_with("subscribe") ||
                           spec.handling == Handling::flush;  // a flush is journalled on its own
  if (cannot_wait) return reject("ERR Command not allowed inside a transaction");
  const std::size_t allowed =
      context_.crowded() ? context_.limits.buffer_share : context_.limits.max_block_bytes;
  if (block_->calls.size() >= context_.limits.max_block || block_->bytes + frame.size() > allowed) {
    ++counters_.limit_closes;
    return reject("ERR stayd: the transaction is too large");
  }
  auto call = std::make_unique<Call>();
  copy_request(*call, frame, args);
  call->spec = &spec;
  call->db = block_->db;
  call->client_id = id_;
  block_->bytes += call->raw.size();
  if (select) {
    block_->db = database_number(args[1]).value_or(block_->db);
    block_->selects = true;
  }
  std::unique_ptr<Call> original;
  if (spec.handling == Handling::local && !as_it_is) {
    original = std::move(call);
    call = std::make_unique<Call>();
    copy_request(*call, {}, Args{"PING"});
    call->spec = find_command("ping");
    call->db = original->db;
    call->client_id = id_;
  }
  block_->calls.push_back(std::move(call));
  block_->originals.push_back(std::move(original));
  answer_final("+QUEUED\r\n");
}

bool ClientSession::exec(const CommandSpec& spec, std::string_view frame, const Args& args) {
  if (block_->dirty || (block_->calls.empty() && !watching_)) {
    return abandon_multi(block_->dirty
                             ? "-EXECABORT Transaction discarded because of previous errors.\r\n"
                             : "*0\r\n");
  }
  const bool exclusive = watching_ || block_->selects;
  if (exclusive && outstanding_ > 0) return false;
  for (const auto& queued : block_->calls) {
    if (is_behind(*queued->spec, queued->args)) return false;
  }
  PendingCall& call = append_call(&spec);
  copy_request(call, frame, args);
  outstanding_bytes_ += call.weight = block_->bytes;
  call.block = std::move(block_->calls);
  call.originals = std::move(block_->originals);
  call.pinned = watching_;
  call.exclusive = exclusive_ = exclusive;
  for (auto& queued : call.block) queued->sink = call.sink;
  ++outstanding_;
  ++context_.outstanding;
  watching_ = false;
  end_multi();
  command_ended();
  handler_.submit(call);
  return true;
}

bool ClientSession::watch(const CommandSpec& spec, std::string_view frame, const Args& args) {
  if (spec.name == "unwatch" && !watching_) return ok(), true;
  if (!forward(spec, frame, args, true)) return false;
  watching_ = spec.name == "watch";
  return true;
}

// Ends the watch upstream; the client sees no reply of it.
void ClientSession::submit_unwatch() {
  watching_ = false;
  PendingCall& call = append_call(find_command("unwatch"));
  copy_request(call, {}, Args{"UNWATCH"});
  call.muted = true;
  call.exclusive = exclusive_ = true;
  ++outstanding_;
  ++context_.outstanding;
  handler_.submit(call);
}

}  // namespace stayd
