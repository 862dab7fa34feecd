// Whether another server's replies are those of redis-server, command by command. Byte for byte,
// but: sets, KEYS and SCAN have no order (hashes neither, unless told), random picks must be
// members, times may differ by the time that passes between two servers. Pure; one for each other
// server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply.h"

namespace stayd::differential {

struct JudgeOptions {
  bool hashes_in_order = false;
  std::int64_t clock_tolerance_ms = 5'000;
  // Redis fails meanwhile: an error that says that nothing can be known is no wrong answer, but
  // what comes after it cannot be compared.
  bool may_not_know = false;
};

class Judge {
 public:
  explicit Judge(JudgeOptions options = {}) : options_(options) {}

  // What is wrong with `reply`, nullopt: nothing. `words` live until the block they stand in ends.
  // kUnknown: the server does not know, and may say so.
  static constexpr const char* kUnknown = "unknown";
  std::optional<std::string> check(const std::vector<std::string>& words,
                                   std::string_view reference, std::string_view reply);

 private:
  using Words = std::vector<std::string>;
  std::optional<std::string> compare(const Words& words, std::string_view reference,
                                     std::string_view reply, std::string_view before) const;
  std::optional<std::string> check_exec(std::string_view reference, std::string_view reply) const;

  JudgeOptions options_;
  std::vector<const Words*> queued_;  // since MULTI
  std::string before_;                // the reply before: what a random pick was taken from
};

}  // namespace stayd::differential
