// Errors as values. Three kinds, three fates: expected failures (peer, network, disk, limit) travel
// as `Result<T>`; a programmer's mistake stops the process (`STAYD_ASSERT`, on in release builds
// too); start-up and configuration mistakes become one sentence and exit code 2.
#pragma once

#include <boost/system/result.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace stayd {

enum class Errc {
  io,            // the disk or the network refused; retry may help
  no_space,      // ENOSPC or a configured size limit of a store
  corrupt,       // stored bytes do not decode; never overwritten, never guessed
  newer_format,  // written by a newer version of stayd
  busy,          // another process owns the resource
  invalid,       // bad input: configuration, protocol, arguments
  limit,         // a documented limit was reached
  unavailable,   // the tier is out
  timed_out,     // no answer by the deadline: it may have happened, or yet happen
  not_found,
};

struct Error {
  Errc code = Errc::invalid;
  std::string message;  // for people: says what, where (key, line, byte offset) and what to do
};

[[noreturn]] inline void throw_exception_from_error(const Error& e, const boost::source_location&) {
  std::fprintf(stderr, "stayd: unchecked error: %s\n", e.message.c_str());
  std::abort();
}

template <class T>
using Result = boost::system::result<T, Error>;

inline Error make_error(Errc code, std::string message) {
  return Error{code, std::move(message)};
}

}  // namespace stayd

#define STAYD_ASSERT(cond)                                                                       \
  do {                                                                                           \
    if (!(cond)) [[unlikely]] {                                                                  \
      std::fprintf(stderr, "stayd: assertion failed: %s at %s:%d\n", #cond, __FILE__, __LINE__); \
      std::abort();                                                                              \
    }                                                                                            \
  } while (false)
