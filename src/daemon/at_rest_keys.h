// The master keys under which the ledger's values are encrypted: from the configuration, a file, or
// what a command prints.
//
// Loop thread only; when they are read again, a command runs on a thread of its own, which ends
// with this.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/event_fd.h"
#include "daemon/advice.h"
#include "daemon/config.h"
#include "net/loop.h"
#include "store/ledger/ledger_options.h"

namespace stayd {

class AtRestKeys {
 public:
  using Done = std::function<void(Result<AtRestOptions>)>;

  explicit AtRestKeys(Loop& loop) : loop_(loop) {}
  ~AtRestKeys();

  // Blocks while a command runs; `cancel_fd` readable: gives up. Errors: invalid, unavailable, with
  // the setting's name; never with anything of a key.
  static Result<AtRestOptions> read(const AtRestConfig& config, int cancel_fd = -1);
  // Does not block. `done` is called on the loop; never, if they are asked for again before.
  void read_again(const AtRestConfig& config, Done done);

 private:
  void end_command();

  Loop& loop_;
  EventFd cancel_;
  // How often; of the loop's thread. An answer to an earlier one, or after the end, is nothing.
  const std::shared_ptr<std::uint64_t> asked_ = std::make_shared<std::uint64_t>(0);
  std::thread thread_;
};

// For `stayd check`: whether the ledger that is there would open with the keys that are given.
std::optional<Finding> check_at_rest(const Config& config);

}  // namespace stayd
