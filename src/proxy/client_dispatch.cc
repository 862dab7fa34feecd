// Which way a command goes: refused, queued, answered here, or to the engine.
#include <algorithm>

#include "proxy/client_session.h"
#include "proxy/client_state.h"
#include "proxy/info_text.h"
#include "resp/convert.h"
#include "resp/reply.h"
#include "session/scripts.h"

namespace stayd {
namespace {

constexpr std::string_view kUnavailable = "ERR stayd: Redis is unavailable";

// CLIENT SETINFO and NO-TOUCH are newer than 7.0; drivers send them to every server.
const CommandSpec* newer_client_command(const Args& args) {
  static constexpr CommandSpec kSetInfo{
      .name = "client|setinfo", .arity = 4, .handling = Handling::local};
  static constexpr CommandSpec kNoTouch{
      .name = "client|no-touch", .arity = 3, .handling = Handling::local};
  if (!equals_ignore_case(args[0], "client")) return nullptr;
  if (equals_ignore_case(args[1], "setinfo")) return &kSetInfo;
  if (equals_ignore_case(args[1], "no-touch")) return &kNoTouch;
  return nullptr;
}

bool mentions(const Call& call, int db, std::string_view key) {
  const auto is_it = [&](const FullKey& one) { return db_of(one) == db && key_of(one) == key; };
  const auto in_block = [&](const auto& queued) { return mentions(*queued, db, key); };
  return std::any_of(call.keys.begin(), call.keys.end(), is_it) ||
         std::any_of(call.block.begin(), call.block.end(), in_block);
}

}  // namespace

void copy_request(Call& call, std::string_view frame, const Args& args) {
  call.args.clear();
  if (!frame.empty()) {
    call.raw.assign(frame);
    for (const std::string_view arg : args) {
      call.args.emplace_back(call.raw.data() + (arg.data() - frame.data()), arg.size());
    }
    return;
  }
  call.raw.clear();
  append_request(call.raw, args);
  std::size_t at = call.raw.find('\n') + 1;
  for (const std::string_view arg : args) {
    at = call.raw.find('\n', at) + 1;
    call.args.emplace_back(call.raw.data() + at, arg.size());
    at += arg.size() + 2;
  }
}

bool ClientSession::dispatch(std::string_view frame, const Args& args) {
  const CommandSpec* spec = find_command(args);
  if (spec != nullptr && spec->container && args.size() > 1) {
    const CommandSpec* newer = newer_client_command(args);
    if (newer == nullptr) {
      ++counters_.commands;
      reject(unknown_subcommand_error(args));
      return true;
    }
    spec = newer;
  }
  if (spec == nullptr) {
    ++counters_.commands;
    // A browser tricked into talking to this port: end it before its body is read as commands.
    if (equals_ignore_case(args[0], "post") || equals_ignore_case(args[0], "host:")) {
      ++counters_.protocol_errors;
      closing_ = true;
      return true;
    }
    reject(unknown_command_error(args));
    return true;
  }
  last_command_ = spec;
  if (!route(*spec, frame, args)) return false;
  ++counters_.commands;
  return true;
}

bool ClientSession::route(const CommandSpec& spec, std::string_view frame, const Args& args) {
  if (!arity_fits(spec, args.size())) {
    const std::string wrong = wrong_arity_error(spec);
    if (spec.name == "exec") {  // as Redis: it ends the block, and says why without its "ERR "
      return abandon_multi("-EXECABORT Transaction discarded because of: " + wrong.substr(4) +
                           "\r\n");
    }
    return reject(wrong), true;
  }
  const bool plain = spec.handling == Handling::read || spec.handling == Handling::write;
  if (plain && authenticated_ && block_ == nullptr && (topics_ == nullptr || proto_ == 3)) {
    return forward(spec, frame, args, false);
  }
  if (!authenticated_ && (spec.flags & kCmdNoAuth) == 0) {
    return reject("NOAUTH Authentication required."), true;
  }
  if (block_ != nullptr && (spec.flags & kCmdNoMulti) != 0) {
    return reject("ERR Command not allowed inside a transaction"), true;
  }
  if (spec.handling == Handling::refused && !context_.admin) {
    return reject("ERR stayd: '" + std::string(spec.name) + "' is not offered through stayd"), true;
  }
  if (proto_ == 2 && subscribed() && !allowed_while_subscribed(spec)) {
    return reject("ERR Can't execute '" + std::string(spec.name) +
                  "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                  "this context"),
           true;
  }
  if (spec.handling == Handling::transaction) return transaction(spec, frame, args);
  if (block_ != nullptr && spec.name != "quit" && spec.name != "reset") {
    return queue(spec, frame, args), true;
  }
  switch (spec.handling) {
    case Handling::read:
    case Handling::write:
      return forward(spec, frame, args, false);
    case Handling::local:
      return local(spec, frame, args);
    case Handling::pubsub:
      return pubsub(spec, frame, args);
    case Handling::server:
      return server_command(spec, frame, args);
    default:
      return forward(spec, frame, args, true);
  }
}

// A command waits for earlier ones of its client on the same key, unless both only read: what Redis
// loses or refuses is done by the ledger, too late for a later command that Redis has executed.
bool ClientSession::is_behind(const CommandSpec& spec, const Args& args) const {
  const bool reads = spec.handling == Handling::read;
  if (outstanding_ == (reads ? outstanding_reads_ : 0)) return false;
  std::vector<std::uint32_t>& positions = context_.key_positions;
  if (!find_keys(spec, args, positions)) return false;
  for (const PendingCall* call = head_; call != nullptr; call = call->next) {
    if (call->done || (reads && call->only_reads())) continue;
    for (const auto position : positions) {
      if (mentions(*call, db_, args[position])) return true;
    }
  }
  return false;
}

bool ClientSession::forward(const CommandSpec& spec, std::string_view frame, const Args& args,
                            bool exclusive) {
  if (exclusive ? outstanding_ > 0 : is_behind(spec, args)) return false;
  PendingCall& call = append_call(&spec);
  copy_request(call, frame, args);
  outstanding_bytes_ += call.weight = call.raw.size();
  call.pinned = spec.handling == Handling::blocking;
  call.exclusive = exclusive;
  exclusive_ = exclusive;
  ++outstanding_;
  if (call.only_reads()) ++outstanding_reads_;
  ++context_.outstanding;
  command_ended();
  handler_.submit(call);
  return true;
}

// INFO, CONFIG and the like: Redis' own answer, or what the port can honestly say without it.
bool ClientSession::server_command(const CommandSpec& spec, std::string_view frame,
                                   const Args& args) {
  const std::string_view name = spec.name;
  if (name.starts_with("cluster") || name == "readonly" || name == "readwrite" ||
      name == "asking") {
    return error("ERR This instance has cluster support disabled"), true;
  }
  if (handler_.redis_answers()) return forward(spec, frame, args, true);
  std::string out;
  if (name == "info") {
    write_verbatim(out, local_info(context_, args));
  } else if (name == "config|get") {
    append_config(out, context_, args);
  } else if (name == "config|set" && args.size() == 4 &&
             equals_ignore_case(args[2], "notify-keyspace-events")) {
    write_simple(out, "OK");
  } else if (name == "time") {
    write_array(out, 2);
    write_bulk(out, std::to_string(context_.now.wall_ms / 1000));
    write_bulk(out, std::to_string(context_.now.wall_ms % 1000 * 1000));
  } else if (name == "role") {
    write_array(out, 3);
    write_bulk(out, "master");
    write_integer(out, 0);
    write_array(out, 0);
  } else if (name == "script|load" && known_script_by_text(args[2])) {
    write_bulk(out, sha1_hex(args[2]));  // the stand-in executes it
  } else {
    ++counters_.unavailable_replies;
    write_error(out, kUnavailable);
  }
  answer(out, &spec, args);
  return true;
}

bool ClientSession::allowed_while_subscribed(const CommandSpec& spec) const {
  return spec.name == "ping" || spec.name == "quit" || spec.name == "reset" ||
         spec.name.ends_with("subscribe");
}

void ClientSession::reject(std::string_view text) {
  if (block_ != nullptr) block_->dirty = true;
  error(text);
}

void ClientSession::error(std::string_view text) {
  std::string& out = context_.scratch;
  out.clear();
  write_error(out, text);
  answer_final(out);
}

void ClientSession::ok() {
  answer_final("+OK\r\n");
}

void ClientSession::answer(std::string_view resp3, const CommandSpec* spec, const Args& args) {
  if (proto_ == 3) return answer_final(resp3);
  std::string out;
  append_resp2(out, resp3, spec, args);
  answer_final(out);
}

void ClientSession::answer_final(std::string_view bytes) {
  ++counters_.replies_local;
  if (head_ == nullptr) {
    if (!muted() && !closed_) io_.output().append(bytes);
  } else {
    PendingCall& call = append_call(nullptr);
    call.done = call.final_form = true;
    call.reply.assign(bytes);
    held_bytes_ += bytes.size();
  }
  command_ended();
}

// CLIENT REPLY SKIP is over after the command that followed it.
void ClientSession::command_ended() {
  if (reply_mode_ == ReplyMode::skip) reply_mode_ = ReplyMode::on;
  if (reply_mode_ == ReplyMode::skip_next) reply_mode_ = ReplyMode::skip;
}

}  // namespace stayd
