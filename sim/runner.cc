#include "sim/runner.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <new>
#include <optional>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace stayd::sim {

namespace {

// What the processes share: the next seed's place in the row.
struct Shared {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
};

class SharedMemory {
 public:
  SharedMemory() {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    STAYD_ASSERT(memory != MAP_FAILED);
    shared_ = new (memory) Shared;
  }
  ~SharedMemory() { ::munmap(shared_, sizeof(Shared)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  Shared* operator->() { return shared_; }
  Shared* get() { return shared_; }

 private:
  Shared* shared_;
};

SeedResult run_one(const WorldOptions& options) {
  World world(options);
  SeedResult result;
  result.seed = options.seed;
  result.good = world.run();
  result.events = world.scheduler.events();
  result.commands = world.users.asked();
  result.hash = world.scheduler.hash();
  result.slowest_us = static_cast<std::uint64_t>(world.users.slowest_us());
  result.faults = world.faults_struck;
  if (!result.good) result.report = world.report() + "again: " + command_line(world.given) + "\n";
  if (result.good && options.watched) result.report = world.report(*options.watched);
  return result;
}

// A line for the fields, one for each kind of fault, then the report: "place seed good events ...".
std::string text(std::uint64_t place, const SeedResult& r) {
  std::ostringstream out;
  out << place << ' ' << r.seed << ' ' << r.good << ' ' << r.events << ' ' << r.commands << ' '
      << r.hash << ' ' << r.slowest_us << ' ' << r.faults.size() << '\n';
  for (const auto& [name, count] : r.faults) out << name << ' ' << count << '\n';
  out << r.report;
  return std::move(out).str();
}

SeedResult parse(const std::string& message, std::uint64_t& place) {
  std::istringstream in(message);
  SeedResult r;
  std::size_t kinds = 0;
  in >> place >> r.seed >> r.good >> r.events >> r.commands >> r.hash >> r.slowest_us >> kinds;
  for (; kinds > 0; --kinds) {
    std::string name;
    in >> name;
    in >> r.faults[name];
  }
  in.ignore(1);
  std::getline(in, r.report, '\0');
  return r;
}

void write_all(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n <= 0) std::_Exit(1);
    done += static_cast<std::size_t>(n);
  }
}

// A message is its length in a fixed form, then its bytes. An empty one says that a place is begun.
void send_message(int fd, const std::string& message) {
  std::string size = std::to_string(message.size());
  size.insert(0, 12 - size.size(), '0');
  write_all(fd, size + message);
}

[[noreturn]] void work(int fd, const RunnerOptions& options, Shared* shared) {
  while (!shared->stop.load()) {
    const std::uint64_t place = shared->next.fetch_add(1);
    if (place >= options.seeds) break;
    WorldOptions world = options.world;
    world.seed += place;
    send_message(fd, "begin " + std::to_string(place));
    const SeedResult result = run_one(world);
    if (!result.good && !options.keep_going) shared->stop = true;  // before another seed is taken
    send_message(fd, text(place, result));
  }
  std::_Exit(0);
}

struct Worker {
  pid_t pid = -1;
  int fd = -1;
  std::string in;
  std::optional<std::uint64_t> place;  // under way
};

Worker start_worker(const RunnerOptions& options, Shared* shared) {
  int ends[2];
  STAYD_ASSERT(::pipe(ends) == 0);
  Worker worker;
  worker.pid = ::fork();
  STAYD_ASSERT(worker.pid >= 0);
  if (worker.pid == 0) {
    ::close(ends[0]);
    work(ends[1], options, shared);
  }
  ::close(ends[1]);
  worker.fd = ends[0];
  return worker;
}

class Run {
 public:
  Run(const RunnerOptions& options, const std::function<void(const SeedResult&)>& told)
      : options_(options), told_(told) {}

  Totals run() {
    for (unsigned i = 0; i < std::max(1u, options_.jobs); ++i) {
      workers_.push_back(start_worker(options_, shared_.get()));
    }
    if (options_.limit_s != 0) time_limit();
    while (!workers_.empty()) wait();
    if (clock_ > 0) {
      ::kill(clock_, SIGKILL);
      ::waitpid(clock_, nullptr, 0);
    }
    for (const auto& [place, hash] : hashes_) {
      totals_.hash = totals_.hash * 1099511628211ULL ^ hash;
    }
    return totals_;
  }

 private:
  // A process that lives as long as new seeds may begin.
  void time_limit() {
    clock_ = ::fork();
    STAYD_ASSERT(clock_ >= 0);
    if (clock_ == 0) {
      ::alarm(options_.limit_s);
      for (;;) ::pause();
    }
  }

