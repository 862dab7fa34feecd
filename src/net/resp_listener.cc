#include "net/resp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "proxy/client_session.h"

namespace stayd {
namespace {

// recv() calls per wake-up: a firehose client leaves the loop to others after 256 KB.
constexpr int kReadsPerWakeUp = 4;
// The sweep for time limits visits every connection about once a second.
constexpr std::size_t kTicksPerSweep = 1000 / Loop::kTickMs;
constexpr std::int64_t kHandshakeUs = 10'000'000;
constexpr std::int64_t kFilesEveryUs = 1'000'000;
constexpr std::int64_t kLastWordsUs = 5'000'000;  // a closing client that does not read
// What the kernel takes for a client that does not read; by itself it would take megabytes.
constexpr int kKernelHolds = 128 << 10;

}  // namespace

class RespListener::Connection final : public Pollable, public ClientIo {
 public:
  Connection(RespListener& owner, int fd, ClientAddress address, std::unique_ptr<TlsStream> tls)
      : owner_(owner),
        fd_(fd),
        tls_(std::move(tls)),
        since_us_(owner.loop_.now().mono_us),
        session_(*this, owner.handler_, owner.counters_, owner.context_, std::move(address)) {
    owner_.loop_.watch(fd_, *this, EPOLLIN);
  }
  ~Connection() override {
    owner_.loop_.unwatch(fd_, *this);
    ::close(fd_);
  }

  // --- ClientIo ---
  std::string& output() override {
    send_soon();
    if (tls_) return plain_;
    if (out_.empty() && out_.capacity() < 64 && !owner_.buffers_.empty()) {
      out_.swap(owner_.buffers_.back());
      owner_.buffers_.pop_back();
    }
    return out_;
  }
  std::size_t unsent_bytes() const override {
    return plain_.size() - sealed_ + out_.size() - sent_;
  }
  std::int64_t stalled_since_us() const override { return wants_write_ ? progress_us_ : 0; }
  void close(bool at_once) override {
    closing_ = true;
    closing_since_us_ = owner_.loop_.now().mono_us;
    if (at_once || unsent_bytes() == 0) {
      die();
    } else {
      update_events();
    }
  }
  void pause_reading(bool paused) override {
    paused_ = paused;
    update_events();
  }
  void request_resume() override {
    if (resuming_ || dead_) return;
    resuming_ = true;
    owner_.resuming_.push_back(this);
    owner_.loop_.request_turn_end(owner_);
  }

  // --- events ---
  void on_ready(std::uint32_t events) override {
    if (dead_) return;
    if ((events & EPOLLOUT) != 0) {
      flush();
      if (!dead_ && session_.waits_for_drain()) session_.resume();
    }
    if (dead_) return;
    if ((events & EPOLLIN) != 0) return read();
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) die();
  }

  void read() {
    const bool in_handshake = tls_ && !tls_->established();
    if (in_handshake && !owner_.take_handshake()) return;  // the next turn asks again
    for (int i = 0; i < kReadsPerWakeUp && !dead_ && !paused_ && !closing_ && !eof_; ++i) {
      const ssize_t got = ::recv(fd_, owner_.loop_.buffer(), Loop::kBufferBytes, 0);
      if (got > 0) {
        const auto size = static_cast<std::size_t>(got);
        const std::string_view bytes(owner_.loop_.buffer(), size);
        if (tls_) {
          decrypt(bytes);
        } else {
          session_.on_bytes(bytes);
        }
        if (size < Loop::kBufferBytes) return;
      } else if (got == 0) {
        on_eof();
      } else if (errno == EINTR) {
        continue;
      } else {
        if (errno != EAGAIN) die();
        return;
      }
    }
  }

