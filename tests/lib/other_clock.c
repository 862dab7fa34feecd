// Preloaded into a redis-server whose clock is to be wrong by CLOCK_OFFSET_S seconds. Not libfaketime:
// that one calls malloc before Debian's jemalloc, which asks for the time, is ready.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset_s(void) {
  const char* text = getenv("CLOCK_OFFSET_S");
  return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  long result = syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && clock == CLOCK_REALTIME) out->tv_sec += offset_s();
  return (int)result;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
