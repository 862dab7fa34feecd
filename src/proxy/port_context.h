// What all clients of the Redis port share: access, limits, facts about the server, the list of
// clients, the call pool and the pub/sub hub. One per daemon, made by `daemon/`; loop thread only.
// It outlives every ClientSession and the engine's work on their calls.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/types.h"
#include "proxy/call_pool.h"
#include "proxy/pubsub_hub.h"
#include "resp/request_parser.h"

namespace stayd {

// Passwords of the port. Comparison takes the same time for every wrong password of one length.
struct PortAuth {
  std::string password;                      // of user "default"; empty: no password is asked
  std::map<std::string, std::string> users;  // further users
  bool required() const { return !password.empty() || !users.empty(); }
  bool accepts(std::string_view user, std::string_view given) const;
};

struct PortLimits {
  std::size_t max_clients = 10'000;     // beyond: "ERR max number of clients reached"
  std::size_t max_outstanding = 1'024;  // calls of one client; then its input waits
  // Calls of all clients: nobody knows how large their replies will be. Beyond it, or when the pool
  // below is used up, a client has one call under way at a time.
  std::size_t max_all_outstanding = 4'096;
  std::size_t soft_output = 1u << 20;  // unsent bytes; then its input waits
  std::size_t hard_output = 8u << 20;  // unsent for longer than `output_grace_us`: closed
  std::size_t max_output = 64u << 20;  // the same, when one reply alone is larger than hard_output
  std::int64_t output_grace_us = 5'000'000;  // output of which nothing is taken: closed
  // What all clients may have in memory: input, requests under way, replies. Beyond it a client
  // that holds more than its share is not read from.
  std::size_t buffer_pool = 64u << 20;
  std::size_t buffer_share = 64u << 10;
  std::size_t max_block = 65'536;  // commands between MULTI and EXEC
  std::size_t max_block_bytes = 64u << 20;
  // From a request's first byte to its last, and 1 s more for each MB: closed.
  std::int64_t partial_request_us = 5'000'000;
  std::int64_t unauthenticated_us = 10'000'000;  // idle without AUTH: closed
  RequestLimits request;
};
static_assert(PortLimits{}.buffer_share < PortLimits{}.soft_output);
static_assert(PortLimits{}.soft_output < PortLimits{}.hard_output);
static_assert(PortLimits{}.hard_output < PortLimits{}.max_output);

struct ServerFacts {
  std::string run_id = std::string(40, '0');  // 40 hex digits, new at each start
  std::uint16_t tcp_port = 6380;
  std::int64_t started_mono_us = 0;
  int process_id = 0;
};

struct PortContext {
  PortAuth auth;
  PortLimits limits;
  ServerFacts facts;
  std::uint8_t default_db = 0;  // where a client starts, and RESET returns to: the URL's
  int databases = kDatabases;   // SELECT of others is refused; a Cluster has one
  bool admin = false;           // commands of Handling::refused go to Redis
  // CONFIG GET while Redis is out, over the built-in values (last known from Redis, say).
  std::map<std::string, std::string, std::less<>> config;

  Now now;  // set by net/ before it calls into any session
  std::map<std::uint64_t, ClientSession*> sessions;
  std::uint64_t next_client_id = 1;
  // Of all sessions: bytes they hold (PortLimits::buffer_pool), and calls under way.
  std::size_t buffered = 0;
  std::size_t outstanding = 0;
  bool crowded() const { return buffered > limits.buffer_pool; }
  bool busy() const { return crowded() || outstanding >= limits.max_all_outstanding; }
  CallPool calls;
  PubSubHub hub;

  // Reused by every session, only within one call.
  Args args;
  std::vector<std::uint32_t> key_positions;  // scratch
  std::string scratch;
};

}  // namespace stayd
