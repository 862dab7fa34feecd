// A small HTTP/1.1 server for the HTTP port: health, metrics, status, gateway. Requests are parsed
// by Boost.Beast, answered by one function on the loop, in order, keep-alive included.
//
// Limits: header 8 KB, body 64 KB, 5 s for a request to arrive, 60 s between requests, 1,024
// connections; beyond them 431, 413, 408 or a close.
//
// Ownership: owns its connections. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/acceptor.h"
#include "net/loop.h"

namespace stayd {

struct HttpRequest {
  std::string_view method;  // GET, HEAD, POST
  std::string_view target;  // as sent: path and query
  std::string_view path;    // target up to '?'
  std::string_view query;   // after '?'
  std::string_view body;
  bool from_this_host = false;  // over a unix socket or the loopback
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  // The first header of that name, any letter case; empty: none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

class HttpServer final : public AcceptTarget, public TurnEnd, public Ticker {
 public:
  HttpServer(Loop& loop, HttpHandler handler);
  ~HttpServer() override;

  Result<void> listen(const std::string& address, const ListenOptions& options = {}) {
    return acceptor_.listen(address, options);
  }
  Result<void> adopt(int fd) { return acceptor_.adopt(fd); }
  std::uint16_t port() const { return acceptor_.port(); }

  void on_accept(int fd, bool is_unix) override;
  void on_turn_end(Now now) override;
  void on_tick(Now now) override;

 private:
  class Connection;
  Loop& loop_;
  HttpHandler handler_;
  Acceptor acceptor_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int ticks_ = 0;
};

}  // namespace stayd
