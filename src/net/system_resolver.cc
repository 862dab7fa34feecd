#include "net/system_resolver.h"

#include <netdb.h>

#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace stayd {

namespace {

// Takes as long as the system's resolver does.
NameAnswer look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return {{}, ::gai_strerror(error)};
  NameAnswer answer;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Address address;
    if (one->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    answer.addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (answer.addresses.empty()) answer.error = "it has no address";
  return answer;
}

}  // namespace

struct SystemResolver::Way {
  std::mutex mutex;
  SystemResolver* resolver = nullptr;  // nullptr: it has ended
};

SystemResolver::SystemResolver(Loop& loop) : loop_(loop), way_(std::make_shared<Way>()) {
  way_->resolver = this;
}

SystemResolver::~SystemResolver() {
  const std::lock_guard lock(way_->mutex);
  way_->resolver = nullptr;
}

void SystemResolver::ask(const std::string& host, Done done) {
  const std::uint64_t id = next_id_++;
  asked_.emplace(id, std::move(done));
  if (threads_ == kMaxThreads) {
    queue_.emplace_back(id, host);
  } else {
    start(id, host);
  }
}

void SystemResolver::start(std::uint64_t id, const std::string& host) {
  ++threads_;
  // The answer comes as work of the loop, in which the resolver may have ended as well.
  const auto tell = [](const std::shared_ptr<Way>& way, std::uint64_t of, NameAnswer answer) {
    const std::lock_guard lock(way->mutex);
    if (way->resolver == nullptr) return;
    way->resolver->loop_.post([way, of, answer = std::move(answer)]() mutable {
      SystemResolver* const self = way->resolver;
      if (self != nullptr) self->on_answer(of, std::move(answer));
    });
  };
  try {
    std::thread([tell, way = way_, id, host] { tell(way, id, look_up(host)); }).detach();
  } catch (const std::system_error& error) {
    tell(way_, id, {{}, error.what()});
  }
}

void SystemResolver::on_answer(std::uint64_t id, NameAnswer answer) {
  --threads_;
  if (!queue_.empty()) {
    const auto [next, host] = std::move(queue_.front());
    queue_.pop_front();
    start(next, host);
  }
  const auto node = asked_.extract(id);
  if (!node.empty()) node.mapped()(std::move(answer));
}

}  // namespace stayd
