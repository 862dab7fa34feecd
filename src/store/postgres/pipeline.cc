#include "store/postgres/pipeline.h"

#include <vector>

namespace stayd {

Pipeline::Pipeline(PgConnection connection) : connection_(std::move(connection)) {
  PQenterPipelineMode(connection_.get());
}

bool Pipeline::start(Task& task) {
  task_ = &task;
  at_ = 0;
  error_.reset();
  for (const Execution& execution : task.executions()) {
    if (!send(execution)) return false;
  }
  // What is sent up to here is one transaction.
  return PQpipelineSync(connection_.get()) == 1 && flush();
}

bool Pipeline::send(const Execution& execution) {
  const auto count = static_cast<std::size_t>(execution.params.size());
  std::vector<const char*> values(count);
  std::vector<int> lengths(count), formats(count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = execution.params[i].data();
    lengths[i] = static_cast<int>(execution.params[i].size());
  }
  return PQsendQueryPrepared(connection_.get(), execution.statement, execution.params.size(),
                             values.data(), lengths.data(), formats.data(),
                             execution.as_text ? 0 : 1) == 1;
}

bool Pipeline::flush() {
  const int left = PQflush(connection_.get());
  unsent_ = left == 1;
  return left >= 0;
}

Pipeline::State Pipeline::advance() {
  if (unsent_ && !flush()) return State::lost;
  const bool read = PQconsumeInput(connection_.get()) == 1;
  while (PGnotify* notice = PQnotifies(connection_.get())) {
    hinted_ = true;
    PQfreemem(notice);
  }
  const State state = read_results();  // an answer may have come before the end
  if (state != State::waiting) return state;
  return read && PQstatus(connection_.get()) == CONNECTION_OK ? State::waiting : State::lost;
}

Pipeline::State Pipeline::read_results() {
  while (task_ != nullptr && PQisBusy(connection_.get()) == 0) {
    const PgResult result(PQgetResult(connection_.get()));
    if (!result) {  // the end of one execution's results
      if (PQstatus(connection_.get()) != CONNECTION_OK) return State::lost;
      ++at_;
      continue;
    }
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
      task_ = nullptr;
      return State::done;
    }
    take(result.get());
    if (error_ && error_->fatal) return State::lost;
  }
  return State::waiting;
}

void Pipeline::take(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
    if (!error_) task_->take(at_, result);
    return;
  }
  if (status == PGRES_PIPELINE_ABORTED || error_) return;
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  error_ = classify(state == nullptr ? "" : state,
                    message == nullptr ? PQerrorMessage(connection_.get()) : message);
}

Error Pipeline::lost_error() const {
  if (error_) return error_->error;
  return classify("08006", PQerrorMessage(connection_.get())).error;
}

}  // namespace stayd
