// Real sockets on loopback: the Redis port with an engine that echoes, the dialer, the HTTP server.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "net/http_server.h"
#include "net/loop.h"
#include "net/net_test_util.h"
#include "net/resp_listener.h"
#include "net/socket_dialer.h"
#include "net/system_resolver.h"
#include "redis/names_test_util.h"
#include "resp/request_parser.h"

namespace stayd {
namespace {

struct TestDialer {
  explicit TestDialer(Loop& loop) : resolver(loop), dialer(loop, resolver, log, counters) {}
  auto dial(const Endpoint& endpoint, std::int64_t timeout_ms, TransportEvents& events) {
    return dialer.dial(endpoint, timeout_ms, events);
  }
  SystemResolver resolver;
  EventNames log;
  Counters counters;
  SocketDialer dialer;
};

struct Port {
  Loop loop;
  EchoEngine engine;
  Counters counters;
  PortContext context;
  std::unique_ptr<RespListener> listener;
  Port() { listener = std::make_unique<RespListener>(loop, engine, counters, context); }
};

// Nobody else in this process gets one.
class AllDescriptors {
 public:
  AllDescriptors() {
    for (int fd; (fd = ::dup(0)) >= 0;) fds_.push_back(fd);
  }
  ~AllDescriptors() {
    for (const int fd : fds_) ::close(fd);
  }
  AllDescriptors(const AllDescriptors&) = delete;
  AllDescriptors& operator=(const AllDescriptors&) = delete;

 private:
  std::vector<int> fds_;
};

// A client on a raw descriptor; it never waits.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected =
        fd_ >= 0 && ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void send(std::string_view bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  ssize_t send_some(std::string_view bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // What has arrived by now.
  const std::string& received() {
    char chunk[65536];
    ssize_t got;
    while ((got = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
      in.append(chunk, static_cast<std::size_t>(got));
    }
    if (got == 0 || (got < 0 && errno != EAGAIN)) ended = true;
    return in;
  }
  int fd_;
  std::string in;
  bool ended = false;
  bool connected = false;
};

TEST(RespListener, AnswersPipelinesAndHalfCommands) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  RawClient client(port.listener->port());
  client.send("*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n*2\r\n$3\r\nGE");
  ASSERT_TRUE(run_until(port.loop, [&] { return client.received() == "$1\r\na\r\n+PONG\r\n"; }));
  client.send("T\r\n$1\r\nb\r\n");
  ASSERT_TRUE(
      run_until(port.loop, [&] { return client.received() == "$1\r\na\r\n+PONG\r\n$1\r\nb\r\n"; }));
  client.send("QUIT\r\n");
  ASSERT_TRUE(run_until(port.loop, [&] { return client.received(), client.ended; }));
  EXPECT_TRUE(client.in.ends_with("+OK\r\n"));
  ASSERT_TRUE(run_until(port.loop, [&] { return port.listener->connections() == 0; }));
  EXPECT_EQ(port.engine.gone, 1);
}

TEST(RespListener, ServesAThousandClients) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &limit);
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<RawClient>(port.listener->port()));
    ASSERT_TRUE(clients.back()->connected);
    clients.back()->send("GET key" + std::to_string(i) + "\r\n");
    if (i % 50 == 0) port.loop.run_once(0);
  }
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::string expected = "$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
    ASSERT_TRUE(run_until(
        port.loop, [&] { return clients[static_cast<std::size_t>(i)]->received() == expected; }));
  }
  EXPECT_EQ(port.listener->connections(), 1000u);
  clients.clear();
  ASSERT_TRUE(run_until(port.loop, [&] { return port.listener->connections() == 0; }));
  EXPECT_EQ(port.context.calls.in_use(), 0u);
}

TEST(RespListener, RefusesBeyondTheLimit) {
  Port port;
  port.context.limits.max_clients = 1;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  RawClient first(port.listener->port());
  ASSERT_TRUE(run_until(port.loop, [&] { return port.listener->connections() == 1; }));
  RawClient second(port.listener->port());
  ASSERT_TRUE(run_until(port.loop, [&] { return second.received(), second.ended; }));
  EXPECT_EQ(second.in, "-ERR max number of clients reached\r\n");
}

