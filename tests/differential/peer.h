// A server that the script is sent to: one blocking connection, pipelined. Single thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply.h"

namespace stayd::differential {

class Peer {
 public:
  // Connects to 127.0.0.1; throws std::runtime_error when that fails.
  Peer(std::string name, std::uint16_t port);
  ~Peer();
  Peer(Peer&& other) noexcept;
  Peer& operator=(Peer&& other) noexcept;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& replies() const { return replies_; }

 private:
  friend void exchange(std::vector<Peer>& peers, std::string_view bytes, std::size_t count);
  void receive(std::size_t count);

  std::string name_;
  int fd_ = -1;
  std::size_t sent_ = 0;
  std::string in_;
  FrameScanner scanner_;
  std::vector<std::string> replies_;  // to the last exchange
};

// Sends `bytes` to all of them at once and waits for `count` replies of each. Throws when one
// closes its connection, speaks nonsense or is silent for 30 s.
void exchange(std::vector<Peer>& peers, std::string_view bytes, std::size_t count);

}  // namespace stayd::differential
