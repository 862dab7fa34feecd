// Who is asked where a name leads to: the system's resolver (net/), or the simulator's. Loop thread
// only.
#pragma once

#include <functional>
#include <string>

#include "base/address.h"

namespace stayd {

struct NameAnswer {
  Addresses addresses;  // without ports; none: there is no answer, or an empty one
  std::string error;    // why there are none
};

class NameResolver {
 public:
  virtual ~NameResolver() = default;
  // `done` is called once, later, on the loop's thread; never if the resolver ends before.
  using Done = std::function<void(NameAnswer)>;
  virtual void ask(const std::string& host, Done done) = 0;
};

}  // namespace stayd
