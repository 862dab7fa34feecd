// Shard: is another stayd at work on the same Redis?
#include <charconv>

#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kOtherAliveMs = 15'000;  // an instance not seen for longer is gone
}  // namespace

// Two stayds that keep separate ledgers of one Redis cannot know each other's logouts. Each says
// so, and stops believing that it knows better than Redis.
void Shard::look_for_others() {
  last_look_us_ = c_.now.mono_us;
  const auto deadline = c_.deadline_us(c_.options.heartbeat_deadline_ms);
  std::string request;
  append_request(request, {"HSET", kInstancesKey, c_.instance, std::to_string(c_.now.wall_ms)});
  append_request(request, {"PEXPIRE", kInstancesKey, std::to_string(kInstancesTtlMs)});
  append_request(request, {"HGETALL", kInstancesKey});
  c_.upstream->send(request, 0, *this, make_tag(kTagInstances, generation_, 0), deadline, 3);
}

void Shard::on_instances(const ReplyView& instances) {
  bool others = false;
  auto elements = instances.elements();
  ReplyView instance;
  ReplyView seen;
  while (elements.next(instance) && elements.next(seen)) {
    std::int64_t at = 0;
    std::from_chars(seen.text().data(), seen.text().data() + seen.text().size(), at);
    others = others || (instance.text() != c_.instance && c_.now.wall_ms - at < kOtherAliveMs);
  }
  if (others == c_.shared) return;
  c_.shared = others;
  const std::string redis = "Redis " + c_.options.address;
  if (others) {
    c_.events.on_event({Severity::warning,
                        "shared_unsafe",
                        "another stayd works on " + redis +
                            " and has a ledger of its own: a miss in Redis now counts as a logout, "
                            "and only what an emptied Redis lacks is put back",
                        {}});
  } else {
    c_.events.on_event({Severity::info,
                        "shared_unsafe_over",
                        "no other stayd has been seen on " + redis + " for a while",
                        {}});
  }
}

}  // namespace stayd
