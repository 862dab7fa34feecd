// Shard: what Redis is asked every two seconds, and before each reconcile: for other stayds
// (shared.cc), for its clock, and whether it has evicted keys.
#include <algorithm>
#include <cstdlib>

#include "core/fleet_view.h"
#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kClockToleranceMs = 50;  // smaller differences of clocks do not matter
}  // namespace

void Shard::look_around(std::int64_t deadline_us) {
  last_look_us_ = c_.now.mono_us;
  std::string request;
  const std::string instances = instances_key(c_.place);
  append_request(request, {"HSET", instances, c_.instance, std::to_string(c_.now.wall_ms)});
  append_request(request, {"PEXPIRE", instances, std::to_string(kInstancesTtlMs)});
  append_request(request, {"HGETALL", instances});
  c_.upstream->send(request, 0, *this, make_tag(kTagInstances, generation_, 0), deadline_us, 3);
  request.clear();
  append_request(request, {"TIME"});
  asked_wall_ms_ = c_.now.wall_ms;
  look_ = (look_ + 1) & 0xff;
  c_.upstream->send(request, -1, *this, make_tag(kTagTime, generation_, look_), deadline_us);
  request.clear();
  append_request(request, {"INFO", "stats"});
  c_.upstream->send(request, -1, *this, make_tag(kTagInfo, generation_, 0), deadline_us);
}

// --- I10: its clock minus ours

void Shard::on_time(int look, std::string_view frame) {
  if (look != look_) return;  // asked at another moment than the one remembered
  if (const auto redis_wall_ms = time_reply_ms(ReplyView(frame))) {
    note_clock(*redis_wall_ms, asked_wall_ms_);
  }
}

// The difference is somewhere between these two: a slow answer, or a pause of ours, is none. What
// was found earlier holds as long as it lies there.
void Shard::note_clock(std::int64_t redis_wall_ms, std::int64_t asked_wall_ms) {
  const std::int64_t least = redis_wall_ms - c_.now.wall_ms;
  const std::int64_t most = std::max(least, redis_wall_ms - asked_wall_ms);
  clock_offset_ms_ = std::clamp(clock_offset_ms_, least, most);
  const bool matters = std::abs(clock_offset_ms_) > kClockToleranceMs;
  c_.redis_offset_ms = matters && c_.rules.clocks_are_compared ? clock_offset_ms_ : 0;
}

// --- R4: evictions

void Shard::track_evictions(const std::string& run_id, std::uint64_t evicted_keys) {
  const bool same = run_id == evictions_run_id_;
  const std::uint64_t before = same ? last_evicted_keys_ : 0;
  if (c_.fleet != nullptr) c_.fleet->note_evicted(evicted_keys);
  if (same && evicted_keys == before) return;
  if (evicted_keys > before) evictions_ += evicted_keys - before;
  last_evicted_keys_ = evicted_keys;
  evictions_run_id_ = run_id;
  c_.mark.evicted_keys = evictions_;
  c_.store.put_fact("evictions", std::to_string(evictions_));
  c_.store.put_fact("evicted_keys", std::to_string(evicted_keys));
  c_.store.put_fact("evictions_run_id", run_id);
}

bool Shard::evicted_since(const Mark& mark, std::uint64_t evicted_keys) {
  track_evictions(facts_.run_id, evicted_keys);
  return c_.rules.evictions_are_no_deletes && mark.evicted_keys != evictions_;
}

}  // namespace stayd
