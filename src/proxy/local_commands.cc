// Commands the Redis port answers itself, whatever state Redis is in.
#include <charconv>

#include "proxy/client_session.h"
#include "proxy/client_state.h"
#include "proxy/info_text.h"
#include "resp/reply.h"

namespace stayd {
namespace {

constexpr std::string_view kWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kNoPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";
constexpr std::string_view kHelloNoAuth =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";
constexpr std::string_view kBadName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

std::optional<long long> whole_number(std::string_view text) {
  long long number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void command_getkeys(const Args& args, std::string& out) {
  const Args inner(args.begin() + 2, args.end());
  const CommandSpec* spec = find_command(inner);
  if (spec == nullptr || (spec->container && inner.size() > 1)) {
    return write_error(out, "ERR Invalid command specified");
  }
  if (!arity_fits(*spec, inner.size())) {
    return write_error(out, "ERR Invalid number of arguments specified for command");
  }
  std::vector<std::uint32_t> positions;
  if (!find_keys(*spec, inner, positions)) {
    return write_error(out, "ERR Invalid arguments specified for command");
  }
  if (positions.empty()) return write_error(out, "ERR The command has no key arguments");
  write_array(out, positions.size());
  for (const std::uint32_t at : positions) write_bulk(out, inner[at]);
}

// COMMAND while Redis is out. COMMAND INFO and the bare list are optional for every client known.
void command_reply(const CommandSpec& spec, const Args& args, std::string& out) {
  if (spec.name == "command|getkeys") return command_getkeys(args, out);
  if (spec.name == "command|docs") return write_map(out, 0);
  if (spec.name != "command|count" && spec.name != "command|list") return write_array(out, 0);
  std::vector<std::string_view> names;
  for (const CommandSpec* command : all_commands()) {
    if (command->name.find('|') == std::string_view::npos) names.push_back(command->name);
  }
  if (spec.name == "command|count") {
    return write_integer(out, static_cast<std::int64_t>(names.size()));
  }
  write_array(out, names.size());
  for (const std::string_view name : names) write_bulk(out, name);
}

}  // namespace

bool ClientSession::local(const CommandSpec& spec, std::string_view frame, const Args& args) {
  const std::string_view name = spec.name;
  if (name == "ping") {
    if (proto_ == 2 && subscribed()) {
      std::string out = "*2\r\n$4\r\npong\r\n";
      write_bulk(out, args.size() > 1 ? args[1] : std::string_view());
      return answer_final(out), true;
    }
    if (args.size() == 1) return answer_final("+PONG\r\n"), true;
  }
  if (name == "hello") return hello(args), true;
  if (name == "auth") return auth(args), true;
  if (name == "select") return select(args), true;
  if (name == "reset") return reset();
  if (name == "quit") return quit(), true;
  if (name == "client|reply") return client_reply(args);
  if (name == "client|unblock") return client_unblock(spec, frame, args);
  if (name.starts_with("command") && handler_.redis_answers()) {
    return forward(spec, frame, args, true);
  }
  std::string& out = context_.scratch;
  out.clear();
  if (!local_reply(spec, args, out)) return server_command(spec, frame, args);
  answer(out, &spec, args);
  return true;
}

bool ClientSession::local_reply(const CommandSpec& spec, const Args& args, std::string& out) {
  const std::string_view name = spec.name;
  if (name == "ping") {
    if (args.size() > 2) {
      write_error(out, wrong_arity_error(spec));
    } else if (args.size() == 2) {
      write_bulk(out, args[1]);
    } else {
      write_simple(out, "PONG");
    }
    return true;
  }
  if (name == "echo") return write_bulk(out, args[1]), true;
  if (name.starts_with("client")) return client_command(spec, args, out), true;
  if (name.starts_with("command")) return command_reply(spec, args, out), true;
  return false;
}

bool ClientSession::authenticate(std::string_view user, std::string_view password) {
  if (!context_.auth.accepts(user, password)) return false;
  authenticated_ = true;
  if (user != "default" || names_ != nullptr) names().user = user;
  return true;
}

void ClientSession::auth(const Args& args) {
  if (args.size() > 3) return error("ERR syntax error");
  if (args.size() == 2 && context_.auth.password.empty()) return error(kNoPassword);
  const std::string_view user = args.size() == 3 ? args[1] : std::string_view("default");
  if (!authenticate(user, args.back())) return error(kWrongPass);
  ok();
}

bool ClientSession::set_name(std::string_view name) {
  for (const char c : name) {
    if (c < '!' || c > '~') return false;
  }
  if (!name.empty() || names_ != nullptr) names().name = name;
  return true;
}

void ClientSession::hello(const Args& args) {
  std::uint8_t wanted = proto_;
  if (args.size() > 1) {
    const auto version = whole_number(args[1]);
    if (!version) return error("ERR Protocol version is not an integer or out of range");
    if (*version != 2 && *version != 3) return error("NOPROTO unsupported protocol version");
    wanted = static_cast<std::uint8_t>(*version);
  }
  std::optional<std::string_view> name;
  for (std::size_t i = 2; i < args.size(); ++i) {
    if (equals_ignore_case(args[i], "auth") && i + 2 < args.size()) {
      if (!authenticate(args[i + 1], args[i + 2])) return error(kWrongPass);
      i += 2;
    } else if (equals_ignore_case(args[i], "setname") && i + 1 < args.size()) {
      name = args[++i];
      for (const char c : *name) {
        if (c < '!' || c > '~') return error(kBadName);
      }
    } else {
      return error("ERR Syntax error in HELLO option '" + std::string(args[i]) + "'");
    }
  }
  if (!authenticated_) return error(kHelloNoAuth);
  if (name) set_name(*name);
  proto_ = wanted;
  std::string out;
  write_map(out, 7);
  write_bulk(out, "server");
  write_bulk(out, "redis");
  write_bulk(out, "version");
  write_bulk(out, kRedisVersion);
  write_bulk(out, "proto");
  write_integer(out, proto_);
  write_bulk(out, "id");
  write_integer(out, static_cast<std::int64_t>(id_));
  write_bulk(out, "mode");
  write_bulk(out, "standalone");
  write_bulk(out, "role");
  write_bulk(out, "master");
  write_bulk(out, "modules");
  write_array(out, 0);
  answer(out, nullptr, args);
}

void ClientSession::select(const Args& args) {
  const std::string_view wrong = select_error(args[1], context_.databases);
  if (!wrong.empty()) return error(wrong);
  db_ = *database_number(args[1]);
  ok();
}

bool ClientSession::reset() {
  if (outstanding_ > 0) return false;
  if (watching_) handler_.client_gone(id_);
  watching_ = false;
  end_multi();
  drop_subscriptions();
  names_.reset();
  db_ = context_.default_db;
  proto_ = 2;
  reply_mode_ = ReplyMode::on;
  authenticated_ = !context_.auth.required();
  answer_final("+RESET\r\n");
  return true;
}

void ClientSession::quit() {
  ok();
  closing_ = true;
}

std::string_view ClientSession::user() const {
  return names_ == nullptr ? std::string_view("default") : std::string_view(names_->user);
}

ClientSession::Names& ClientSession::names() {
  if (names_ == nullptr) names_ = std::make_unique<Names>();
  return *names_;
}

}  // namespace stayd
