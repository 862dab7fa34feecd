// The engine's way to one replica of its primary at a time. Implemented by redis/replica_link.h.
// Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"
#include "core/upstream.h"

namespace stayd {

class Replica : public Upstream {
 public:
  // Which there are ("host:port"), in the order in which they are tried. One that is connected is
  // used on.
  virtual void set_addresses(std::vector<std::string> addresses) = 0;
  // Connects to one of them, and to another when that is lost, until close(). Opened already:
  // nothing.
  virtual void open(Now now) = 0;
  // Ends the connection at the next tick; what is pending is lost.
  virtual void close() = 0;
  // Worth waiting for: up, or being connected to one that has not failed yet. False while the
  // circuit breaker is open, and half-open: all have failed, and one is tried now and then.
  virtual bool reachable() const = 0;
  // Somebody has waited for it in vain: as if all had failed.
  virtual void doubt() = 0;
  // Of the one that is up, or was tried last.
  virtual const std::string& address() const = 0;
};

}  // namespace stayd
