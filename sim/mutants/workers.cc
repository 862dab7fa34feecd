#include "sim/mutants/workers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/error.h"

namespace stayd::sim {

namespace {

[[noreturn]] void child(int out, const Workers::Job& job) {
  const rlimit limit{kJobSeconds, kJobSeconds};
  setrlimit(RLIMIT_CPU, &limit);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // What an assertion says on its way out is not for the reader of the gate's report.
  const int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  job.run([out](const std::string& line) {
    const std::string text = line.substr(0, 4000) + "\n";
    if (write(out, text.data(), text.size()) < 0) _exit(1);
  });
  _exit(0);
}

}  // namespace

void Workers::start(Job job) {
  int ends[2];
  STAYD_ASSERT(pipe(ends) == 0);
  const pid_t process = fork();
  STAYD_ASSERT(process >= 0);
  if (process == 0) {
    close(ends[0]);
    child(ends[1], job);
  }
  close(ends[1]);
  running_.push_back({process, ends[0], {}, std::move(job)});
}

void Workers::end(std::size_t index) {
  Running running = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  close(running.pipe);
  int status = 0;
  rusage used{};
  wait4(running.process, &status, 0, &used);
  JobEnd end;
  end.timed_out = WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT;
  end.aborted = WIFSIGNALED(status) && !end.timed_out;
  end.cpu_seconds =
      static_cast<double>(used.ru_utime.tv_sec) + static_cast<double>(used.ru_utime.tv_usec) / 1e6;
  for (std::size_t at = 0; at < running.text.size();) {
    const auto line_end = running.text.find('\n', at);
    end.said.push_back(running.text.substr(at, line_end - at));
    at = line_end == std::string::npos ? running.text.size() : line_end + 1;
  }
  running.job.ended(end);
}

void Workers::run() {
  while (!waiting_.empty() || !running_.empty()) {
    while (!waiting_.empty() && running_.size() < at_once_) {
      Job job = std::move(waiting_.front());
      waiting_.pop_front();
      start(std::move(job));
    }
    std::vector<pollfd> polled;
    for (const Running& one : running_) polled.push_back({one.pipe, POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    for (std::size_t i = polled.size(); i > 0; --i) {
      if (polled[i - 1].revents == 0) continue;
      char buffer[65'536];
      const ssize_t got = read(polled[i - 1].fd, buffer, sizeof buffer);
      if (got > 0) {
        running_[i - 1].text.append(buffer, static_cast<std::size_t>(got));
      } else {
        end(i - 1);
      }
    }
  }
}

}  // namespace stayd::sim