  void wait() {
    std::vector<pollfd> polls;
    for (const Worker& worker : workers_) polls.push_back({worker.fd, POLLIN, 0});
    const int timeout_ms = options_.limit_s != 0 ? 1000 : -1;
    STAYD_ASSERT(::poll(polls.data(), polls.size(), timeout_ms) >= 0 || errno == EINTR);
    if (clock_ > 0 && ::waitpid(clock_, nullptr, WNOHANG) == clock_) {
      clock_ = -1;
      shared_->stop = true;
    }
    for (std::size_t i = polls.size(); i-- > 0;) {
      if (polls[i].revents == 0) continue;
      if (read(workers_[i])) continue;
      end(workers_[i]);
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  bool read(Worker& worker) {
    char buffer[65536];
    const auto n = ::read(worker.fd, buffer, sizeof buffer);
    if (n <= 0) return false;
    worker.in.append(buffer, static_cast<std::size_t>(n));
    while (worker.in.size() >= 12) {
      std::size_t size = 0;
      std::from_chars(worker.in.data(), worker.in.data() + 12, size);
      if (worker.in.size() < 12 + size) break;
      take(worker, worker.in.substr(12, size));
      worker.in.erase(0, 12 + size);
    }
    return true;
  }

  void take(Worker& worker, const std::string& message) {
    if (message.starts_with("begin ")) {
      worker.place = std::strtoull(message.c_str() + 6, nullptr, 10);
      return;
    }
    worker.place.reset();
    std::uint64_t place = 0;
    count(place, parse(message, place));
  }

  void count(const std::uint64_t& place, const SeedResult& result) {
    ++totals_.seeds;
    totals_.events += result.events;
    totals_.commands += result.commands;
    for (const auto& [name, struck] : result.faults) totals_.faults[name] += struck;
    hashes_[place] = result.hash;
    if (!result.good) {
      ++totals_.violations;
      if (!options_.keep_going) shared_->stop = true;
    }
    told_(result);
  }

  void end(Worker& worker) {
    int status = 0;
    ::close(worker.fd);
    ::waitpid(worker.pid, &status, 0);
    if (!worker.place) return;
    SeedResult crashed;
    WorldOptions world = options_.world;
    crashed.seed = world.seed += *worker.place;
    crashed.report = "seed " + std::to_string(crashed.seed) + ": the process ended by signal " +
                     std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0) +
                     ", see above\nagain: " + command_line(world) + "\n";
    count(*worker.place, crashed);
    if (options_.keep_going) workers_.push_back(start_worker(options_, shared_.get()));
  }

  const RunnerOptions& options_;
  const std::function<void(const SeedResult&)>& told_;
  SharedMemory shared_;
  pid_t clock_ = -1;
  std::vector<Worker> workers_;
  std::map<std::uint64_t, std::uint64_t> hashes_;
  Totals totals_;
};

}  // namespace

Totals run_seeds(const RunnerOptions& options, const std::function<void(const SeedResult&)>& told) {
  return Run(options, told).run();
}

WorldOptions shrink(WorldOptions failing, const std::function<void(const std::string&)>& said) {
  const auto fails = [](const WorldOptions& options) {
    return run_seeds({.world = options}, [](const SeedResult&) {}).violations != 0;
  };
  const auto keep_if_failing = [&](const WorldOptions& smaller) {
    if (!fails(smaller)) return false;
    failing = smaller;
    said(command_line(failing));
    return true;
  };
  if (!failing.only_faults) {
    std::set<std::string> drawn;
    for (const auto& [name, mean_us] : draw(failing).fault_means_us) drawn.insert(name);
    failing.only_faults = std::move(drawn);
  }
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const std::string& name : std::set<std::string>(*failing.only_faults)) {
      WorldOptions without = failing;
      without.only_faults->erase(name);
      smaller |= keep_if_failing(without);
    }
    for (WorldOptions shorter = failing; shorter.minutes > 0.02;) {
      shorter.minutes *= 0.7;
      if (!keep_if_failing(shorter)) break;
      smaller = true;
    }
    const int sessions = *draw(failing).users.sessions;
    for (const int fewer : {1, 2, sessions / 4, sessions / 2, sessions - 1}) {
      if (fewer < 1 || fewer >= sessions) continue;
      WorldOptions quieter = failing;
      quieter.users.sessions = fewer;
      if (keep_if_failing(quieter)) {
        smaller = true;
        break;
      }
    }
    const int instances = *draw(failing).instances;
    if (instances > 1) {
      WorldOptions fewer = failing;
      fewer.instances = instances - 1;
      smaller |= keep_if_failing(fewer);
    }
    const int clients = *draw(failing).users.max_clients;
    if (clients > 1) {
      WorldOptions alone = failing;
      alone.users.max_clients = clients - 1;
      smaller |= keep_if_failing(alone);
    }
  }
  return failing;
}

}  // namespace stayd::sim
