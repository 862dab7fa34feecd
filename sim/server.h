// Whoever listens at an address of the simulated network: a Redis or a Sentinel. What is common to
// both: its connections, and RESP in and out. One loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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
  bool subscribed = false;  // to what a Sentinel tells
  std::vector<std::vector<std::string>> queued;
  std::function<void(std::string)> send;  // replies towards the client
  std::function<void()> close;            // the server ends the connection
};
using PeerPtr = std::shared_ptr<Peer>;

class Server {
 public:
  virtual ~Server() = default;
  virtual bool listening() const = 0;
  virtual bool frozen() const = 0;  // takes bytes, does nothing
  virtual const std::string& run_id() const = 0;
  PeerPtr accept();
  virtual void greet(const PeerPtr&) {}  // it knows that it is connected
  void receive(const PeerPtr& peer, std::string_view bytes);
  void process(const PeerPtr& peer);  // what was received
  // After what was received has been executed.
  void peer_gone(const PeerPtr& peer);
  void end_connections();  // CLIENT KILL TYPE normal

 protected:
  virtual void command(Peer& peer, const Args& args, std::string& out) = 0;
  virtual void on_received(const PeerPtr& peer) { process(peer); }
  void send_away(const PeerPtr& peer);

  std::int64_t next_client_id_ = 1;
  std::map<std::int64_t, PeerPtr> peers_;  // by their ids
};

}  // namespace stayd::sim
