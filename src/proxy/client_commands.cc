// CLIENT: about stayd's own clients.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proxy/client_session.h"
#include "proxy/client_state.h"
#include "resp/reply.h"

namespace stayd {
namespace {

constexpr std::string_view kSyntax = "ERR syntax error";

std::optional<std::uint64_t> client_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size() || number == 0) {
    return std::nullopt;
  }
  return number;
}

bool on_or_off(std::string_view text) {
  return equals_ignore_case(text, "on") || equals_ignore_case(text, "off");
}

bool is_replication_type(std::string_view type) {
  return equals_ignore_case(type, "master") || equals_ignore_case(type, "replica") ||
         equals_ignore_case(type, "slave");
}

void client_help(std::string& out) {
  static constexpr std::string_view kLines[] = {
      "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "GETNAME",
      "    Return the name of the current connection.",
      "GETREDIR",
      "    Return -1: client tracking is not offered.",
      "ID",
      "    Return the ID of the current connection.",
      "INFO",
      "    Return information about the current client connection.",
      "KILL <ip:port>|<option> <value> ...",
      "    Kill connections to stayd; options: ID, ADDR, LADDR, TYPE, USER, SKIPME.",
      "LIST [TYPE (NORMAL|PUBSUB)] [ID <id> ...]",
      "    Return information about client connections.",
      "NO-EVICT (ON|OFF), NO-TOUCH (ON|OFF), SETINFO <attribute> <value>",
      "    Accepted.",
      "REPLY (ON|OFF|SKIP)",
      "    Control the replies sent to the current connection.",
      "SETNAME <name>",
      "    Assign the name <name> to the current connection.",
      "UNBLOCK <clientid> [TIMEOUT|ERROR]",
      "    Unblock the specified blocked client.",
      "HELP",
      "    Prints this help.",
  };
  write_array(out, std::size(kLines));
  for (const std::string_view line : kLines) write_simple(out, line);
}

void tracking_info(std::string& out) {
  write_map(out, 3);
  write_bulk(out, "flags");
  write_set(out, 1);
  write_bulk(out, "off");
  write_bulk(out, "redirect");
  write_integer(out, -1);
  write_bulk(out, "prefixes");
  write_array(out, 0);
}

}  // namespace

void ClientSession::client_command(const CommandSpec& spec, const Args& args, std::string& out) {
  const std::string_view name = spec.name.substr(std::min<std::size_t>(spec.name.size(), 7));
  if (name == "id") return write_integer(out, static_cast<std::int64_t>(id_));
  if (name == "getname") {
    if (names_ == nullptr || names_->name.empty()) return write_null(out);
    return write_bulk(out, names_->name);
  }
  if (name == "setname") {
    if (set_name(args[2])) return write_simple(out, "OK");
    return write_error(out,
                       "ERR Client names cannot contain spaces, newlines or special characters.");
  }
  if (name == "setinfo") {
    if (equals_ignore_case(args[2], "lib-name")) {
      names().library = args[3];
    } else if (equals_ignore_case(args[2], "lib-ver")) {
      names().library_version = args[3];
    } else {
      return write_error(out, "ERR Unrecognized option '" + std::string(args[2]) + "'");
    }
    return write_simple(out, "OK");
  }
  if (name == "info") {
    std::string line;
    append_info(line);
    return write_verbatim(out, line + "\n");
  }
  if (name == "list") return client_list(args, out);
  if (name == "kill") return client_kill(args, out);
  if (name == "no-evict" || name == "no-touch") {
    if (on_or_off(args[2])) return write_simple(out, "OK");
    return write_error(out, kSyntax);
  }
  if (name == "unpause") return write_simple(out, "OK");
  if (name == "unblock") return write_integer(out, 0);  // inside MULTI
  if (name == "getredir") return write_integer(out, -1);
  if (name == "trackinginfo") return tracking_info(out);
  if (name == "help") return client_help(out);
  if (name == "caching") {
    return write_error(out,
                       "ERR CLIENT CACHING can be called only when the client is in tracking mode "
                       "with OPTIN or OPTOUT mode enabled");
  }
  if (name == "tracking" && args.size() == 3 && equals_ignore_case(args[2], "off")) {
    return write_simple(out, "OK");
  }
  // PAUSE, TRACKING ON: an honest no is better than an OK that promises nothing.
  write_error(out, "ERR stayd: 'client|" + std::string(name) + "' is not offered through stayd");
}

bool ClientSession::client_reply(const Args& args) {
  if (equals_ignore_case(args[2], "on")) {
    reply_mode_ = ReplyMode::on;
    ok();
  } else if (equals_ignore_case(args[2], "off")) {
    reply_mode_ = ReplyMode::off;
  } else if (equals_ignore_case(args[2], "skip")) {
    if (reply_mode_ != ReplyMode::off) reply_mode_ = ReplyMode::skip;
  } else {
    error(kSyntax);
  }
  return true;
}

// The engine knows who waits on a connection of its own; without Redis nobody does.
bool ClientSession::client_unblock(const CommandSpec& spec, std::string_view frame,
                                   const Args& args) {
  if (args.size() > 4) {
    return error("ERR unknown subcommand or wrong number of arguments for '" +
                 std::string(args[1]) + "'. Try CLIENT HELP."),
           true;
  }
  if (args.size() == 4 && !equals_ignore_case(args[3], "timeout") &&
      !equals_ignore_case(args[3], "error")) {
    return error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"), true;
  }
  std::int64_t id = 0;
  const auto [end, failure] = std::from_chars(args[2].data(), args[2].data() + args[2].size(), id);
  if (failure != std::errc{} || end != args[2].data() + args[2].size()) {
    return error("ERR value is not an integer or out of range"), true;
  }
  if (handler_.redis_answers()) return forward(spec, frame, args, true);
  answer_final(":0\r\n");
  return true;
}

