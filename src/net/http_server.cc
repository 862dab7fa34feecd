#include "net/http_server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <optional>

namespace stayd {
namespace http = boost::beast::http;
namespace {

constexpr std::size_t kMaxConnections = 1024;
constexpr std::uint32_t kMaxHeader = 8u << 10;
constexpr std::uint64_t kMaxBody = 64u << 10;

constexpr std::int64_t kRequestUs = 5'000'000;
constexpr std::int64_t kIdleUs = 60'000'000;

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

bool safe_header(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append_response(std::string& out, const HttpResponse& response, bool keep_alive, bool head) {
  const auto reason =
      http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\nContent-Length: {}\r\n",
                 response.status, view(reason), response.body.size());
  if (!response.content_type.empty() && safe_header(response.content_type)) {
    fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", response.content_type);
  }
  for (const auto& [name, value] : response.headers) {
    // A value that would split the response is dropped.
    if (!safe_header(name) || !safe_header(value)) continue;
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
  }
  out += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  if (!head) out += response.body;
}

bool peer_is_this_host(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  if (peer.ss_family == AF_UNIX) return true;
  if (peer.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&address) || mapped;
  }
  const auto& address = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
  return peer.ss_family == AF_INET && ntohl(address.s_addr) >> 24 == 127;
}

HttpResponse plain(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(text) + "\n";
  return response;
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (boost::beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) return value;
  }
  return {};
}

class HttpServer::Connection final : public Pollable {
 public:
  Connection(HttpServer& owner, int fd)
      : owner_(owner), fd_(fd), since_us_(owner.loop_.now().mono_us) {
    owner_.loop_.watch(fd_, *this, events_);
    start_request();
  }
  ~Connection() override {
    owner_.loop_.unwatch(fd_, *this);
    ::close(fd_);
  }

  void on_ready(std::uint32_t events) override {
    if (dead_) return;
    if ((events & EPOLLOUT) != 0) flush();
    if (!dead_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
  }

  void sweep(Now now) {
    const bool begun = !in_.empty() || parser_->got_some() || !out_.empty();
    if (now.mono_us - since_us_ > (begun ? kRequestUs : kIdleUs)) die();
  }
  bool dead() const { return dead_; }

 private:
  using Parser = http::request_parser<http::string_body>;

  void start_request() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(kMaxBody);
    parser_->eager(true);
  }

  void read() {
    const ssize_t got = ::recv(fd_, owner_.loop_.buffer(), Loop::kBufferBytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return die();
    if (in_.empty()) since_us_ = parser_->got_some() ? since_us_ : owner_.loop_.now().mono_us;
    in_.append(owner_.loop_.buffer(), static_cast<std::size_t>(got));
    parse();
    flush();
  }

  void parse() {
    std::size_t used = 0;
    while (!closing_ && used < in_.size()) {
      boost::system::error_code ec;
      used += parser_->put(boost::asio::buffer(in_.data() + used, in_.size() - used), ec);
      if (ec == http::error::need_more) break;
      if (ec) {
        refuse(ec);
        break;
      }
      if (!parser_->is_done()) continue;
      answer();
      start_request();
      since_us_ = owner_.loop_.now().mono_us;
    }
    in_.erase(0, closing_ ? in_.size() : used);
    if (in_.empty()) std::string().swap(in_);
  }

  void refuse(const boost::system::error_code& ec) {
    const int status = ec == http::error::header_limit ? 431
                       : ec == http::error::body_limit ? 413
                                                       : 400;
    append_response(out_, plain(status, ec.message()), false, false);
    closing_ = true;
  }

  void answer() {
    const auto& message = parser_->get();
    HttpRequest request;
    request.method = view(message.method_string());
    request.target = view(message.target());
    const std::size_t mark = request.target.find('?');
    request.path = request.target.substr(0, mark);
    if (mark != std::string_view::npos) request.query = request.target.substr(mark + 1);
    request.body = message.body();
    request.from_this_host = peer_is_this_host(fd_);
    for (const auto& field : message) {
      request.headers.emplace_back(view(field.name_string()), view(field.value()));
    }
    const bool known =
        request.method == "GET" || request.method == "HEAD" || request.method == "POST";
    closing_ = !message.keep_alive();
    append_response(out_, known ? owner_.handler_(request) : plain(405, "method not allowed"),
                    !closing_, request.method == "HEAD");
  }

  void flush() {
    std::size_t sent = 0;
    while (sent < out_.size()) {
      const ssize_t put =
          ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put > 0) {
        sent += static_cast<std::size_t>(put);
      } else if (put < 0 && errno == EAGAIN) {
        break;
      } else if (put == 0 || errno != EINTR) {
        return die();
      }
    }
    out_.erase(0, sent);
    if (out_.empty()) std::string().swap(out_);
    if (out_.empty() && closing_) {
      ::shutdown(fd_, SHUT_WR);
      return die();
    }
    // While a response waits, no further request is read: at most one input buffer of answers.
    const std::uint32_t events = out_.empty() ? EPOLLIN : EPOLLOUT;
    if (events == events_) return;
    events_ = events;
    owner_.loop_.rewatch(fd_, *this, events_);
  }

  void die() {
    dead_ = true;
    owner_.loop_.request_turn_end(owner_);
  }

  HttpServer& owner_;
  int fd_;
  std::uint32_t events_ = EPOLLIN;
  std::optional<Parser> parser_;
  std::string in_;
  std::string out_;
  std::int64_t since_us_;  // of the current request, or of the last one's end
  bool closing_ = false;
  bool dead_ = false;
};

HttpServer::HttpServer(Loop& loop, HttpHandler handler)
    : loop_(loop), handler_(std::move(handler)), acceptor_(loop, *this) {
  loop_.add_ticker(*this);
}

HttpServer::~HttpServer() {
  acceptor_.close();
  loop_.remove_ticker(*this);
  loop_.cancel_turn_end(*this);
}

void HttpServer::on_accept(int fd, bool is_unix) {
  if (connections_.size() >= kMaxConnections) {
    ::close(fd);
    return;
  }
  if (!is_unix) {
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  connections_.push_back(std::make_unique<Connection>(*this, fd));
}

void HttpServer::on_turn_end(Now) {
  std::erase_if(connections_, [](const auto& connection) { return connection->dead(); });
}

void HttpServer::on_tick(Now now) {
  if (++ticks_ % (1000 / Loop::kTickMs) != 0) return;
  for (const auto& connection : connections_) connection->sweep(now);
}

}  // namespace stayd
