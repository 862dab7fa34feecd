#include "core/logout_wait.h"

#include <algorithm>
#include <utility>

#include "core/side_keys.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

void LogoutWait::add(Call& call, bool same_memory) {
  const Waiting waiting{&call, c_.deadline_us(c_.options.logout_wait_ms)};
  if (!same_memory || !aux_->up()) return tell({waiting}, false);
  next_.push_back(waiting);
  if (!asking_) ask();
}

void LogoutWait::ask() {
  asked_ = std::exchange(next_, {});
  asking_ = true;
  written_ = false;
  const std::int64_t left_ms = (asked_.back().deadline_us - c_.now.mono_us) / 1000;
  // Behind slow commands; nothing that waits for these is kept for longer than its own deadline.
  const auto deadline_us = c_.deadline_us(c_.options.logout_wait_ms + c_.options.slow_deadline_ms);
  std::string request;
  append_request(request,
                 {"SET", wait_key(c_.place, c_.instance), "1", "PX", std::to_string(kWaitTtlMs)});
  aux_->send(request, -1, *this, kWritten, deadline_us);
  request.clear();
  append_request(request, {"WAIT", std::to_string(c_.options.logout_wait_replicas),
                           std::to_string(std::max<std::int64_t>(1, left_ms))});
  aux_->send(request, -1, *this, kWaited, deadline_us);
}

// A write that was refused is no write: WAIT then speaks of an older one.
void LogoutWait::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  if (tag == kWritten) {
    written_ = frame[0] == '+';
    return;
  }
  finish(written_ && ReplyView(frame).integer().value_or(0) >= c_.options.logout_wait_replicas);
}

void LogoutWait::on_upstream_lost(std::uint64_t tag) {
  if (tag == kWaited) finish(false);
}

void LogoutWait::finish(bool replicated) {
  asking_ = false;
  const auto asked = std::exchange(asked_, {});
  if (!next_.empty() && aux_->up()) {
    ask();
  } else if (!next_.empty()) {
    tell(std::exchange(next_, {}), false);
  }
  tell(asked, replicated);
}

void LogoutWait::tell(const std::vector<Waiting>& waiting, bool replicated) {
  if (!replicated) c_.counters.logouts_unreplicated += waiting.size();
  for (const Waiting& one : waiting) events_.on_waited(*one.call);
}

void LogoutWait::on_tick() {
  tell_late(asked_);
  tell_late(next_);
}

void LogoutWait::tell_late(std::vector<Waiting>& waiting) {
  const auto in_time = std::find_if(waiting.begin(), waiting.end(), [&](const Waiting& one) {
    return one.deadline_us > c_.now.mono_us;
  });
  if (in_time == waiting.begin()) return;
  const std::vector<Waiting> late(waiting.begin(), in_time);
  waiting.erase(waiting.begin(), in_time);
  tell(late, false);
}

}  // namespace stayd
