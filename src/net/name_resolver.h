// Names to addresses, by the system's resolver: getaddrinfo(), so /etc/hosts, resolv.conf, search
// lists and local caches count as they do for every other program of the host
// (docs/adr/0013-names-that-move.md). getaddrinfo() cannot be given a deadline, so each question
// has a thread of its own that nobody waits for: not the loop, not another name, not stayd's end.
//
// Ownership: the loop outlives the resolver; answers that come after the resolver's end are
// dropped. Loop thread only, but for the questions' threads.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"

namespace stayd {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  Address with_port(std::uint16_t port) const;
  bool same_host(const Address& other) const;  // whatever the port
  std::string host_text() const;               // "10.0.0.1", "fe80::1"; "" of a unix socket
  // The address that a text like "10.0.0.1", "::1" or "[::1]" stands for; size 0: it is a name.
  static Address numeric(const std::string& text);
};
using Addresses = std::vector<Address>;

struct NameAnswer {
  Addresses addresses;  // without ports; none: there is no answer, or an empty one
  std::string error;    // why there are none
};

class NameResolver {
 public:
  virtual ~NameResolver() = default;
  // `done` is called once, later, on the loop's thread; never if the resolver ends before.
  using Done = std::function<void(NameAnswer)>;
  virtual void ask(const std::string& host, Done done) = 0;
};

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
