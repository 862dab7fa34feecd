// What connections to Redis log in with, while passwords change under way (rotation).
//
//   PasswordSource ──offer(), fail()──▶ Credentials ──login()──▶ Link, LoginProbe
//                  ◀──── look() ────────┘          ◀── accepted(), refused()
//
//   the newest is refused, and the    the one before is tried once, at once, and used for new
//   one before is known               connections until it is refused, the newest is accepted, or
//                                     a newer one is read
//   both are refused                  the link waits for a second at least (kRefusedPauseMs)
//   a newer one is read meanwhile     whoever waits dials at once
//   none can be read                  the last good one stays in use
//
// Sans-I/O; loop thread only. What it is given outlives it; links and probes share one of these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/types.h"
#include "observe/counters.h"
#include "observe/events.h"

namespace stayd {

struct Login {
  std::string user;          // empty: the default user
  std::string password;      // empty: no AUTH
  std::uint64_t serial = 0;  // of the password: which of those that were offered
};

// Whether this error, the reply to a login, says that the password or the user is not (or no
// longer) right.
bool refuses_login(std::string_view error);

// A file, a command: where the password is read from.
class PasswordSource {
 public:
  virtual ~PasswordSource() = default;
  // A connection is about to be made, or was `refused`: reads again if that may tell something new,
  // and calls offer() or fail(), during this call or later on the loop. Never blocks.
  virtual void look(Now now, bool refused) = 0;
};

class Credentials {
 public:
  static constexpr std::int64_t kRefusedPauseMs = 1'000;

  Credentials(std::string user, EventSink& log, Counters& counters)
      : user_(std::move(user)), log_(log), counters_(counters) {}

  // nullptr: the password changes only by offer(). Not owned. `setting`: whose value it is, for
  // people ("redis.password_file").
  void set_source(PasswordSource* source, std::string setting) {
    source_ = source;
    setting_ = std::move(setting);
  }
  // The password is this one from now on; empty: none is asked. The same again changes nothing.
  void offer(const std::string& password);
  // As offer(), of a token that is made anew for each connection: the one before is never tried,
  // and nothing is told. `other_keys`: it is signed with other keys than the last.
  void renew(const std::string& token, bool other_keys);
  // Connections must log in again within so long; 0: never.
  void set_connection_life(std::int64_t ms) { connection_life_ms_ = ms; }
  std::int64_t connection_life_ms() const { return connection_life_ms_; }
  // It could not be read; the next offer() ends that, or recovered().
  void fail(const std::string& why);
  void recovered() { trouble_.clear(); }

  void look(Now now);
  // False: none could be read yet. trouble() says why; empty: it is being read.
  bool known() const { return newest_.serial != 0; }
  const std::string& trouble() const { return trouble_; }
  // For the next connection. Requires known().
  Login login() const { return of(prefer_previous_ ? previous_ : newest_); }
  // For a probe: what will be used once the one before is gone. Requires known().
  Login newest_login() const { return of(newest_); }
  // Changes with every new password.
  std::uint64_t serial() const { return newest_.serial; }

  void accepted(const Login& login);
  // True: another password may be tried at once.
  bool refused(const Login& login, Now now);

 private:
  struct Password {
    std::string text;
    std::uint64_t serial = 0;  // 0: there is none
    std::int64_t refused_us = -1'000 * kRefusedPauseMs;
  };
  Login of(const Password& password) const { return {user_, password.text, password.serial}; }
  bool refused_lately(const Password& password, Now now) const;

  const std::string user_;
  std::int64_t connection_life_ms_ = 0;
  std::string setting_ = "redis.password";
  EventSink& log_;
  Counters& counters_;
  PasswordSource* source_ = nullptr;
  Password newest_, previous_;
  bool prefer_previous_ = false;
  std::uint64_t told_serial_ = 0;  // the newest one of which it was told that it is refused
  std::string trouble_;
};

}  // namespace stayd
