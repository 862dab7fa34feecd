// A Redis port without sockets and without an engine, for tests: bytes in, bytes out, and calls
// that the test answers when and in the order it likes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/client_session.h"

namespace stayd::testing {

struct FakeIo final : ClientIo {
  std::string out;
  bool closed = false, at_once = false, paused = false, resume_asked = false;
  std::size_t stuck_bytes = 0;  // as if the kernel took nothing
  std::string& output() override { return out; }
  std::int64_t stuck_since_us = 0;
  std::size_t unsent_bytes() const override { return stuck_bytes; }
  std::int64_t stalled_since_us() const override { return stuck_since_us; }
  void close(bool now) override {
    closed = true;
    at_once = at_once || now;
  }
  void pause_reading(bool on) override { paused = on; }
  void request_resume() override { resume_asked = true; }
};

struct FakeEngine final : CallHandler {
  bool up = true;
  bool immediate = true;  // answer inside submit()
  std::vector<Call*> calls;
  std::vector<std::string> seen;  // "get a b"
  std::vector<std::uint64_t> gone;
  static std::string text_of(const Call& call) {
    std::string text;
    for (const std::string_view arg : call.args) (text += text.empty() ? "" : " ").append(arg);
    return text;
  }
  // "value" by default: the command's own text as a bulk string.
  std::string reply_of(const Call& call) const {
    if (!next_reply.empty()) return next_reply;
    const std::string text = text_of(call);
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  std::string next_reply;
  void submit(Call& call) override {
    seen.push_back(text_of(call));
    note_keys(call);
    if (immediate) return call.sink->on_reply(call, reply_of(call));
    calls.push_back(&call);
  }
  // As the engine does: the keys of a call under way can be read.
  static void note_keys(Call& call) {
    std::vector<std::uint32_t> positions;
    if (call.spec != nullptr) find_keys(*call.spec, call.args, positions);
    for (const auto position : positions) {
      call.keys.push_back(full_key(call.db, call.args[position]));
    }
    for (const auto& queued : call.block) note_keys(*queued);
  }
  void answer_all() {
    while (!calls.empty()) answer(0, "+OK\r\n");
  }
  void answer(std::size_t index, std::string_view reply) {
    Call* call = calls.at(index);
    calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(index));
    call->sink->on_reply(*call, reply);
  }
  bool redis_answers() const override { return up; }
  void client_gone(std::uint64_t id) override { gone.push_back(id); }
};

// One port with any number of clients.
struct FakePort {
  FakeEngine engine;
  Counters counters;
  PortContext context;
};

struct FakeClient {
  explicit FakeClient(FakePort& port, std::string peer = "127.0.0.1:5000")
      : session(std::make_unique<ClientSession>(
            io, port.engine, port.counters, port.context,
            ClientAddress{.peer = std::move(peer), .local = "127.0.0.1:6380"})) {}
  FakeIo io;
  std::unique_ptr<ClientSession> session;

  // Feeds and returns what came out; resumes as net/ does at the end of a turn.
  std::string feed(std::string_view bytes) {
    session->on_bytes(bytes);
    return take();
  }
  std::string take() {
    while (io.resume_asked) {
      io.resume_asked = false;
      session->resume();
    }
    std::string out;
    out.swap(io.out);
    return out;
  }
};

// "get a" -> the request as RESP; words by single spaces.
inline std::string request(std::string_view words) {
  std::vector<std::string_view> args;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    args.push_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  std::string out;
  append_request(out, args);
  return out;
}

// Several commands, one a line.
inline std::string requests(std::initializer_list<std::string_view> commands) {
  std::string out;
  for (const std::string_view command : commands) out += request(command);
  return out;
}

}  // namespace stayd::testing
