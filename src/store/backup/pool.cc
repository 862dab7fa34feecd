#include "store/backup/pool.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace stayd {
namespace {

constexpr std::int64_t kRetryUs = 10'000;  // after a deadlock, at most
// A commit that notifies holds a lock of the whole cluster while it is synced to disk: with eight
// at a time 1,170 commits/s become 340. So the hint is a transaction of its own, and rare.
constexpr std::int64_t kHintIntervalUs = 100'000;

bool is_bulk(const BackupOperation& operation) {
  return !operation.urgent && std::holds_alternative<WriteRequest>(operation.request);
}

Error late() {
  return make_error(Errc::timed_out, "backup: no answer within the deadline");
}

}  // namespace

Pool::Pool(std::unique_ptr<BackupDriver> driver, BackupOptions options, Waker& waker)
    : options_(std::move(options)),
      driver_(std::move(driver)),
      waker_(waker),
      connector_(*driver_, options_, [this] { wake_.set(); }),
      random_(options_.seed + 1) {
  status_.error = status_now_.error = "backup: connecting";
  thread_ = std::thread([this] { run(); });
}

std::optional<Error> Pool::post(BackupOperation& operation) {
  if (pending_ >= kMaxBackupQueue || pending_bytes_ + operation.bytes > kMaxBackupQueueBytes) {
    return make_error(Errc::busy, "backup: too much is waiting");
  }
  ++pending_;
  pending_bytes_ += operation.bytes;
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(operation));
  }
  wake_.set();
  return std::nullopt;
}

Pool::Output Pool::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(outbox_, {});
}

BackupStatus Pool::status() const {
  const std::lock_guard lock(mutex_);
  BackupStatus out = status_;
  const std::size_t pending = pending_;
  out.queued = pending - std::min(pending, out.under_way);
  return out;
}

void Pool::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.set();
  thread_.join();
  connector_.stop();
}

void Pool::run() {
  while (take_inbox()) {
    take_opened();
    expire();
    drop_surplus();
    assign();
    remove_gone();
    connector_.want(missing());
    publish();
    wait();
  }
}

bool Pool::take_inbox() {
  wake_.clear();
  std::vector<BackupOperation> taken;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    taken.swap(inbox_);
  }
  for (BackupOperation& one : taken) {
    (one.urgent ? urgent_ : queue_).push_back(std::move(one));
  }
  return true;
}

void Pool::take_opened() {
  for (Connector::Opened& opened : connector_.take()) {
    tried_ = true;
    opened_us_ = mono_us();
    if (!opened.link) {
      status_now_.error = opened.error.message;
      if (links_.empty()) down(opened.error);
      continue;
    }
    const BackupSession& session = opened.link->session();
    const bool other = !links_.empty() && links_[0]->connection->session().epoch != session.epoch;
    for (auto& link : links_) {  // of a database that is no more
      if (other) lost(*link, make_error(Errc::io, "backup: the data is another one's"));
    }
    remove_gone();
    status_now_.up = true;
    status_now_.writable = session.writable;
    status_now_.epoch = session.epoch;
    status_now_.error.clear();
    links_.push_back(std::make_unique<Link>(Link{std::move(opened.link)}));
  }
  if (!links_.empty() && !links_[0]->watch) links_[0]->watch = true;
}

int Pool::missing() const {
  const int missing = options_.connections - static_cast<int>(links_.size());
  const bool reopen = status_now_.up && !status_now_.writable &&
                      mono_us() - opened_us_ >= options_.reopen_interval_us;
  return missing == 0 && reopen ? 1 : missing;
}

// One that has nothing to do, rather than the watch, and not the last one opened.
void Pool::drop_surplus() {
  if (static_cast<int>(links_.size()) <= options_.connections) return;
  const auto idle = [](const std::unique_ptr<Link>& link) { return link->connection->idle(); };
  const auto found = std::find_if(links_.rbegin() + 1, links_.rend(), idle);
  if (found == links_.rend()) return;
  (*found)->gone = true;
  remove_gone();
}

// Whatever has waited too long, in the queue or for an answer.
void Pool::expire() {
  const std::int64_t now = mono_us();
  for (auto* queue : {&urgent_, &queue_}) {
    for (BackupOperation& one : *queue) {
      if (one.deadline_us <= now) report(one, late());
    }
    std::erase_if(*queue, [now](const BackupOperation& one) { return one.deadline_us <= now; });
  }
  for (auto& link : links_) {
    if (!link->connection->idle() && link->deadline_us <= now) lost(*link, late());
  }
  remove_gone();
}

