// The time of this machine, for the floors that may ask for it; the others are told.
#pragma once

#include <time.h>

#include "base/types.h"

namespace stayd {

inline Now real_now() {
  timespec mono{}, wall{};
  clock_gettime(CLOCK_BOOTTIME, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return {mono.tv_sec * 1'000'000 + mono.tv_nsec / 1'000,
          wall.tv_sec * 1'000 + wall.tv_nsec / 1'000'000};
}

}  // namespace stayd