TEST(RespListener, OutOfDescriptorsClosesNewcomersAndRecovers) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  RawClient newcomer(port.listener->port());
  {
    const AllDescriptors none_left;
    ASSERT_TRUE(run_until(port.loop, [&] { return newcomer.received(), newcomer.ended; }));
  }
  RawClient later(port.listener->port());
  later.send("PING\r\n");
  EXPECT_TRUE(run_until(port.loop, [&] { return later.received() == "+PONG\r\n"; }));
}

// A client that sends and never reads must stop being read, and lose nothing once it reads.
TEST(RespListener, BackPressureLosesNothing) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  RawClient client(port.listener->port());
  const std::string key(1000, 'k');
  std::string unit;
  append_request(unit, {"GET", key});
  std::string pending;
  std::size_t sent = 0, stalls = 0;
  for (const std::size_t total = 100'000 * unit.size(); sent < total && stalls < 100;) {
    if (pending.empty()) pending = unit;
    const ssize_t put = client.send_some(pending);
    stalls = put > 0 ? 0 : stalls + 1;
    if (put > 0) {
      sent += static_cast<std::size_t>(put);
      pending.erase(0, static_cast<std::size_t>(put));
    }
    port.loop.run_once(0);
  }
  ASSERT_EQ(stalls, 100u) << "the port took everything without being read";
  const std::size_t whole = (sent + unit.size() - 1) / unit.size();
  while (!pending.empty()) {
    const ssize_t put = client.send_some(pending);
    if (put > 0) pending.erase(0, static_cast<std::size_t>(put));
    client.received();
    port.loop.run_once(1);
  }
  const std::size_t expected = whole * (key.size() + 9);
  EXPECT_TRUE(run_until(port.loop, [&] { return client.received().size() == expected; }))
      << client.in.size() << " of " << expected;
}

// Parsing stops at 1 MB of output; when the kernel takes it all at once, no event follows, and the
// rest of the pipeline must still be served.
TEST(RespListener, LargeRepliesToOnePipelineAllArrive) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  port.engine.big_reply = "$65536\r\n" + std::string(65536, 'v') + "\r\n";
  RawClient client(port.listener->port());
  std::string pipeline;
  for (int i = 0; i < 200; ++i) append_request(pipeline, {"GET", "k"});
  client.send(pipeline);
  const std::size_t expected = 200 * port.engine.big_reply.size();
  EXPECT_TRUE(run_until(port.loop, [&] { return client.received().size() == expected; }))
      << client.in.size() << " of " << expected;
}

TEST(SocketTransport, TalksOverTcpNameAndUnixSocket) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("stayd-net-test-" + std::to_string(::getpid()) + ".sock"))
                               .string();
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  ASSERT_TRUE(port.listener->listen("unix:" + path, ListenOptions{.unix_mode = 0600}));
  TestDialer dialer(port.loop);
  const Endpoint endpoints[] = {{.host = "127.0.0.1", .port = port.listener->port()},
                                {.host = "localhost", .port = port.listener->port()},
                                {.host = "localhost", .port = port.listener->port()},
                                {.unix_path = path}};
  for (const Endpoint& endpoint : endpoints) {
    Recorder events;
    auto transport = dialer.dial(endpoint, 2000, events);
    EXPECT_EQ(events.text, "");
    transport->write("PING\r\n");
    transport->write("GET x\r\n");
    EXPECT_TRUE(run_until(port.loop, [&] { return events.in == "+PONG\r\n$1\r\nx\r\n"; }))
        << endpoint.text() << " " << events.text;
    EXPECT_EQ(events.text, "connected ");
    transport->write("QUIT\r\n");
    EXPECT_TRUE(run_until(port.loop, [&] { return events.text == "connected closed "; }));
    EXPECT_EQ(events.reason, CloseReason::eof);
  }
  port.listener->stop_accepting();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SocketTransport, SaysWhyItFailed) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  const std::uint16_t free_port = port.listener->port();
  port.listener->stop_accepting();
  TestDialer dialer(port.loop);
  Recorder events;
  const auto reason_of = [&](const Endpoint& endpoint) {
    events.text.clear();
    const auto transport = dialer.dial(endpoint, 2000, events);
    EXPECT_EQ(events.text, "");
    EXPECT_TRUE(run_until(port.loop, [&] { return events.text == "closed "; }));
    return events.reason;
  };
  EXPECT_EQ(reason_of({.host = "127.0.0.1", .port = free_port}), CloseReason::refused);
  EXPECT_EQ(reason_of({.unix_path = "/nonexistent/stayd.sock"}), CloseReason::refused);
  EXPECT_EQ(reason_of({.unix_path = std::string(200, 'x')}), CloseReason::other);
  EXPECT_EQ(events.detail, "the socket's path is too long");
  const AllDescriptors none_left;
  EXPECT_EQ(reason_of({.host = "127.0.0.1", .port = free_port}), CloseReason::local);
}

