// Shard: the heartbeat key of each database, which tells whether Redis' memory is still the one
// that was judged (R11), and what a flush through stayd does to it (R18).
#include <string>
#include <utility>

#include "core/fleet_view.h"
#include "core/lua.h"
#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr int kGoodBeats = 3;  // half-open -> closed
}

void Shard::send_heartbeats() {
  last_beat_sent_us_ = c_.now.mono_us;
  beat_at_ = {position(), c_.hlc.last()};
  const auto deadline = c_.deadline_us(c_.options.heartbeat_deadline_ms);
  ++beats_;
  std::string request;
  for (int db = 0; db < kDatabases; ++db) {
    if (!db_in_use(db)) continue;
    // The first one in a database is written whatever has become of that since it was first used:
    // it vouches for nothing.
    const Hlc at = last_written_[db].empty() ? 0 : position();
    Canary next{epoch_, beats_, at, c_.now.wall_ms, vouched_place(), told_top()};
    if (c_.fleet != nullptr) {
      const bool vouches = trusted() && at != 0;
      next.to = vouches ? reached() : c_.hlc.last();
      next.from = vouches ? c_.fleet->trusted_from() : next.to;
    }
    pending_write_[db] = next.text();
    request.clear();
    append_heartbeat(request, canary_name(), last_written_[db], pending_write_[db]);
    ++beats_under_way_;
    c_.upstream->send(request, db, *this, make_tag(kTagBeat, generation_, db), deadline);
  }
  if (c_.fleet != nullptr) ask_for_others(deadline);
}

void Shard::on_heartbeat(int db, std::string_view frame) {
  --beats_under_way_;
  const ReplyClass reply_class = classify_reply(frame);
  if (reply_class == ReplyClass::no_script) {
    std::string loads;
    const int count = append_script_loads(loads, c_.fleet != nullptr);
    c_.upstream->send(loads, -1, *this, make_tag(kTagLoads, generation_, 0),
                      c_.deadline_us(c_.options.heartbeat_deadline_ms),
                      static_cast<std::uint32_t>(count));
    return;
  }
  if (is_out(reply_class)) {
    note_refusal(reply_class, frame.substr(1));
    if (c_.up()) c_.upstream->condemn(frame.substr(1, frame.find('\r') - 1));
    return;
  }
  const bool written = frame.starts_with(":1");
  const bool refused = reply_class == ReplyClass::no_memory || reply_class == ReplyClass::no_writes;
  if (frame[0] == '-' && !refused) {  // NOPERM, no EVALSHA: comparing once more would not help
    c_.upstream->condemn(frame.substr(1, frame.find('\r') - 1));
    return;
  }
  if (!written && !refused) {
    ++c_.counters.canary_mismatches;
    if (!c_.rules.heartbeats_compare) {
      last_written_[db] = ReplyView(frame).text();
      return;
    }
    if (trust_ == Trust::trusted) {
      suspect(ReplyView(frame).is_null() ? "its heartbeat key is gone: emptied, or flushed"
                                         : "its heartbeat key is not the last one written");
    } else if (c_.up()) {
      begin_reconcile();
    }
    return;
  }
  if (written) {
    ++c_.counters.canary_writes;
    last_written_[db] = pending_write_[db];
    if (c_.rules.refusals_end) writes_refused_ = deletes_refused_ = false;
  } else {
    note_refusal(reply_class, frame.substr(1));
  }
  last_beat_ok_us_ = last_beat_sent_us_;  // what it proves is that old
  last_beat_ok_ms_ = c_.now.wall_ms;
  round_trip_us_ = c_.now.mono_us - last_beat_sent_us_;
  if (step_ == Step::probing && beats_under_way_ == 0) {
    good_beats_ = round_trip_us_ <= c_.options.command_deadline_max_ms * 1000 ? good_beats_ + 1 : 0;
    if (good_beats_ >= kGoodBeats) become_trusted();
  }
}

// What was last written changes when the reply comes: what was asked before the flush is compared
// with the heartbeat of before.
void Shard::on_flush_sent(int db, std::int64_t deadline_us) {
  std::string request;
  for (int i = 0; i < kDatabases; ++i) {
    if (!db_in_use(i) || (db >= 0 && i != db)) continue;
    fresh_[i] =
        Canary{epoch_, ++beats_, position(), c_.now.wall_ms, vouched_place(), told_top()}.text();
    request.clear();
    append_request(request, {"SET", canary_name(), fresh_[i], "PX", std::to_string(kCanaryTtlMs)});
    ++flushes_under_way_;
    c_.upstream->send(request, i, *this, make_tag(kTagFlush, generation_, i), deadline_us);
  }
}

void Shard::on_swap_sent(std::int64_t deadline_us) {
  std::string request;
  append_request(request, {"PING"});
  ++flushes_under_way_;
  c_.upstream->send(request, -1, *this, make_tag(kTagFlush, generation_, 0), deadline_us);
}

void Shard::on_flush_reply(int db) {
  --flushes_under_way_;
  if (!fresh_[db].empty()) last_written_[db] = std::exchange(fresh_[db], {});
}

}  // namespace stayd
