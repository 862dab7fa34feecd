// Which Redis is the primary, from what the Sentinels say. Pure: answers and the time go in, the
// primary comes out. One thread; owns all it holds. Times are Now::mono_us.
//
//   highest config-epoch wins          a Sentinel that was cut off still names the primary of
//                                      before, which still calls itself one
//   an epoch not above the followed    counts when most of the known Sentinels name that address
//                                      (they were set up anew), and none the followed one at its
//                                      epoch (the others have not heard of the failover yet)
//   the first primary                  waits for most of the Sentinels, at most kPatienceUs
//
// Sentinels are told apart by their id: two addresses of one have one vote. Those that were learnt
// are kept while they are silent, so that few of them, cut off, are never most; one is forgotten
// when it is silent and no Sentinel names it for kForgetUs (SENTINEL RESET, after it was taken
// down), and at least half of all answer.
// Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/rules.h"
#include "redis/transport.h"

namespace stayd {

class PrimaryElection {
 public:
  // Far more than anybody runs; further ones are not learnt.
  static constexpr std::size_t kMaxSentinels = 16;
  static constexpr std::int64_t kAnswerValidUs = 5'000'000;  // older answers elect nobody
  static constexpr std::int64_t kForgetUs = 60'000'000;
  static constexpr std::int64_t kPatienceUs = 500'000;  // one answer's deadline

  struct Answer {
    Endpoint primary;
    std::uint64_t epoch = 0;  // SENTINEL MASTER: config-epoch
  };

  explicit PrimaryElection(const Rules& rules = {}) : epochs_count_(rules.epochs_count) {}

  // A Sentinel by its address; `id` (SENTINEL MYID, empty: not known yet) tells two addresses of
  // one apart from two Sentinels; `named_us` is when another one named it, nullopt: the operator
  // did, it is never forgotten. Returns its index, counted from 0 and never used again, or nullopt:
  // it is known already, or there are kMaxSentinels.
  std::optional<std::size_t> learn(const Endpoint& address, const std::string& id,
                                   std::optional<std::int64_t> named_us);
  // Takes out the learnt Sentinels that are gone: their indexes.
  std::vector<std::size_t> forget(std::int64_t now_us);
  void identify(std::size_t sentinel, const std::string& id);
  // Requires: an index that learn() returned and forget() did not.
  void on_answer(std::size_t sentinel, Answer answer, std::int64_t now_us);

  // Weighs all answers. True: another primary than before, or the first.
  bool elect(std::int64_t now_us);

  const std::optional<Answer>& followed() const { return followed_; }
  std::size_t known() const;                         // Sentinels, each once
  std::size_t answering(std::int64_t now_us) const;  // with an answer that is not too old
  std::size_t votes(const Endpoint& primary, std::int64_t now_us) const;

 private:
  struct Sentinel {
    Endpoint address;
    std::string id;
    std::optional<std::int64_t> named_us;
    Answer answer;
    std::int64_t at_us = -1;  // of the answer; -1: none
  };

  std::vector<const Sentinel*> fresh(std::int64_t now_us) const;
  const Answer* choice(const std::vector<const Sentinel*>& fresh, std::int64_t now_us) const;

  const bool epochs_count_;  // false: tests only
  std::map<std::size_t, Sentinel> sentinels_;
  std::size_t next_index_ = 0;
  std::optional<Answer> followed_;
  std::int64_t first_answer_us_ = -1;
};

}  // namespace stayd
