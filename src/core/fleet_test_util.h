// Stayds with ledgers of their own and one backup, all in memory; the engines are left out. Tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/fleet_store.h"
#include "store/backup/memory/memory_backup.h"
#include "store/memory/memory_store.h"
#include "store/test_support.h"

namespace stayd::test {

inline constexpr std::int64_t kMs = 1000;
inline constexpr std::int64_t kWallMs = 1'700'000'000'000;

class FleetTestJudge final : public FleetJudge {
 public:
  Verdict judge(const FullKey& key, const RowMeta& ours, const RowMeta& theirs,
                std::int64_t) override {
    asked.push_back(key);
    last_ours = ours;
    last_theirs = theirs;
    return verdict;
  }
  void on_foreign(const FullKey& key, const RowMeta& theirs) override { foreign[key] = theirs; }

  Verdict verdict = Verdict::theirs;
  std::vector<FullKey> asked;
  RowMeta last_ours;
  RowMeta last_theirs;
  std::map<FullKey, RowMeta> foreign;
};

struct FleetHost {
  FleetHost(MemoryDatabase& database, std::uint64_t origin, const Now& time,
            FleetOptions options = {})
      : now(time),
        backup(database, [this] { return MemoryBackup::Latency{latency_us, latency_us}; }),
        fleet(ledger, backup, of(options, origin), clock, counters) {
    fleet.set_events(&recorder);
    fleet.set_judge(&judge);
    fleet.start(now);
  }
  static FleetOptions of(FleetOptions options, std::uint64_t origin) {
    options.origin = origin;
    return options;
  }
  void run() {
    fleet.set_now(now);
    backup.run(now);
    fleet.on_tick(now);
    ledger.deliver();
    fleet.submit();
    ledger.deliver();
  }

  StoreToken put(const FullKey& key, std::string text, bool from_client = true,
                 std::int64_t expires_at_ms = 0) {
    Mutation mutation;
    mutation.key = key;
    mutation.record.expires_at_ms = expires_at_ms;
    mutation.record.value = std::move(text);
    mutation.from_client = from_client;
    return change(std::move(mutation), Durability::written);
  }
  StoreToken tomb(const FullKey& key) {
    Mutation mutation;
    mutation.kind = Mutation::Kind::tomb;
    mutation.key = key;
    mutation.tomb_until_ms = kWallMs + 1'000'000;
    return change(std::move(mutation), Durability::synced);
  }
  StoreToken expire(const FullKey& key, std::int64_t at_ms) {
    Mutation mutation;
    mutation.kind = Mutation::Kind::expiry;
    mutation.key = key;
    mutation.record.expires_at_ms = at_ms;
    return change(std::move(mutation), Durability::written);
  }
  StoreToken change(Mutation mutation, Durability durability) {
    mutation.hlc = clock.next(now.wall_ms + clock_ms);
    fleet.apply_one(std::move(mutation), ++last, durability);
    return last;
  }
  // Of a row that has been read exactly.
  StoreToken agree(const FullKey& key, std::string text) {
    Mutation mutation;
    mutation.key = key;
    mutation.record.value = std::move(text);
    mutation.hlc = clock.next(now.wall_ms + clock_ms);
    fleet.apply_agreed({{std::move(mutation), ++last}}, {{key, row(key)}}, Durability::written);
    return last;
  }
  StoreToken load_exact(const FullKey& key) {
    fleet.load_exact(key, ++last);
    return last;
  }
  Row row(const FullKey& key) const {
    const auto at = ledger.rows().find(key);
    return at == ledger.rows().end() ? Row{} : at->second;
  }
  std::string text(const FullKey& key) const {
    const Row found = row(key);
    if (found.meta.state != RowState::live) return "-";
    return std::get<std::string>(found.record.value);
  }

  const Now& now;
  std::int64_t clock_ms = 0;
  std::int64_t latency_us = 500;
  MemoryStore ledger{[this] { return now.wall_ms; }};
  HlcClock clock;
  Counters counters;
  MemoryBackup backup;
  FleetTestJudge judge;
  Recorder recorder;
  FleetStore fleet;
  StoreToken last = 0;
};

class FleetTest : public testing::Test {
 protected:
  void pass(std::int64_t ms) {
    for (std::int64_t i = 0; i < ms; ++i) {
      now.mono_us += kMs;
      ++now.wall_ms;
      for (FleetHost* host : {&a, &c}) host->run();
    }
  }
  std::string there() const {
    const BackupRow row = database.read(key);
    if (row.state == RowState::absent) return "none";
    if (row.state == RowState::tomb) return "tomb";
    return std::get<std::string>(row.record.value);
  }

  Now now{1'000'000, kWallMs};
  MemoryDatabase database;
  FleetHost a{database, 11, now};
  FleetHost c{database, 22, now};
  const FullKey key = full_key(0, "sess:1");
};

}  // namespace stayd::test
