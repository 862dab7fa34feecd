// Three stayds, random writes, reads and decisions, and a backup that is slow, out, frozen,
// read-only or out of reach for one of them. Afterwards all ledgers and the backup agree.
#include <set>

#include "base/random.h"
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

constexpr int kHosts = 3;
constexpr int kKeys = 6;

class RandomFleet {
 public:
  explicit RandomFleet(std::uint64_t seed) : random_(seed) {
    for (std::uint64_t i = 0; i < kHosts; ++i) {
      hosts_.push_back(std::make_unique<FleetHost>(database_, 10 + i, now_));
      hosts_.back()->clock_ms = static_cast<std::int64_t>(random_.below(2000)) - 1000;
    }
  }

  FleetHost& any() { return *hosts_[random_.below(kHosts)]; }

  void step() {
    now_.mono_us += kMs;
    ++now_.wall_ms;
    for (auto& host : hosts_) {
      host->run();
      for (const FullKey& key : std::exchange(host->judge.asked, {})) read_back(*host, key);
      decide_again(*host);
    }
  }

  // What Redis would say: here, the last thing that this host has written.
  void read_back(FleetHost& host, const FullKey& key) {
    if (host.judge.verdict != Verdict::read_back) return;
    const std::string held = host.text(key);
    if (held != "-") host.put(key, held, false);
  }

  void act() {
    FleetHost& host = any();
    const FullKey key = full_key(0, "sess:" + std::to_string(random_.below(kKeys)));
    const auto what = random_.below(100);
    const auto later_ms = now_.wall_ms + 60'000 + static_cast<std::int64_t>(random_.below(60'000));
    if (what < 35) {
      host.put(key, "v" + std::to_string(++values_), random_.chance(80), later_ms);
    } else if (what < 50) {
      host.expire(key, later_ms);
    } else if (what < 62) {
      host.tomb(key);
    } else if (what < 75) {
      host.load_exact(key);
    } else if (what < 90) {
      begin_to_count(host);
    } else {
      static constexpr Verdict kVerdicts[] = {Verdict::wait, Verdict::theirs, Verdict::ours,
                                              Verdict::read_back};
      host.judge.verdict = kVerdicts[random_.below(4)];
    }
  }

  void trouble() {
    switch (random_.below(6)) {
      case 0:
        database_.down = !database_.down;
        break;
      case 1:
        database_.frozen = !database_.frozen;
        break;
      case 2:
        database_.read_only = !database_.read_only;
        break;
      case 3: {
        FleetHost& host = any();
        host.backup.cut_off = !host.backup.cut_off;
        break;
      }
      default:
        any().latency_us = 200 + static_cast<std::int64_t>(random_.below(80'000));
    }
  }

  void heal() {
    database_.down = database_.frozen = database_.read_only = false;
    for (auto& host : hosts_) {
      host->backup.cut_off = false;
      host->latency_us = 500;
      host->judge.verdict = random_.chance(50) ? Verdict::theirs : Verdict::ours;
    }
    counting_ = false;
  }

  // --- a counter that the backup decides about: exact as long as it answers

  void begin_to_count(FleetHost& host) {
    if (!counting_ || counts_.contains(&host)) return;
    counts_[&host] = {.load = host.load_exact(counter_)};
  }

  void decide_again(FleetHost& host) {
    const auto at = counts_.find(&host);
    if (at == counts_.end()) return;
    Count& count = at->second;
    if (count.apply == 0) {
      if (!host.recorder.seen(count.load)) return;
      const Row row = host.recorder.loaded.at(count.load);
      const bool live = row.meta.state == RowState::live;
      const int value = live ? std::stoi(std::get<std::string>(row.record.value)) : 0;
      count.apply = host.agree(counter_, std::to_string(value + 1));
      return;
    }
    if (!host.recorder.seen(count.apply)) return;
    const bool done = host.recorder.applied.at(count.apply).outcome == ApplyOutcome::applied;
    counts_.erase(at);
    counted_ += done ? 1 : 0;
    if (!done) begin_to_count(host);
  }

  void check(std::uint64_t seed, bool exact) {
    for (auto& host : hosts_) {
      EXPECT_EQ(host->fleet.status().unshipped, 0u) << "seed " << seed;
      for (const auto& [key, there] : database_.rows()) {
        const Row row = host->row(key);
        ASSERT_EQ(row.meta.state, there.state) << "seed " << seed << " " << key;
        ASSERT_EQ(row.meta.incarnation, there.incarnation) << "seed " << seed << " " << key;
        if (there.state != RowState::live) continue;
        ASSERT_EQ(row.record.value, there.record.value) << "seed " << seed << " " << key;
        ASSERT_EQ(row.meta.base.hlc, there.hlc) << "seed " << seed << " " << key;
        ASSERT_EQ(row.meta.expires_at_ms, there.record.expires_at_ms) << "seed " << seed;
      }
      EXPECT_EQ(host->ledger.rows().size(), database_.rows().size()) << "seed " << seed;
    }
    if (!exact) return;
    ASSERT_GT(counted_, 0) << "seed " << seed;
    const BackupRow row = database_.read(counter_);
    EXPECT_EQ(std::get<std::string>(row.record.value), std::to_string(counted_)) << "seed " << seed;
  }

  Random& random() { return random_; }

 private:
  struct Count {
    StoreToken load = 0;
    StoreToken apply = 0;
  };

  Random random_;
  Now now_{1'000'000, kWallMs};
  MemoryDatabase database_;
  std::vector<std::unique_ptr<FleetHost>> hosts_;
  std::map<FleetHost*, Count> counts_;
  const FullKey counter_ = full_key(0, "count");
  bool counting_ = true;
  int counted_ = 0;
  int values_ = 0;
};

void run(std::uint64_t seed, bool faults) {
  RandomFleet fleet(seed);
  for (int i = 0; i < 4000; ++i) {
    if (fleet.random().chance(20)) fleet.act();
    if (faults && fleet.random().below(400) == 0) fleet.trouble();
    fleet.step();
  }
  fleet.heal();
  for (int i = 0; i < 30'000; ++i) fleet.step();
  fleet.check(seed, !faults);
}

TEST(FleetRandom, AllAgreeInTheEnd) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    run(seed, false);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(FleetRandom, AllAgreeAfterFaults) {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    run(seed, true);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace stayd::test
