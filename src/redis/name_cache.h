// What the names of Redis lead to. Pure but for the resolver it is given; loop thread only; the
// resolver, log and counters outlive it. Times are Now::mono_us.
//
//   a connection is wanted   asks anew, at most once a second a name; what is asked already is
//                            waited for. An answer that is an error, empty or later than
//                            kPatienceUs changes nothing: the last good one holds
//   a connection is up       its name is asked every kWatchUs. Good answers in a row that lack
//                            its address, kEnough of them a second apart, say that the name has
//                            left it: Redis is elsewhere. What counts is whether an address is
//                            among those answered: their order may be drawn by lot
//   an address comes back    that the name had left: this name gives a part of its addresses at
//                            a time. From now on it takes twice as many answers
//
// Source: docs/adr/0013-names-that-move.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/types.h"
#include "observe/counters.h"
#include "observe/events.h"
#include "redis/name_resolver.h"

namespace stayd {

class NameCache {
 public:
  static constexpr std::int64_t kAskAgainUs = 1'000'000;
  static constexpr std::int64_t kWatchUs = 5'000'000;
  // A name server is waited for so long while a last good list is there: a part of connect_timeout.
  static constexpr std::int64_t kPatienceUs = 200'000;
  static constexpr std::int64_t kTellAfterUs = 15'000'000;  // that a name has no answer any more
  static constexpr unsigned kEnough = 2;
  static constexpr unsigned kMostEnough = 16;           // of a name that gives a part at a time
  static constexpr std::int64_t kCalmUs = 600'000'000;  // without that, two are enough again
  static constexpr std::size_t kMaxSeen = 64;           // addresses remembered of one name
  // A Cluster's nodes by host name, and the URL's. Beyond, names that nobody uses are forgotten.
  static constexpr std::size_t kMaxNames = 2'000;
  static constexpr std::int64_t kUnusedUs = 60'000'000;

  struct Found {
    enum class State : std::uint8_t { waiting, found, failed } state = State::waiting;
    const Addresses* addresses = nullptr;  // found; valid until the next call
    std::string_view error;                // failed
  };

  NameCache(NameResolver& resolver, EventSink& log, Counters& counters)
      : resolver_(resolver), log_(log), counters_(counters) {}

  // For a connection that is wanted since `since_us`; called until it is not waiting.
  Found look(const std::string& host, std::int64_t since_us, Now now);
  // For a connection to `used` that is up; called all the time. True: the name has left it.
  bool has_left(const std::string& host, const Address& used, Now now);
  // The last good answer, as text.
  std::string text(const std::string& host) const;
  // Whether it is in the last good answer.
  bool holds(const std::string& host, const Address& address) const;
  void on_tick(Now now);

 private:
  struct Seen {
    Address address;
    unsigned missing = 0;  // good answers without it since the last one with it
    bool left = false;     // told so to a connection
  };
  struct Name {
    Addresses good;                        // the last good answer
    std::int64_t good_for_us = INT64_MIN;  // when the question was asked that it answers
    std::int64_t failed_for_us = INT64_MIN;
    std::string error;
    bool asking = false;
    std::int64_t asked_us = INT64_MIN;
    std::int64_t used_us = 0;
    std::int64_t well_us = 0;  // the last good answer came, or the name was first asked
    bool told = false;         // that it has no answer
    std::vector<Seen> seen;
    unsigned enough = kEnough;
    std::int64_t came_back_us = 0;  // when an address did that was left
  };

  Name& use(const std::string& host, Now now);
  void ask(const std::string& host, Name& name, Now now);
  void on_answer(const std::string& host, NameAnswer answer);
  void count(Name& name) const;

  NameResolver& resolver_;
  EventSink& log_;
  Counters& counters_;
  Now now_;
  std::map<std::string, Name> names_;
};

}  // namespace stayd