// A listening socket whose queue is full never answers a SYN: the connect deadline decides.
TEST(SocketTransport, ConnectDeadline) {
  Loop loop;
  const RawListener listener(0);
  TestDialer dialer(loop);
  const Endpoint endpoint{.host = "127.0.0.1", .port = listener.port};
  Recorder fill[3];
  std::vector<std::unique_ptr<Transport>> queue;
  for (Recorder& events : fill) queue.push_back(dialer.dial(endpoint, 100, events));
  EXPECT_TRUE(run_until(loop, [&] { return fill[2].text == "closed "; }));
  EXPECT_EQ(fill[2].reason, CloseReason::timeout);
}

struct SelfDestroyer final : TransportEvents {
  void on_connected() override { transport->write("PING\r\n"); }
  void on_bytes(std::string_view) override {
    transport.reset();
    done = true;
  }
  void on_closed(CloseReason, std::string_view) override { FAIL(); }
  std::unique_ptr<Transport> transport;
  bool done = false;
};

TEST(SocketTransport, MayBeDestroyedInItsOwnEvent) {
  Port port;
  ASSERT_TRUE(port.listener->listen("127.0.0.1:0"));
  TestDialer dialer(port.loop);
  SelfDestroyer events;
  events.transport =
      dialer.dial({.host = "127.0.0.1", .port = port.listener->port()}, 1000, events);
  EXPECT_TRUE(run_until(port.loop, [&] { return events.done; }));
  EXPECT_TRUE(run_until(port.loop, [&] { return port.listener->connections() == 0; }));
}

TEST(Loop, WakerCoalescesAndReachesTheLoopFromAnotherThread) {
  Loop loop;
  int runs = 0;
  const auto waker = loop.make_waker([&] { ++runs; });
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) waker->wake();
  });
  other.join();
  EXPECT_TRUE(run_until(loop, [&] { return runs > 0; }));
  EXPECT_EQ(runs, 1);
  waker->wake();
  EXPECT_TRUE(run_until(loop, [&] { return runs == 2; }));
}

TEST(HttpServer, KeepAliveHeadPostAndLimits) {
  Loop loop;
  HttpServer server(loop, [](const HttpRequest& request) {
    HttpResponse response;
    response.body = std::string(request.method) + " " + std::string(request.path) + " " +
                    std::string(request.query) + " " + std::string(request.header("x-A")) + " " +
                    std::string(request.body);
    response.headers.emplace_back("X-Bad", "a\r\nInjected: 1");
    return response;
  });
  ASSERT_TRUE(server.listen("127.0.0.1:0"));
  RawClient client(server.port());
  client.send(
      "GET /a?b=1 HTTP/1.1\r\nX-a: v\r\n\r\nPOST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nxy");
  ASSERT_TRUE(run_until(
      loop, [&] { return client.received().find("GET /a b=1 v ") != std::string::npos; }));
  client.send("z");
  ASSERT_TRUE(run_until(
      loop, [&] { return client.received().find("POST /p   xyz") != std::string::npos; }));
  EXPECT_EQ(client.in.find("Injected"), std::string::npos);
  client.in.clear();
  client.send("HEAD /h HTTP/1.1\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(run_until(loop, [&] { return client.received(), client.ended; }));
  EXPECT_TRUE(client.in.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n")) << client.in;
  EXPECT_TRUE(client.in.ends_with("\r\n\r\n"));
  for (const auto& [bad, status] : {std::pair<std::string, std::string>{"nonsense\r\n\r\n", "400"},
                                    {"GET / HTTP/1.1\r\nA: " + std::string(9000, 'x'), "431"},
                                    {"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", "413"},
                                    {"BREW / HTTP/1.1\r\nConnection: close\r\n\r\n", "405"}}) {
    RawClient one(server.port());
    one.send(bad);
    ASSERT_TRUE(run_until(loop, [&] { return one.received(), one.ended; })) << status;
    EXPECT_TRUE(one.in.starts_with("HTTP/1.1 " + status)) << one.in;
  }
}

}  // namespace
}  // namespace stayd
