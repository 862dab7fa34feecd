// Shard: is another stayd at work on the same Redis, and what follows.
//
// Stayds that keep ledgers of their own of one Redis cannot know each other's logouts. A load
// balancer that keeps a session's requests on one of them makes that one's ledger right; each is
// sure of what was written through it, as if it were alone, and of nothing else:
//
//   rows taken over from Redis, and not written through here since, are not put back when Redis has
//     lost its memory, but when somebody asks for them here, and where Redis has nothing
//   a key that Redis lacks although its memory is intact, while it was evicting, counts as logged
//     out through another stayd (W15)
#include <algorithm>
#include <charconv>

#include "core/fleet_view.h"
#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kOtherAliveMs = 15'000;  // an instance not seen for longer is gone
}  // namespace

void Shard::on_instances(const ReplyView& instances) {
  bool others = false;
  bool own = false;
  auto elements = instances.elements();
  ReplyView instance;
  ReplyView seen;
  while (elements.next(instance) && elements.next(seen)) {
    std::int64_t at = 0;
    std::from_chars(seen.text().data(), seen.text().data() + seen.text().size(), at);
    const std::int64_t age_ms = std::max<std::int64_t>(0, c_.now.wall_ms - at);
    if (age_ms >= kOtherAliveMs) continue;
    if (instance.text() == c_.instance) {
      own = true;
    } else {
      others = true;
      if (c_.fleet != nullptr) c_.fleet->note_other(instance.text());
      others_seen_us_ = std::max(others_seen_us_, c_.now.mono_us - age_ms * 1000);
    }
  }
  // Nobody is gone because Redis was emptied, or out for all, or refuses writes.
  if (!own || !trusted()) others_seen_us_ = c_.now.mono_us;
  if (c_.fleet != nullptr) return;  // what the others do is known
  const bool lately = c_.now.mono_us - others_seen_us_ < kOtherAliveMs * 1000;
  set_shared(others || (c_.shared && lately));
}

void Shard::set_shared(bool shared) {
  if (shared == c_.shared) return;
  c_.shared = shared;
  c_.store.put_fact("shared", shared ? "1" : "0");
  const std::string redis = "Redis " + c_.options.address;
  if (shared) {
    c_.events.on_event({Severity::warning,
                        "shared_unsafe",
                        "another stayd works on " + redis +
                            " and has a ledger of its own: each is right only for sessions whose "
                            "requests all come to it, and what Redis evicts counts as logged out",
                        {}});
  } else {
    c_.events.on_event({Severity::info,
                        "shared_unsafe_over",
                        "no other stayd has been seen on " + redis + " for a while",
                        {}});
  }
}

bool Shard::was_lost(std::string_view full_key, const RowMeta& meta, std::uint64_t evicted_keys) {
  // B6: a row that was here, whoever's it is, and was not evicted has been removed since. Of one
  // that the feed has brought nobody here knows since when it was.
  if (c_.fleet != nullptr) {
    return evicted_since(meta.mark, evicted_keys) || !c_.fleet->here(FullKey(full_key), meta);
  }
  // The key went with its slot, whose move was given up.
  if (c_.redirected.lately(full_key)) return true;
  // Of a Cluster: what was confirmed by another memory says little of this one. It may be another
  // shard's, which counts its own evictions, or one whose slot was on its way when it failed.
  const bool other_memory = !c_.place.everything() && meta.mark.epoch != c_.mark.epoch;
  const bool evicted = evicted_since(meta.mark, evicted_keys) || other_memory;
  // The other stayd may never have come to put it back.
  const bool left_out = meta.adopted && meta.mark.epoch < left_out_epoch_;
  if (!c_.shared) return evicted || left_out;
  return meta.adopted && meta.mark.epoch != c_.mark.epoch;
}

}  // namespace stayd
