#include "redis/credentials.h"

#include <utility>

namespace stayd {

bool refuses_login(std::string_view error) {
  return error.starts_with("WRONGPASS") || error.starts_with("NOAUTH");
}

void Credentials::offer(const std::string& password) {
  trouble_.clear();
  if (known() && password == newest_.text) return;
  const std::uint64_t serial = newest_.serial + 1;
  // Back to the one before (a rotation that was taken back): it counts as new.
  previous_ = std::exchange(newest_, {password, serial});
  prefer_previous_ = false;
  if (serial == 1) return;
  log_.on_event({Severity::info,
                 "password_changed",
                 setting_ + " has another password: new connections use it",
                 {}});
}

void Credentials::renew(const std::string& token, bool other_keys) {
  const bool another = other_keys || !known();
  newest_ = {token, newest_.serial + (another ? 1 : 0), newest_.refused_us};
  previous_ = {};
  prefer_previous_ = false;
}

void Credentials::fail(const std::string& why) {
  ++counters_.password_read_failures;
  if (trouble_ == why) return;
  trouble_ = why;
  log_.on_event({Severity::error,
                 "password_unreadable",
                 setting_ + ": " + why +
                     (known() ? ": the last good password stays in use"
                              : ": Redis cannot be used, sessions are answered from the ledger"),
                 {}});
}

void Credentials::look(Now now) {
  if (source_ != nullptr) source_->look(now, false);
}

void Credentials::accepted(const Login& login) {
  if (login.serial == newest_.serial) {
    prefer_previous_ = false;
    newest_.refused_us = Password{}.refused_us;
    return;
  }
  if (login.serial != previous_.serial || !prefer_previous_) return;
  ++counters_.old_password_logins;
  if (std::exchange(told_serial_, newest_.serial) == newest_.serial) return;
  log_.on_event({Severity::warning,
                 "old_password_used",
                 "Redis refuses the present password of " + setting_ +
                     " and takes the one before, which stayd remembers only until it ends: let "
                     "Redis take both, or put the right one in place",
                 {}});
}

bool Credentials::refused_lately(const Password& password, Now now) const {
  return now.mono_us - password.refused_us < kRefusedPauseMs * 1'000;
}

bool Credentials::refused(const Login& login, Now now) {
  ++counters_.logins_refused;
  if (login.serial == newest_.serial) newest_.refused_us = now.mono_us;
  if (login.serial == previous_.serial) previous_.refused_us = now.mono_us;
  if (source_ != nullptr) source_->look(now, true);
  if (login.serial == newest_.serial) {
    prefer_previous_ = previous_.serial != 0;
    return prefer_previous_ && !refused_lately(previous_, now);
  }
  // The one before, or one from before a newer one was read.
  if (login.serial == previous_.serial) prefer_previous_ = false;
  return !refused_lately(newest_, now);
}

}  // namespace stayd
