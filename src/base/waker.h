// How another thread gets the loop's attention. Implemented by net/loop.h (and trivially in tests).
#pragma once

namespace stayd {

class Waker {
 public:
  virtual ~Waker() = default;
  // Any thread. Makes the loop call the waker's target soon, once for any number of wake() calls
  // since it last ran. Never blocks.
  virtual void wake() = 0;
};

}  // namespace stayd
