// What befalls a Redis that Sentinels watch, and the Sentinels.
#include <algorithm>
#include <array>

#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

// What the Sentinels do when they find the primary down for long enough, or are asked to. Before
// the ledger has heard of everything only a replica that lacks nothing takes over.
void Faults::promote() {
  random_ = &promotion_random_;
  const std::int64_t now_us = world_.scheduler.now_us();
  std::int64_t seen_us = now_us;
  if (adopted()) {
    if (random_->chance(60)) seen_us -= between(kMs, 5 * kSecond);
    const auto cut_us = world_.servers.sentinels()->primary_cut_us();
    if (cut_us) seen_us = std::min(seen_us, *cut_us);
  }
  come_back(take_place(0, seen_us));
  ++world_.faults_struck["promotion"];
}

// The primary of before serves on until it is demoted, dies, or was dead and starts again.
void Faults::come_back(RedisModel& old) {
  const auto how = random_->below(3);
  const bool dead = !old.listening();
  later(between(10 * kMs, 10 * kSecond), [this, &old, how, dead] {
    if (world_.servers.deposed(0) != &old) return;
    if (how == 0) return old.kill();
    old.thaw();
    if (!dead || old.listening()) return;
    note("the old primary starts again");
    old.start(0);
  });
}

bool Faults::cut_primary() {
  Sentinels& sentinels = *world_.servers.sentinels();
  if (!adopted() || sentinels.primary_cut_us()) return false;
  note("the primary is cut off from Sentinels and replicas");
  sentinels.cut_primary();
  later(between(kSecond, 20 * kSecond), [this] {
    note("the primary of before is reached again");
    world_.servers.sentinels()->join_primary();
  });
  return true;
}

bool Faults::lose_sentinel() {
  using State = Sentinel::State;
  Sentinels& sentinels = *world_.servers.sentinels();
  const std::size_t number = random_->below(Sentinels::kCount);
  Sentinel& one = sentinels[number];
  if (one.state != State::well) return false;
  struct Kind {
    const char* text;
    State state;
  };
  static constexpr std::array kKinds{Kind{" is killed", State::dead},
                                     Kind{" is frozen", State::frozen},
                                     Kind{" wants a password", State::refusing},
                                     Kind{" knows no primary of that name", State::ignorant}};
  const std::string name = "Sentinel " + std::to_string(number);
  if (const auto which = random_->below(kKinds.size() + 1); which < kKinds.size()) {
    note(name + kKinds[which].text);
    one.become(kKinds[which].state);
  } else {
    note(name + " is killed, and starts from an old configuration");
    sentinels.forget(number);
  }
  later(between(50 * kMs, 20 * kSecond), [this, &one, name] {
    note(name + " is well again");
    one.become(State::well);
  });
  return true;
}

// They keep their view of who is the primary, and stayd reaches them.
bool Faults::cut_sentinels() {
  Sentinels& sentinels = *world_.servers.sentinels();
  const std::size_t first = random_->below(Sentinels::kCount);
  const std::size_t count = random_->chance(70) ? 1 : 2;
  const std::int64_t lasts_us = between(kSecond, 30 * kSecond);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t number = (first + i) % Sentinels::kCount;
    note("Sentinel " + std::to_string(number) + " is cut off");
    sentinels[number].cut = true;
    later(lasts_us, [this, number] {
      note("Sentinel " + std::to_string(number) + " is cut off no more");
      (*world_.servers.sentinels())[number].cut = false;
    });
  }
  return true;
}

bool Faults::replace_sentinels() {
  note("the Sentinels are set up anew");
  world_.servers.sentinels()->set_up_anew();
  return true;
}

}  // namespace stayd::sim