void Pool::assign() {
  // While nobody knows yet, they wait; once it is known to be out, nobody waits for it.
  if (links_.empty()) {
    if (tried_) down(make_error(Errc::unavailable, status_now_.error));
    return;
  }
  assigned_us_ = mono_us();
  for (auto& link : links_) {
    if (!link->gone && link->connection->idle()) assign_to(*link);
  }
}

void Pool::assign_to(Link& link) {
  if (link.watch && mono_us() - link.looked_us >= options_.look_interval_us) return look(link);
  if (link.watch && hint_due()) return hint(link);
  for (BackupOperation next; link.connection->idle() && !link.gone && take_next(link, next);) {
    begin(link, std::move(next));
  }
}

bool Pool::take_next(const Link& link, BackupOperation& out) {
  const bool urgent_only = link.watch && links_.size() > 1;
  const bool no_bulk = bulk_writes() >= driver_->parallel_writes();
  for (auto* queue : {&urgent_, &queue_}) {
    if (queue == &queue_ && urgent_only) break;
    const auto next = std::ranges::find_if(*queue, [&](const BackupOperation& one) {
      return one.not_before_us <= assigned_us_ && !(no_bulk && is_bulk(one));
    });
    if (next == queue->end()) continue;
    out = std::move(*next);
    queue->erase(next);
    return true;
  }
  return false;
}

void Pool::begin(Link& link, BackupOperation operation) {
  link.operation = std::move(operation);
  const Result<bool> started = link.connection->start(*link.operation);
  if (!started) {
    report(*link.operation, started.error());
    link.operation.reset();
    return;
  }
  link.deadline_us = link.operation->deadline_us;
  if (!*started) lost(link, link.connection->lost_error());
}

int Pool::bulk_writes() const {
  return static_cast<int>(std::ranges::count_if(links_, [](const std::unique_ptr<Link>& link) {
    return !link->gone && link->operation && is_bulk(*link->operation);
  }));
}

bool Pool::hint_due() const {
  return hint_wanted_ && mono_us() - hinted_us_ >= kHintIntervalUs;
}

void Pool::hint(Link& link) {
  hint_wanted_ = false;
  hinted_us_ = mono_us();
  begin_own(link);
  if (!link.connection->start_hint()) lost(link, link.connection->lost_error());
}

void Pool::look(Link& link) {
  link.looking = true;
  begin_own(link);
  if (!link.connection->start_look()) lost(link, link.connection->lost_error());
}

void Pool::begin_own(Link& link) {
  link.started_us = mono_us();
  link.deadline_us = link.started_us + options_.look_deadline_us;
}

int Pool::timeout_ms() const {
  const std::int64_t now = mono_us();
  std::int64_t until = now + 1'000'000;
  for (const auto* queue : {&urgent_, &queue_}) {
    for (const BackupOperation& one : *queue) {
      until = std::min(until, one.deadline_us);
      if (one.not_before_us > assigned_us_) until = std::min(until, one.not_before_us);
    }
  }
  for (const auto& link : links_) {
    if (!link->connection->idle()) until = std::min(until, link->deadline_us);
    if (!link->watch || !link->connection->idle()) continue;
    until = std::min(until, link->looked_us + options_.look_interval_us);
    if (hint_wanted_) until = std::min(until, hinted_us_ + kHintIntervalUs);
  }
  return static_cast<int>(std::max<std::int64_t>(0, until - now + 999) / 1000);
}

void Pool::wait() {
  std::vector<pollfd> waiting{{wake_.fd(), POLLIN, 0}};
  for (const auto& link : links_) {
    const bool write = link->connection->wants_to_write();
    waiting.push_back(
        {link->connection->fd(), static_cast<short>(POLLIN | (write ? POLLOUT : 0)), 0});
  }
  ::poll(waiting.data(), waiting.size(), timeout_ms());
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (waiting[i].revents != 0) advance(*links_[i - 1]);
  }
  remove_gone();
}

void Pool::advance(Link& link) {
  if (link.gone) return;  // the look of another one has seen to that in this turn
  const BackupLink::State state = link.connection->advance();
  hinted_ |= link.connection->take_hint();
  if (state == BackupLink::State::lost) return lost(link, link.connection->lost_error());
  if (state == BackupLink::State::done) done(link);
}

