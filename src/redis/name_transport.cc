#include "redis/name_transport.h"

#include <algorithm>
#include <utility>

namespace stayd {

NameTransport::NameTransport(NameDialer& dialer, std::uint64_t id, Endpoint endpoint,
                             std::int64_t deadline_us, TransportEvents& events)
    : dialer_(dialer),
      id_(id),
      endpoint_(std::move(endpoint)),
      events_(events),
      dialled_us_(dialer.now_.mono_us),
      deadline_us_(deadline_us) {}

NameTransport::~NameTransport() {
  close(true);
  dialer_.live_.erase(id_);
}

void NameTransport::write(std::string_view bytes) {
  if (state_ == State::open) {
    below_->write(bytes);
  } else if (state_ == State::resolving || state_ == State::connecting) {
    early_.append(bytes);
  }
}

std::size_t NameTransport::unsent_bytes() const {
  return early_.size() + (state_ == State::open ? below_->unsent_bytes() : 0);
}

void NameTransport::close(bool reset) {
  if (reset && state_ == State::open) note_end();
  if (below_ && state_ != State::failed) below_->close(reset);
  state_ = State::closed;
}

void NameTransport::connect(Addresses addresses) {
  addresses_ = std::move(addresses);
  next_address_ = 0;
  state_ = State::connecting;
  connect_next();
}

void NameTransport::connect_next() {
  const std::int64_t now_us = dialer_.now_.mono_us;
  const auto tries = static_cast<std::int64_t>(addresses_.size() - next_address_);
  const std::int64_t left_us = deadline_us_ - now_us;
  share_until_us_ = now_us + std::max(left_us / tries, NameDialer::kLeastShareUs);
  ++next_address_;
  // One tick later than here: it is this one's deadline that counts.
  below_ = dialer_.below_.dial_address(address(), left_us / 1000 + 10, *this);
}

void NameTransport::check_deadline() {
  const std::int64_t now_us = dialer_.now_.mono_us;
  if (state_ == State::resolving && now_us >= deadline_us_) {
    return fail(CloseReason::timeout, "name resolution timed out");
  }
  if (state_ != State::connecting) return;
  const bool last = next_address_ == addresses_.size();
  if (now_us < deadline_us_ && (last || now_us < share_until_us_)) return;
  dialer_.on_failed(*this, false);
  if (now_us >= deadline_us_) return fail(CloseReason::timeout, "connection timed out");
  below_->close(false);
  connect_next();
}

void NameTransport::on_connected() {
  state_ = State::open;
  opened_us_ = dialer_.now_.mono_us;
  if (!dialer_.on_open(*this)) return;
  if (!early_.empty()) below_->write(std::exchange(early_, {}));
  events_.on_connected();
}

// When no address is left, the last one's error is the answer. What fails for lack of something
// here says nothing about an address, and the next one would fare no better.
void NameTransport::on_closed(CloseReason reason, std::string_view detail) {
  const bool counts = reason != CloseReason::local;
  if (counts && state_ == State::open) {
    note_end();
  } else if (counts) {
    dialer_.on_failed(*this, false);
    const bool late = dialer_.now_.mono_us >= deadline_us_;
    if (next_address_ < addresses_.size() && !late) return connect_next();
  }
  state_ = State::closed;
  events_.on_closed(reason, detail);  // may destroy us
}

// Not of an orderly one, which says nothing about its address.
void NameTransport::note_end() {
  dialer_.on_failed(*this, dialer_.now_.mono_us - opened_us_ >= NameDialer::kProvenUs);
}

void NameTransport::fail(CloseReason reason, std::string detail) {
  // What is on its way to where Redis was shall not get there.
  if (below_) below_->close(reason == CloseReason::moved);
  state_ = State::failed;
  reason_ = reason;
  detail_ = std::move(detail);
  dialer_.due_();
}

void NameTransport::tell_end() {
  state_ = State::closed;
  events_.on_closed(reason_, detail_);
}

}  // namespace stayd
