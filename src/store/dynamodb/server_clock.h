// What time it is at a server that tells only in whole seconds (HTTP's Date). Each answer says that
// its clock was between one second and the next at some moment between the question and the answer;
// what all of them allow is soon as narrow as a round trip. Any thread.
#pragma once

#include <cstdint>
#include <mutex>

namespace stayd::dynamo {

class ServerClock {
 public:
  // `date_s`: Unix time, as the answer to what was sent and received then says (our clock since
  // start-up).
  void observe(std::int64_t sent_us, std::int64_t received_us, std::int64_t date_s);

  struct Reading {
    std::int64_t wall_ms = 0;
    std::int64_t error_ms = 0;
  };
  // wall_ms 0: nothing was observed.
  Reading at(std::int64_t mono_us) const;

 private:
  mutable std::mutex mutex_;
  bool known_ = false;
  std::int64_t low_us_ = 0, high_us_ = 0;  // server minus ours, at `as_of_us_`
  std::int64_t as_of_us_ = 0;
};

}  // namespace stayd::dynamo
