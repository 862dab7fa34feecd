// One bad client of the Redis port: what it sends, and whether it reads. Non-blocking; single
// thread; owns its socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"

namespace stayd::hostile {

enum class Badness : std::uint8_t {
  slowloris,         // a good command, byte by byte
  never_reads,       // asks for large values without end, and reads nothing
  huge_length,       // announces 15 MB, and sends a little of it at a time
  half_command,      // stops in the middle, and stays
  endless_pipeline,  // as many PINGs as are answered
  many_elements,     // a command of a million elements
  inline_garbage,    // lines that are no commands
  http,              // a browser
  random_bytes,
  connect_and_close,
  tls,  // a ClientHello at the plain port
};
inline constexpr std::size_t kBadnesses = 11;
std::string_view name_of(Badness badness);

class BadClient {
 public:
  BadClient(Badness badness, Random& random) : badness_(badness), random_(random) {}
  ~BadClient() { close(); }
  BadClient(const BadClient&) = delete;
  BadClient& operator=(const BadClient&) = delete;

  // Dials 127.0.0.1; false when there is no socket or the port refuses.
  bool dial(std::uint16_t port);
  void close();
  int fd() const { return fd_; }
  Badness badness() const { return badness_; }
  bool reads() const { return badness_ != Badness::never_reads; }

  // Its next move, as far as the socket takes it. False: the connection has ended.
  bool act();
  // Reads what has come. False: the connection has ended.
  bool read();

 private:
  void prepare();
  bool flush();

  Badness badness_;
  Random& random_;
  int fd_ = -1;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t unanswered_ = 0;  // bytes of replies that endless_pipeline waits for
  bool begun_ = false;
};

}  // namespace stayd::hostile