  void flush() {
    dirty_ = false;
    while (!dead_) {
      if (tls_ && sent_ == out_.size()) encrypt();
      if (sent_ == out_.size()) break;
      const ssize_t put =
          ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put > 0) {
        sent_ += static_cast<std::size_t>(put);
        progress_us_ = owner_.loop_.now().mono_us;
      } else if (put < 0 && errno == EINTR) {
        continue;
      } else if (put < 0 && errno == EAGAIN) {
        break;
      } else {
        return die();
      }
    }
    const bool full = unsent_bytes() > 0;
    if (!full) {
      sent_ = 0;
      out_.clear();
      owner_.recycle(out_);
      if (closing_) die();
      // Parsing stopped for output that the kernel has now taken: nothing else would wake it.
      if (!dead_ && session_.waits_for_drain()) request_resume();
    } else if (sent_ >= kCompactBytes) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    if (full != wants_write_ && !dead_) {
      if (full) progress_us_ = owner_.loop_.now().mono_us;
      wants_write_ = full;
      update_events();
    }
    session_.count_buffers();
  }

  void resume() {
    resuming_ = false;
    if (!dead_) session_.resume();
  }

  void sweep(Now now) {
    if (dead_) return;
    if (closing_) {
      if (now.mono_us - closing_since_us_ > kLastWordsUs) die();
      return;
    }
    if (tls_ && !tls_->established() && now.mono_us - since_us_ > kHandshakeUs) {
      ++owner_.counters_.tls_handshakes_failed;
      return die();
    }
    session_.check_limits();
  }

  bool dead() const { return dead_; }
  std::size_t index = 0;  // in owner_.connections_

 private:
  static constexpr std::size_t kCompactBytes = 1u << 20;
  static constexpr std::size_t kSealBytes = 256u << 10;  // encrypted at once

  void send_soon() {
    if (dirty_ || dead_) return;  // a dead one must not get into the lists again
    dirty_ = true;
    owner_.dirty_.push_back(this);
    owner_.loop_.request_turn_end(owner_);
  }

  void decrypt(std::string_view cipher) {
    std::string plain;
    const auto received = tls_->receive(cipher, plain);
    send_soon();  // what the handshake, or its failure, has to say
    if (!plain.empty()) session_.on_bytes(plain);
    if (dead_) return;
    if (!received) {
      if (!tls_->established()) ++owner_.counters_.tls_handshakes_failed;
      if (sent_ == out_.size()) encrypt();  // the alert
      close(false);
    } else if (tls_->ended()) {
      on_eof();
    }
  }
  // Replaces the output, all of which has been sent, by the next part.
  void encrypt() {
    if (tls_->established()) {
      const std::string_view part = std::string_view(plain_).substr(sealed_, kSealBytes);
      tls_->send(part);
      sealed_ += part.size();
    } else {
      sealed_ = plain_.size();  // nobody can read it
    }
    if (sealed_ == plain_.size()) {
      plain_.clear();
      sealed_ = 0;
      if (plain_.capacity() > RespListener::kKeptBufferBytes) plain_.shrink_to_fit();
    }
    out_ = tls_->take_output();
    sent_ = 0;
  }

  void on_eof() {
    eof_ = true;
    update_events();
    session_.on_eof();
  }

  void die() {
    if (dead_) return;
    dead_ = true;
    owner_.bury(*this);
  }

  void update_events() {
    if (dead_) return;
    const bool wants_read = !paused_ && !closing_ && !eof_;
    const std::uint32_t events = (wants_read ? EPOLLIN : 0U) | (wants_write_ ? EPOLLOUT : 0U);
    if (events == events_) return;
    events_ = events;
    owner_.loop_.rewatch(fd_, *this, events);
  }

  RespListener& owner_;
  int fd_;
  std::uint32_t events_ = EPOLLIN;
  std::string out_;
  std::size_t sent_ = 0;            // of out_
  std::unique_ptr<TlsStream> tls_;  // nullptr: none
  std::string plain_;               // output for TLS
  std::size_t sealed_ = 0;          // of plain_, is in out_
  std::int64_t since_us_;
  std::int64_t closing_since_us_ = 0;
  std::int64_t progress_us_ = 0;  // when output was last taken, or began to wait
  bool dirty_ = false, resuming_ = false, paused_ = false, eof_ = false;
  bool wants_write_ = false, closing_ = false, dead_ = false;
  ClientSession session_;
};

