#include "store/dynamodb/dynamo_link.h"

#include <algorithm>
#include <utility>

namespace stayd {

using State = BackupLink::State;
using dynamo::Request;

DynamoLink::DynamoLink(std::shared_ptr<dynamo::Service> service, std::shared_ptr<DynamoKeys> keys,
                       std::unique_ptr<dynamo::Exchange> exchange, BackupSession session,
                       std::string home)
    : BackupLink(std::move(session)),
      service_(std::move(service)),
      keys_(std::move(keys)),
      exchange_(std::move(exchange)),
      home_(std::move(home)) {
  values_.set_ring(this->session().ring);
  values_.set_compression(true);  // what is stored is paid by its size
}

// What it was at may have happened, or yet happen.
DynamoLink::~DynamoLink() {
  if (doing_ == Doing::task && !task_->batches.empty()) {
    service_->leave({task_->batches, exchange_->unanswered(), task_->valid_until_us});
  }
  for (dynamo::Service::Left& left : settling_) service_->leave(std::move(left));
}

Result<bool> DynamoLink::start(const BackupOperation& operation) {
  const dynamo::Context context{*service_, session(), values_};
  if (const auto* write = std::get_if<WriteRequest>(&operation.request)) {
    Result<std::unique_ptr<dynamo::Task>> task = dynamo::make_write_task(write->batch, context);
    if (!task) return task.error();
    task_ = std::move(*task);
  } else if (const auto* read = std::get_if<ReadRequest>(&operation.request)) {
    task_ = dynamo::make_read_task(*read, context);
  } else {
    task_ = dynamo::make_feed_task(std::get<FeedRequest>(operation.request), context);
  }
  error_.reset();
  doing_ = Doing::task;
  std::vector<dynamo::Answer> none;
  Result<std::optional<std::vector<Request>>> first = task_->next(none);
  if (!first) {
    doing_ = Doing::nothing;
    return first.error();
  }
  // Without any it ends at once, which advance() says.
  return send(first->has_value() ? std::move(**first) : std::vector<Request>(), 0, 0);
}

// With it goes what was given up without an answer: sent again, each write is executed or refused
// for good, and the batch is no longer under way.
bool DynamoLink::start_look() {
  const Now now = service_->options.now();
  {
    const std::unique_lock lock(keys_->mutex, std::try_to_lock);  // held: they are being renewed
    if (lock.owns_lock() && keys_->provider.is_due(now)) {
      lost_ = make_error(Errc::io, "backup: the AWS credentials are renewed");
      return false;
    }
  }
  error_.reset();
  looked_.reset();
  doing_ = Doing::look;
  std::vector<Request> requests;
  requests.push_back(dynamo::get_item(service_->target.table, dynamo::meta_key()));
  settling_ = service_->take_left();
  // What is too late to be sent is refused by AWS, too, and counts as under way until that is sure.
  std::erase_if(settling_, [now](const dynamo::Service::Left& left) {
    return !left.unanswered.empty() && left.valid_until_us < now.mono_us;
  });
  std::int64_t valid_until_us = 0;
  for (const dynamo::Service::Left& left : settling_) {
    requests.insert(requests.end(), left.unanswered.begin(), left.unanswered.end());
    if (left.unanswered.empty()) continue;
    valid_until_us =
        valid_until_us == 0 ? left.valid_until_us : std::min(valid_until_us, left.valid_until_us);
  }
  return send(std::move(requests), 0, valid_until_us);
}

bool DynamoLink::send(std::vector<Request> requests, std::int64_t pause_us,
                      std::int64_t valid_until_us) {
  return exchange_->start(std::move(requests), pause_us, valid_until_us) != State::lost;
}

State DynamoLink::advance() {
  if (idle()) {
    exchange_->advance();  // a connection that was closed meanwhile
    return State::waiting;
  }
  const State state = exchange_->advance();
  if (state != State::done) return state;
  if (doing_ == Doing::task) return next();
  return doing_ == Doing::look ? look_is_done() : settled();
}

State DynamoLink::next() {
  std::vector<dynamo::Answer> answers = std::move(exchange_->answers());
  if (answers.empty()) return end();
  // An earlier try of what was refused at last may still be on its way.
  const bool sure = std::ranges::none_of(answers, [](const dynamo::Answer& answer) {
    return answer.unsure && answer.error && answer.type != "ConditionalCheckFailedException";
  });
  Result<std::optional<std::vector<Request>>> next = task_->next(answers);
  if (!next) {
    error_ = SqlError{.error = next.error()};
    if (sure && !task_->batches.empty())
      service_->leave({std::exchange(task_->batches, {}), {}, 0});
    return end();
  }
  if (!*next) return end();
  return send(std::move(**next), task_->pause_us, task_->valid_until_us) ? State::waiting
                                                                         : State::lost;
}

State DynamoLink::end() {
  doing_ = Doing::nothing;
  return State::done;
}

State DynamoLink::look_is_done() {
  std::vector<dynamo::Answer> answers = std::move(exchange_->answers());
  looked_ = session_of(answers.at(0), home_, *service_);
  if (settling_.empty() || !*looked_) return end();
  std::vector<Request> requests;
  for (const dynamo::Service::Left& left : settling_) {
    requests.push_back(dynamo::end_batches(service_->target.table, left.batches));
  }
  doing_ = Doing::settle;
  return send(std::move(requests), 0, 0) ? State::waiting : State::lost;
}

State DynamoLink::settled() {
  const std::vector<dynamo::Answer> answers = std::move(exchange_->answers());
  for (std::size_t i = 0; i < answers.size() && i < settling_.size(); ++i) {
    if (answers[i].error) service_->leave({settling_[i].batches, {}, 0});
  }
  settling_.clear();
  return end();
}

Error DynamoLink::lost_error() const {
  return lost_ ? *lost_ : exchange_->lost_error();
}

Result<BackupSession> DynamoLink::looked() {
  return *looked_;
}

DynamoDriver::DynamoDriver(const BackupOptions& options)
    : options_(options), service_(make_error(Errc::invalid, "")) {
  Result<dynamo::Target> target = dynamo::parse_url(options.url);
  if (!target) {
    service_ = target.error();
    return;
  }
  keys_ = std::shared_ptr<DynamoKeys>(
      new DynamoKeys{{}, {dynamo::process_environment(), target->profile}});
  service_ = std::make_shared<dynamo::Service>(std::move(*target), options);
}

Result<std::unique_ptr<BackupLink>> DynamoDriver::open(int cancel_fd) {
  if (!service_) return service_.error();
  dynamo::Connection connection(*service_, options_.now().mono_us + options_.connect_timeout_us,
                                cancel_fd);
  {
    const std::lock_guard lock(keys_->mutex);
    const Result<void> open = connection.open(keys_->provider);
    if (!open) return open.error();
  }
  Result<BackupSession> session = connection.set_up();
  if (!session) return session.error();
  return std::unique_ptr<BackupLink>(std::make_unique<DynamoLink>(
      *service_, keys_, connection.release(), std::move(*session), connection.home()));
}

}  // namespace stayd
