// The link's logins: with what a connection is greeted, what a refusal means for the next one, and
// logins of connections that are up, where those must be renewed (ElastiCache ends them after 12
// h).
#include <algorithm>

#include "redis/link.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kLoginDeadlineUs = 5'000'000;
constexpr std::int64_t kRenewAgainUs = 60'000'000;  // after one that was refused
}  // namespace

bool Link::knows_login() {
  if (options_.credentials == nullptr) return true;
  options_.credentials->look(now_);
  return options_.credentials->known();
}

void Link::choose_login() {
  login_ = {};
  if (options_.credentials != nullptr) {
    login_ = options_.newest_password ? options_.credentials->newest_login()
                                      : options_.credentials->login();
  }
  if (login_.user.empty()) login_.user = "default";
}

void Link::append_hello(std::string& out) {
  choose_login();
  if (login_.password.empty()) {
    append_request(out, {"HELLO", "3", "SETNAME", options_.client_name});
  } else {
    append_request(
        out, {"HELLO", "3", "AUTH", login_.user, login_.password, "SETNAME", options_.client_name});
  }
}

void Link::on_login() {
  if (options_.credentials != nullptr && options_.judges_logins) {
    options_.credentials->accepted(login_);
  }
}

void Link::on_refusal() {
  if (options_.credentials == nullptr || !options_.judges_logins) return;
  const bool another = options_.credentials->refused(login_, now_);
  refusal_ = another ? Refusal::try_another : Refusal::wait;
}

// At half of the time to eleven twelfths: connections that were made together do not ask together.
void Link::plan_renewal() {
  const auto life_ms = options_.credentials ? options_.credentials->connection_life_ms() : 0;
  const auto spread = static_cast<std::uint64_t>(life_ms * 5 / 12);
  renew_us_ =
      life_ms == 0
          ? 0
          : now_.mono_us + (life_ms / 2 + static_cast<std::int64_t>(random_.below(spread))) * 1000;
}

void Link::log_in_again() {
  renew_us_ = now_.mono_us + kRenewAgainUs;
  if (!knows_login()) return;
  choose_login();
  if (login_.password.empty()) return;
  std::string request;
  append_request(request, {"AUTH", login_.user, login_.password});
  // What stands before it keeps its deadline: a blocking command may take long.
  const auto before_us = pending_.empty() ? 0 : pending_.back().deadline_us;
  const auto deadline_us = std::max(now_.mono_us + kLoginDeadlineUs, before_us);
  ReplyHandler& self = *this;
  write(request, Order::by_key, {&self, 0, deadline_us, 1});
}

// A connection whose login is refused serves on for as long as Redis lets it.
void Link::on_upstream_reply(std::uint64_t, std::string_view frame) {
  if (frame[0] == '-') {
    if (refuses_login(frame.substr(1)) && options_.judges_logins) {
      options_.credentials->refused(login_, now_);
    }
    return;
  }
  on_login();
  plan_renewal();
}

}  // namespace stayd
