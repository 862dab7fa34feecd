// Whoever listens at an address of the simulated network: a Redis or a Sentinel. One loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/request_parser.h"

namespace stayd::sim {

class Server;

// The server's end of one connection.
struct Peer {
  Server* server = nullptr;  // outlives it
  std::int64_t id = 0;
  bool open = true;
  int db = 0;
  std::string in;
  RequestParser parser;
  bool multi = false;
  bool dirty = false;
  std::vector<std::vector<std::string>> queued;
  std::function<void(std::string)> send;  // replies towards the client
  std::function<void()> close;            // the server ends the connection
};

class Server {
 public:
  virtual ~Server() = default;
  virtual bool listening() const = 0;
  virtual const std::string& run_id() const = 0;
  virtual std::shared_ptr<Peer> accept() = 0;
  virtual void greet(const std::shared_ptr<Peer>& peer) = 0;  // it knows that it is connected
  virtual void receive(const std::shared_ptr<Peer>& peer, std::string_view bytes) = 0;
  virtual void process(const std::shared_ptr<Peer>& peer) = 0;  // what was received
  virtual void peer_gone(const std::shared_ptr<Peer>& peer) = 0;
};

}  // namespace stayd::sim