void ClientSession::append_info(std::string& out) const {
  const std::int64_t now = context_.now.mono_us;
  const std::string_view name = names_ == nullptr ? std::string_view() : names_->name;
  const std::size_t channels = topics_ == nullptr ? 0 : topics_->channels.size();
  const std::size_t patterns = topics_ == nullptr ? 0 : topics_->patterns.size();
  const char* flags = subscribed() ? "P" : block_ != nullptr ? "x" : "N";
  const int multi = block_ == nullptr ? -1 : static_cast<int>(block_->calls.size());
  fmt::format_to(
      std::back_inserter(out),
      "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub={} psub={} ssub=0 "
      "multi={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 obl=0 oll={} omem={} "
      "tot-mem={} events=r cmd={} user={} redir=-1 resp={}",
      id_, address_.peer, address_.local, name, (now - created_us_) / 1'000'000,
      (now - last_input_us_) / 1'000'000, flags, db_, channels, patterns, multi,
      std::max(in_.size(), request_bytes_), block_ == nullptr ? 0 : block_->bytes, queued_,
      io_.unsent_bytes(), sizeof(*this) + in_.capacity() + io_.unsent_bytes(),
      last_command_ == nullptr ? std::string_view("NULL") : last_command_->name, user(), proto_);
}

void ClientSession::client_list(const Args& args, std::string& out) {
  std::string text;
  const auto append = [&](const ClientSession& session) {
    session.append_info(text);
    text += '\n';
  };
  if (args.size() == 2) {
    for (const auto& [id, session] : context_.sessions) append(*session);
  } else if (args.size() == 4 && equals_ignore_case(args[2], "type")) {
    const bool pubsub = equals_ignore_case(args[3], "pubsub");
    if (!pubsub && !equals_ignore_case(args[3], "normal") && !is_replication_type(args[3])) {
      return write_error(out, "ERR Unknown client type '" + std::string(args[3]) + "'");
    }
    const bool any = pubsub || equals_ignore_case(args[3], "normal");
    for (const auto& [id, session] : context_.sessions) {
      if (any && session->subscribed() == pubsub) append(*session);
    }
  } else if (args.size() > 3 && equals_ignore_case(args[2], "id")) {
    for (std::size_t i = 3; i < args.size(); ++i) {
      const auto id = client_number(args[i]);
      if (!id) return write_error(out, "ERR Invalid client ID");
      const auto it = context_.sessions.find(*id);
      if (it != context_.sessions.end()) append(*it->second);
    }
  } else {
    return write_error(out, kSyntax);
  }
  write_verbatim(out, text);
}

void ClientSession::client_kill(const Args& args, std::string& out) {
  std::optional<std::uint64_t> id;
  std::optional<std::string_view> peer, local, user;
  std::optional<bool> pubsub;
  bool skip_me = true;
  bool nobody = false;  // a type that stayd has no clients of
  const bool old_form = args.size() == 3;
  if (old_form) {
    peer = args[2];
    skip_me = false;
  } else if (args.size() % 2 != 0) {
    return write_error(out, kSyntax);
  }
  for (std::size_t i = 2; !old_form && i + 1 < args.size(); i += 2) {
    const std::string_view option = args[i];
    const std::string_view value = args[i + 1];
    if (equals_ignore_case(option, "id")) {
      id = client_number(value);
      if (!id) return write_error(out, "ERR client-id should be greater than 0");
    } else if (equals_ignore_case(option, "addr")) {
      peer = value;
    } else if (equals_ignore_case(option, "laddr")) {
      local = value;
    } else if (equals_ignore_case(option, "user")) {
      if (value != "default" && !context_.auth.users.contains(std::string(value))) {
        return write_error(out, "ERR No such user '" + std::string(value) + "'");
      }
      user = value;
    } else if (equals_ignore_case(option, "type")) {
      pubsub = equals_ignore_case(value, "pubsub");
      nobody = is_replication_type(value);
      if (!*pubsub && !nobody && !equals_ignore_case(value, "normal")) {
        return write_error(out, "ERR Unknown client type '" + std::string(value) + "'");
      }
    } else if (equals_ignore_case(option, "skipme") && equals_ignore_case(value, "yes")) {
      skip_me = true;
    } else if (equals_ignore_case(option, "skipme") && equals_ignore_case(value, "no")) {
      skip_me = false;
    } else {
      return write_error(out, kSyntax);
    }
  }
  std::int64_t killed = 0;
  for (const auto& [number, session] : context_.sessions) {
    if (nobody || (id && *id != number)) continue;
    if (peer && *peer != session->address().peer) continue;
    if (local && *local != session->address().local) continue;
    if (user && *user != session->user()) continue;
    if (pubsub && *pubsub != session->subscribed()) continue;
    if (skip_me && session == this) continue;
    session->kill();
    ++killed;
  }
  if (!old_form) return write_integer(out, killed);
  if (killed == 0) return write_error(out, "ERR No such client");
  write_simple(out, "OK");
}

}  // namespace stayd
