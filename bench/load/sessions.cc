#include "bench/load/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "resp/request_parser.h"

namespace stayd::load {

namespace {

constexpr std::string_view kLifetimeS = "3600";
constexpr int kTries = 20;  // to find a session that nobody writes just now

Judgement wrong(std::string_view why) {
  return {Verdict::wrong, std::string(why)};
}

// "SESSION:VERSION:xxx..."; false if it is nothing of ours.
bool parse(std::string_view value, std::uint32_t& session, std::uint32_t& version) {
  const char* end = value.data() + value.size();
  const auto first = std::from_chars(value.data(), end, session);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return false;
  return std::from_chars(first.ptr + 1, end, version).ec == std::errc();
}

}  // namespace

std::string Sessions::key(std::uint32_t session) {
  return fmt::format("sess:{:08}", session);
}

Request Sessions::next() {
  if (!to_ask_.empty()) {
    const auto session = to_ask_.back();
    to_ask_.pop_back();
    return {Op::read_gone, session};
  }
  const auto dice = random_.below(100);
  if (dice < 3 || live_.empty()) return login();
  if (dice < 5) return logout();
  if (dice < 20) return write();
  if (dice < 22 && !gone_.empty()) return {Op::read_gone, gone_[random_.below(gone_.size())]};
  return read(some_live());
}

Request Sessions::login() {
  sessions_.emplace_back();
  return {Op::login, static_cast<std::uint32_t>(sessions_.size() - 1), 1};
}

Request Sessions::read(std::uint32_t index) const {
  const Session& session = sessions_[index];
  const bool gone = session.state == State::gone;
  return {gone ? Op::read_gone : Op::read, index, session.acked};
}

std::uint32_t Sessions::some_live() {
  return live_[random_.below(live_.size())];
}

Request Sessions::write() {
  for (int i = 0; i < kTries; ++i) {
    const auto id = some_live();
    Session& session = sessions_[id];
    if (session.writing) continue;
    session.writing = true;
    return {Op::write, id, ++session.issued};
  }
  return read(some_live());
}

Request Sessions::logout() {
  for (int i = 0; i < kTries; ++i) {
    const auto id = some_live();
    if (sessions_[id].writing) continue;
    leave(id, State::leaving);
    return {Op::logout, id};
  }
  return read(some_live());
}

void Sessions::enter(std::uint32_t session) {
  sessions_[session].state = State::live;
  sessions_[session].position = static_cast<std::uint32_t>(live_.size());
  live_.push_back(session);
}

void Sessions::leave(std::uint32_t session, State state) {
  const auto position = sessions_[session].position;
  live_[position] = live_.back();
  sessions_[live_[position]].position = position;
  live_.pop_back();
  sessions_[session].state = state;
}

void Sessions::append(const Request& request, std::string& out) const {
  const std::string name = key(request.session);
  switch (request.op) {
    case Op::read:
    case Op::read_gone:
      return append_request(out, {"GET", name});
    case Op::logout:
      return append_request(out, {"DEL", name});
    case Op::write:
    case Op::login: {
      std::string value = fmt::format("{}:{}:", request.session, request.version);
      value.resize(std::max(value.size(), value_bytes_), 'x');
      return append_request(out, {"SET", name, value, "EX", kLifetimeS});
    }
  }
}

Judgement Sessions::judge(const Request& request, const ReplyView& reply) {
  if (reply.is_error()) {
    lost(request);
    return {Verdict::error, std::string(reply.text())};
  }
  Session& session = sessions_[request.session];
  switch (request.op) {
    case Op::read:
    case Op::read_gone:
      return judge_read(request, reply);
    case Op::write:
      session.writing = false;
      break;
    case Op::login:
      enter(request.session);
      break;
    case Op::logout:
      session.state = State::gone;
      gone_.push_back(request.session);
      to_ask_.push_back(request.session);
      return reply.integer() == 1 ? Judgement{} : wrong("DEL did not find a live session");
  }
  session.acked = request.version;
  return reply.text() == "OK" ? Judgement{} : wrong("SET was not answered with OK");
}

Judgement Sessions::judge_read(const Request& request, const ReplyView& reply) const {
  const Session& session = sessions_[request.session];
  if (reply.is_null()) {
    const bool alive = request.op == Op::read && session.state == State::live;
    return alive ? wrong("nil for a live session") : Judgement{};
  }
  if (request.op == Op::read_gone) return wrong("a value after logout");
  std::uint32_t id = 0;
  std::uint32_t version = 0;
  if (!parse(reply.text(), id, version)) return wrong("not a session's value");
  if (id != request.session) return wrong("another session's value");
  if (version < request.version) return wrong("older than acknowledged");
  if (version > session.issued) return wrong("a version that nobody wrote");
  return {};
}

void Sessions::lost(const Request& request) {
  Session& session = sessions_[request.session];
  if (request.op == Op::write) session.writing = false;
  if (request.op == Op::login || request.op == Op::logout) session.state = State::unsure;
}

}  // namespace stayd::load
