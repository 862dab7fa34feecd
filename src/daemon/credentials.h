// Where the passwords for Redis and for the Sentinels come from: the configuration, a file, or a
// command's output. Files are looked at for each new connection, commands run for one, each few
// seconds at most, tokens for ElastiCache signed for each; so a rotation needs no restart and no
// signal.
//
// Loop thread only; a command runs on a thread of its own, which ends with this. Outlives the links
// and probes that log in with it.
#pragma once

#include <memory>
#include <string>

#include "daemon/config.h"
#include "net/loop.h"
#include "redis/credentials.h"

namespace stayd {

class RedisLogins {
 public:
  RedisLogins(Loop& loop, const RedisConfig& config, EventSink& log, Counters& counters);
  ~RedisLogins();

  Credentials& redis() { return redis_; }
  Credentials& sentinels() { return sentinels_; }
  // Takes up what the configuration says now of passwords. Users stay what they were.
  void reload(const RedisConfig& fresh);
  // Whether reload() takes up a key of that name.
  static bool takes_up(std::string_view key);

 private:
  std::unique_ptr<PasswordSource> source_of(const RedisConfig& config);

  Loop& loop_;
  Credentials redis_, sentinels_;
  std::unique_ptr<PasswordSource> redis_source_, sentinel_source_;
};

// The first line of a password file. Errors: invalid, with the file's name and what is wrong.
Result<std::string> read_password_file(const std::string& path);

}  // namespace stayd
