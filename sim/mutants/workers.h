// Work in child processes, a few at a time: a mutant may fail an assertion, or never end. The
// parent is single-threaded; each job runs in a fork of it.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace stayd::sim {

// How a job ended. `said`: every line that it has reported.
struct JobEnd {
  std::vector<std::string> said;
  bool aborted = false;    // an assertion
  bool timed_out = false;  // more than kJobSeconds of processor time
  double cpu_seconds = 0;
};

inline constexpr unsigned kJobSeconds = 7200;

class Workers {
 public:
  // Reports a line to the parent; at most 4,000 bytes each.
  using Say = std::function<void(const std::string& line)>;
  struct Job {
    std::function<void(const Say&)> run;       // in the child
    std::function<void(const JobEnd&)> ended;  // in the parent; may add jobs
  };

  explicit Workers(std::size_t at_once) : at_once_(at_once) {}
  void add(Job job) { waiting_.push_back(std::move(job)); }
  void add_next(Job job) { waiting_.push_front(std::move(job)); }
  // Until no job is left; they start in the order in which they stand.
  void run();

 private:
  struct Running {
    int process = 0;
    int pipe = -1;
    std::string text;
    Job job;
  };
  void start(Job job);
  void end(std::size_t index);

  std::size_t at_once_;
  std::deque<Job> waiting_;
  std::vector<Running> running_;
};

}  // namespace stayd::sim