RespListener::RespListener(Loop& loop, CallHandler& handler, Counters& counters,
                           PortContext& context)
    : loop_(loop),
      handler_(handler),
      counters_(counters),
      context_(context),
      acceptor_(loop, *this),
      tls_door_(*this),
      tls_acceptor_(loop, tls_door_) {
  loop_.on_turn_start([this](Now now) {
    context_.now = now;
    handshakes_left_ = kHandshakesPerTurn;
  });
  loop_.add_ticker(*this);
}

RespListener::~RespListener() {
  stop_accepting();
  loop_.remove_ticker(*this);
  loop_.cancel_turn_end(*this);
  for (Connection* connection : connections_) delete connection;
}

Result<void> RespListener::listen_tls(const std::string& address, TlsFiles& files,
                                      const ListenOptions& options) {
  tls_files_ = &files;
  return tls_acceptor_.listen(address, options);
}

void RespListener::on_accept(int fd, bool is_unix) {
  accept(fd, is_unix, nullptr);
}

void RespListener::TlsDoor::on_accept(int fd, bool is_unix) {
  owner.accept(fd, is_unix, std::make_unique<TlsStream>(owner.tls_files_->context()));
}

void RespListener::accept(int fd, bool is_unix, std::unique_ptr<TlsStream> tls) {
  if (connections_.size() >= context_.limits.max_clients) {
    static constexpr std::string_view kFull = "-ERR max number of clients reached\r\n";
    if (!tls) ::send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
    ++counters_.limit_closes;
    return;
  }
  if (!is_unix) {
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kKernelHolds, sizeof kKernelHolds);
  }
  ClientAddress address{.peer = socket_text(fd, true), .local = socket_text(fd, false)};
  auto* connection = new Connection(*this, fd, std::move(address), std::move(tls));
  connection->index = connections_.size();
  connections_.push_back(connection);
}

void RespListener::recycle(std::string& buffer) {
  if (buffers_.size() < kKeptBuffers && buffer.capacity() <= kKeptBufferBytes) {
    buffers_.push_back(std::move(buffer));
  }
  std::string().swap(buffer);
}

void RespListener::bury(Connection& connection) {
  dead_.push_back(&connection);
  loop_.request_turn_end(*this);
}

void RespListener::on_turn_end(Now) {
  batch_.swap(resuming_);
  for (Connection* connection : batch_) connection->resume();
  batch_.clear();
  batch_.swap(dirty_);
  for (Connection* connection : batch_) connection->flush();
  batch_.clear();
  if (resuming_.empty() && dirty_.empty()) {
    batch_.swap(dead_);
    for (Connection* connection : batch_) {
      connections_[connection->index] = connections_.back();
      connections_[connection->index]->index = connection->index;
      connections_.pop_back();
      delete connection;
    }
    batch_.clear();
  }
  if (!resuming_.empty() || !dirty_.empty() || !dead_.empty()) loop_.request_turn_end(*this);
}

void RespListener::on_tick(Now now) {
  context_.hub.tick(now);
  if (tls_files_ != nullptr && now.mono_us >= next_files_us_) {
    next_files_us_ = now.mono_us + kFilesEveryUs;
    tls_files_->refresh();
    tls_files_->warn(now.wall_ms);
  }
  const std::size_t share = connections_.size() / kTicksPerSweep + 1;
  for (std::size_t i = 0; i < share && !connections_.empty(); ++i) {
    if (++sweep_at_ >= connections_.size()) sweep_at_ = 0;
    connections_[sweep_at_]->sweep(now);
  }
}

void RespListener::stop_accepting() {
  acceptor_.close();
  tls_acceptor_.close();
}

void RespListener::close_all() {
  stop_accepting();
  const auto all = connections_;
  for (Connection* connection : all) {
    if (!connection->dead()) connection->close(false);
  }
}

}  // namespace stayd
