// What the load asks of sessions, and what it was promised: an answer that contradicts an earlier
// acknowledgement is a wrong answer. Pure: no I/O, no clock. Single thread.
//
// Judged are: nil for a live session, a value after an acknowledged logout, a version older than
// one acknowledged before the question, a version that nobody wrote, another session's value.
// Commands of one session may be under way on several connections; only what is certain then is
// judged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "resp/reply.h"

namespace stayd::load {

enum class Op : std::uint8_t { read, read_gone, write, login, logout };

// What costs the same: reads, writes (logins too), logouts.
enum class Kind : std::uint8_t { read, write, logout };
inline constexpr std::size_t kKinds = 3;

constexpr Kind kind_of(Op op) {
  if (op == Op::logout) return Kind::logout;
  return op == Op::read || op == Op::read_gone ? Kind::read : Kind::write;
}

struct Request {
  Op op = Op::read;
  std::uint32_t session = 0;
  std::uint32_t version = 0;  // write, login: what is written; read: the least it may answer
  std::int64_t due_us = 0;    // when it should have been sent
};

enum class Verdict : std::uint8_t { right, error, wrong };

struct Judgement {
  Verdict verdict = Verdict::right;
  std::string why;  // the error's text, or what was wrong
};

class Sessions {
 public:
  Sessions(std::size_t value_bytes, Random& random) : value_bytes_(value_bytes), random_(random) {}

  // The next request of the mix: 80 % GET, 15 % SET EX, 3 % login, 2 % logout; after an
  // acknowledged logout a GET of that session.
  Request next();
  Request login();
  // A read of session number `index`, counted from the first login; index < count().
  Request read(std::uint32_t index) const;
  std::size_t count() const { return sessions_.size(); }

  void append(const Request& request, std::string& out) const;
  Judgement judge(const Request& request, const ReplyView& reply);
  // No answer came, so nobody knows whether it was done.
  void lost(const Request& request);
  static std::string key(std::uint32_t session);

 private:
  // unsure: a login or logout without an answer; never asked again.
  enum class State : std::uint8_t { entering, live, leaving, gone, unsure };
  struct Session {
    State state = State::entering;
    bool writing = false;
    std::uint32_t acked = 0;
    std::uint32_t issued = 1;
    std::uint32_t position = 0;  // in live_
  };

  std::uint32_t some_live();
  Request write();
  Request logout();
  void enter(std::uint32_t session);
  void leave(std::uint32_t session, State state);
  Judgement judge_read(const Request& request, const ReplyView& reply) const;

  std::size_t value_bytes_;
  Random& random_;
  std::vector<Session> sessions_;
  std::vector<std::uint32_t> live_;
  std::vector<std::uint32_t> gone_;
  std::vector<std::uint32_t> to_ask_;  // logged out just now
};

}  // namespace stayd::load
