// World: promises that no history of one key shows, each checked at the moment at which it could be
// broken.
#include <algorithm>

#include "core/canary.h"
#include "core/side_keys.h"
#include "sim/world.h"

namespace stayd::sim {

namespace {

constexpr std::int64_t kLookUs = 500 * kMs;
// Answers of before count for 5 s.
constexpr std::int64_t kSentinelsUs = 8 * kSecond;
// Beyond a TTL: 5 s until the name is asked, and up to 16 answers of a name that took turns.
constexpr std::int64_t kNameUs = 24 * kSecond;

}  // namespace

// I1: an acknowledged logout outlives the power.
std::set<FullKey> World::acknowledged_tombs(const Instance& one) const {
  const auto& rows = one.disk().rows();
  std::set<FullKey> tombs;
  for (const FullKey& key : users.logged_out()) {
    const auto row = rows.find(key);
    if (row == rows.end()) continue;
    if (row->second.meta.state == RowState::tomb) tombs.insert(key);
  }
  return tombs;
}

void World::check_logouts_of_power_cut(const Instance& one, const std::set<FullKey>& buried) {
  const auto& rows = one.disk().rows();
  for (const FullKey& key : buried) {
    const auto row = rows.find(key);
    if (row == rows.end() || !row->second.meta.live_at(scheduler.wall_ms())) continue;
    users.fail(key, "an acknowledged logout is lost with the power");
  }
}

// I8: Redis is trusted up to S, and the ledger holds everything up to S; unless it has lost its end
// and was filled from Redis. Heartbeats of slots that it is not believed to have are another's.
void World::check_position(const Instance& one, const Event& event) {
  if (options.fleet) return;  // what its end held, the backup has
  const SlotSet judged = slots_of(one, event) & ~(filled_anew_[&one] & ~ends_lost_[&one]);
  const Store& ledger = one.disk();
  const std::string name = "}:canary:" + ledger.fact("instance");
  for (const auto& [key, record] : servers[servers.shard_at(address_in(event))].data()) {
    if (!is_side_key(key_of(key)) || key_of(key).find(name) == std::string_view::npos) continue;
    if (!judged[slot_of(key_of(key))]) continue;
    const auto canary = Canary::parse(std::get<std::string>(record.value));
    if (!canary || canary->ledger() <= ledger.highest_hlc()) continue;
    users.fail({}, "trusted up to a version that the ledger does not have");
  }
}

// R4: in a memory that has lost nothing, what somebody removes past stayd stays removed.
void World::check_deletion_by_stranger() {
  const std::string name = "sess:removed by a stranger";
  const FullKey key = full_key(0, name);
  users.ask(key, {.commands = {{"SET", name, "v"}}});
  pass(options.fleet ? 2 * kSecond : 100 * kMs);  // all know that it is in Redis
  users.done_by_stranger(key, {.commands = {{"DEL", name}}});
  servers.of(key).remove(key);
  users.ask(key, {.commands = {{"GET", name}}});
  pass(100 * kMs);
}

// Nothing hides from this one what the Sentinels, or every answer to the name, say of the primary.
bool World::is_told(const Instance& one) const {
  if (!one.alive() || one.paused() || !one.network().well()) return false;
  if (const Names* names = servers.names()) return names->tells(servers.endpoint(0));
  return one.knows_all_sentinels() && servers.sentinels()->tell_primary();
}

// I14: then it goes there, however well the one of before serves; or tries to, where it may be
// refused. By one name nobody is at two.
void World::check_followed() {
  scheduler.after(kLookUs, [this] { check_followed(); });
  const Names* const names = servers.names();
  const std::int64_t bound_us = names != nullptr ? names->ttl_us() + kNameUs : kSentinelsUs;
  for (const auto& one : instances) {
    const Network& network = one->network();
    if (names != nullptr && network.talks_to(redis) && one->talks_to_old()) {
      users.fail({}, one->name() + "is connected to two Redises by one name");
    }
    if (!is_told(*one) || one->follows_primary()) {
      astray_us_.erase(one.get());
      continue;
    }
    const std::int64_t now_us = scheduler.now_us();
    std::int64_t& since_us = astray_us_.emplace(one.get(), now_us).first->second;
    if (names != nullptr && !one->talks_to_old()) {
      const auto tried_us = redis.listening() ? network.dialled_us(servers.endpoint(0)) : now_us;
      since_us = std::max(since_us, tried_us);
    }
    if (now_us - since_us <= bound_us) continue;
    users.fail({}, one->name() + "is told that the primary is " + servers.endpoint(0).text() +
                       ", and is not there");
  }
}

}  // namespace stayd::sim
