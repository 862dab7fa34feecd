// Names to addresses, by the system's resolver: getaddrinfo(), so /etc/hosts, resolv.conf, search
// lists and local caches count as they do for every other program of the host
// (docs/adr/0013-names-that-move.md). getaddrinfo() cannot be given a deadline, so each question
// has a thread of its own that nobody waits for: not the loop, not another name, not stayd's end.
//
// Ownership: the loop outlives the resolver; answers that come after the resolver's end are
// dropped. Loop thread only, but for the questions' threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "net/loop.h"
#include "redis/name_resolver.h"

namespace stayd {

class SystemResolver final : public NameResolver {
 public:
  // Questions beyond it wait for one to end: a name server that is silent holds each for 5 to 30 s.
  static constexpr std::size_t kMaxThreads = 16;

  explicit SystemResolver(Loop& loop);
  ~SystemResolver() override;
  void ask(const std::string& host, Done done) override;

 private:
  struct Way;  // back from the threads, as long as the resolver lives
  void start(std::uint64_t id, const std::string& host);
  void on_answer(std::uint64_t id, NameAnswer answer);

  Loop& loop_;
  std::shared_ptr<Way> way_;
  std::map<std::uint64_t, Done> asked_;  // a question for each name at most, see NameCache
  std::deque<std::pair<std::uint64_t, std::string>> queue_;
  std::size_t threads_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace stayd