void Pool::done(Link& link) {
  if (link.looking) {
    finish_look(link);
  } else if (link.operation) {
    finish_operation(link);
  }
  link.looking = false;
  link.operation.reset();
}

void Pool::finish_operation(Link& link) {
  BackupOperation& operation = *link.operation;
  if (const std::optional<SqlError> error = link.connection->error()) {
    if (error->read_only) status_now_.writable = false;
    if (!error->retry) return report(operation, error->error);
    operation.not_before_us =
        mono_us() + static_cast<std::int64_t>(random_.below(std::uint64_t{kRetryUs}));
    (operation.urgent ? urgent_ : queue_).push_front(std::move(operation));
    return;
  }
  Result<BackupResult> result = link.connection->result();
  if (!result) return report(operation, result.error());
  if (const std::optional<FeedCursor> again = link.connection->again()) {
    std::get<FeedRequest>(operation.request).after = *again;
    queue_.push_front(std::move(operation));
    return;
  }
  hint_wanted_ |= operation.urgent && driver_->has_hints();
  report(operation, std::move(*result));
}

void Pool::finish_look(Link& link) {
  const Now now = options_.now();  // both clocks at once: nothing may come between
  link.looked_us = now.mono_us;
  if (const std::optional<SqlError> error = link.connection->error()) {
    return lost(link, error->error);
  }
  const Result<BackupSession> session = link.connection->looked();
  if (!session) return lost(link, session.error());
  const BackupSession& before = link.connection->session();
  if (session->has_ring && before.ring == nullptr) {  // connecting again refuses, in words
    for (auto& one : links_) lost(*one, make_error(Errc::io, "backup: values are encrypted now"));
    return;
  }
  if (session->epoch != before.epoch || session->era_base != before.era_base) {
    for (auto& one : links_) lost(*one, make_error(Errc::io, "backup: the data is another one's"));
    return;
  }
  const std::int64_t round_trip_us = link.looked_us - link.started_us;
  status_now_.clock_error_ms = (round_trip_us / 1000 + 1) / 2 + session->clock_error_ms;
  status_now_.clock_offset_ms = session->clock_ms - (now.wall_ms - round_trip_us / 2000);
  status_now_.writable = session->writable;
}

// What it was at may have happened or not. Reads are asked again elsewhere.
void Pool::lost(Link& link, const Error& error) {
  if (link.gone) return;
  link.gone = true;
  status_now_.error = error.message;
  if (!link.operation) return;
  const bool write = std::holds_alternative<WriteRequest>(link.operation->request);
  if (write || error.code == Errc::timed_out) {
    const bool known = error.code == Errc::timed_out || error.code == Errc::io;
    report(*link.operation, known ? error : make_error(Errc::io, error.message));
  } else {
    queue_.push_front(std::move(*link.operation));
  }
  link.operation.reset();
}

void Pool::remove_gone() {
  const auto gone = [](const std::unique_ptr<Link>& link) { return link->gone; };
  if (std::erase_if(links_, gone) == 0) return;
  if (links_.empty()) {
    status_now_.up = status_now_.writable = false;
  } else {
    links_[0]->watch = true;
  }
}

void Pool::down(const Error& error) {
  status_now_.up = status_now_.writable = false;
  for (auto* queue : {&urgent_, &queue_}) {
    for (BackupOperation& one : *queue) {
      report(one, make_error(Errc::unavailable, error.message));
    }
    queue->clear();
  }
}

void Pool::report(const BackupOperation& operation, const Error& error) {
  pending_bytes_ -= operation.bytes;
  reports_.push_back({operation.token, error, empty_result(operation)});
}

void Pool::report(const BackupOperation& operation, BackupResult result) {
  pending_bytes_ -= operation.bytes;
  reports_.push_back({operation.token, {}, std::move(result)});
}

void Pool::publish() {
  status_now_.under_way = static_cast<std::size_t>(std::ranges::count_if(
      links_, [](const std::unique_ptr<Link>& link) { return link->operation.has_value(); }));
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const bool changed = status_.up != status_now_.up || status_.writable != status_now_.writable ||
                         status_.epoch != status_now_.epoch;
    status_ = status_now_;
    outbox_.status_changed |= changed;
    outbox_.hint |= hinted_;
    wake = changed || hinted_ || !reports_.empty();
    pending_ -= reports_.size();
    std::move(reports_.begin(), reports_.end(), std::back_inserter(outbox_.reports));
  }
  hinted_ = false;
  reports_.clear();
  if (wake) waker_.wake();
}

}  // namespace stayd
