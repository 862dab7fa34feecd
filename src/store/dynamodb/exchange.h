// A connection to DynamoDB: sends signed requests, several at once, and collects their answers.
// What is throttled, or fails on the way, is sent again after a growing pause with full jitter, for
// as long as its owner waits. Never blocks: fd() can be read when advance() has something to do.
// One thread at a time.
#pragma once

#include <curl/curl.h>

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/aws_keys.h"
#include "store/backup/link.h"
#include "store/dynamodb/server_clock.h"
#include "store/dynamodb/url.h"

namespace stayd::dynamo {

struct Request {
  const char* operation = "";  // "GetItem"
  boost::json::object body;
  std::string text;  // of the body, instead of it
};

struct Answer {
  boost::json::object body;  // of an error too: its type, message, and what else it says
  std::string type;          // of the error: "ConditionalCheckFailedException"; empty: none
  std::optional<SqlError> error;
  // It was sent more than once, and an earlier try may have been executed.
  bool unsure = false;
};

// What all connections of a stayd have in common. Any thread.
class Service {
 public:
  Service(Target service_target, const BackupOptions& service_options)
      : target(std::move(service_target)), options(service_options) {}
  const Target target;
  const BackupOptions& options;  // outlive it
  ServerClock clock;

  std::shared_ptr<const AwsKeys> keys() const;
  void set_keys(AwsKeys keys);
  std::int64_t wall_ms(Now now) const;  // the server's, or ours while that is not known
  std::int64_t wall_ms() const { return wall_ms(options.now()); }

  // Batches that were given up before it was known whether their writes were executed. They are
  // asked for again until that is known (task.h), and count as under way meanwhile.
  struct Left {
    std::vector<std::string> batches;
    std::vector<Request> unanswered;
    std::int64_t valid_until_us = 0;  // then nobody may send these any more
  };
  void leave(Left left);
  std::vector<Left> take_left();
  std::size_t left() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const AwsKeys> keys_ = std::make_shared<AwsKeys>();
  std::vector<Left> left_;
};
inline constexpr std::size_t kMaxLeft = 16;  // batches; more are not begun

class Exchange {
 public:
  using State = BackupLink::State;
  explicit Exchange(Service& service);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // done, at the earliest from advance(): all have an answer. lost: lost_error() says why.
  // `pause_us`: not before. `valid_until_us` (0: for ever): none is sent, nor signed, after it.
  State start(std::vector<Request> requests, std::int64_t pause_us = 0,
              std::int64_t valid_until_us = 0);
  State advance();
  int fd() const { return epoll_; }

  std::vector<Answer>& answers() { return answers_; }
  // What was sent and has no answer yet.
  std::vector<Request> unanswered() const;
  const Error& lost_error() const { return lost_error_; }

 private:
  struct Call;
  void send(Call& call);
  void take(Call& call, CURLcode code);
  void again(Call& call);
  void take_events();
  void take_finished();
  void send_due();
  void arm();
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  static int on_send(void* call, char* to, char* from, int to_port, int from_port);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* call);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* call);

  Service& service_;
  Random random_;
  const int epoll_, timer_;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Answer> answers_;
  std::size_t left_ = 0;  // without an answer
  int on_way_ = 0;
  bool told_ = true;  // that all is done
  std::int64_t valid_until_us_ = 0;
  std::int64_t curl_due_us_ = -1;  // -1: curl wants no call
  bool lost_ = false;
  Error lost_error_;
};

// What an error of DynamoDB means for us. `type` as in Answer. Pure.
SqlError error_of(const std::string& type, const std::string& message, int status);
// An answer's body and status. Pure; never throws.
Answer answer_of(std::string_view body, int status);

}  // namespace stayd::dynamo
