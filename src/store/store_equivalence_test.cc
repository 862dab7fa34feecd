// The ledger applies by element what session/apply.h says of whole records: both stores, given the
// same random operations, end with the same outcomes and rows.
#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <utility>

#include "base/random.h"
#include "store/ledger/test_ledger.h"
#include "store/memory/memory_store.h"

namespace stayd::test {
namespace {

constexpr std::int64_t kStart = 1'000'000;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  FullKey key() {
    static const char* const kNames[] = {"", "a", "ab", "b"};
    return full_key(random_.chance(80) ? 0 : 1, kNames[random_.below(4)]);
  }

  Mutation mutation(std::int64_t wall_ms) {
    Mutation out;
    out.key = key();
    // Mostly newer, sometimes old.
    out.hlc = random_.chance(90) ? ++hlc_ : random_.below(hlc_ + 1);
    out.mark = {static_cast<std::uint32_t>(random_.below(3)), random_.below(3)};
    out.provisional = random_.chance(10);
    out.only_if_unknown = random_.chance(5);
    out.tomb_until_ms = wall_ms + 1'000'000;
    if (random_.chance(50)) out.origin = 7;
    out.from_client = random_.chance(50);
    const std::uint64_t dice = random_.below(112);
    using Kind = Mutation::Kind;
    if (dice >= 100) return of_fleet(std::move(out), dice, wall_ms);
    out.kind = dice < 20   ? Kind::put
               : dice < 30 ? Kind::value
               : dice < 75 ? Kind::elements
               : dice < 83 ? Kind::expiry
               : dice < 90 ? Kind::tomb
               : dice < 94 ? Kind::stale
               : dice < 96 ? Kind::doubt
               : dice < 98 ? Kind::placed
                           : Kind::forget;
    if (out.kind == Kind::put) out.record = record();
    if (out.kind == Kind::value) out.record.value = text();
    if (out.kind == Kind::elements) add_elements(out);
    if (random_.chance(40))
      out.record.expires_at_ms = wall_ms - 5 + static_cast<std::int64_t>(random_.below(100));
    return out;
  }

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }

 private:
  std::string name() {
    return std::string(random_.below(3), '#') + std::string(1, "#xyz"[random_.below(4)]);
  }
  std::string text() {
    return std::string(random_.below(20), static_cast<char>('a' + random_.below(26)));
  }

  Record record() {
    Record out;
    const std::uint64_t count = 1 + random_.below(5);
    switch (random_.below(6)) {
      case 0:
        out.value = text();
        break;
      case 1:
        out.value = OpaqueValue{text()};
        break;
      case 2: {
        HashValue hash;
        for (std::uint64_t i = 0; i < count; ++i) hash[name()] = text();
        out.value = hash;
        break;
      }
      case 3: {
        SetValue set;
        for (std::uint64_t i = 0; i < count; ++i) set.insert(name());
        out.value = set;
        break;
      }
      case 4: {
        SortedSetValue sorted;
        for (std::uint64_t i = 0; i < count; ++i)
          sorted.set(name(), static_cast<double>(random_.below(3)));
        out.value = sorted;
        break;
      }
      default:
        break;  // a put of nothing
    }
    return out;
  }

  // What the shared backup says of a row.
  Mutation of_fleet(Mutation out, std::uint64_t dice, std::int64_t wall_ms) {
    out.kind = dice < 104   ? Mutation::Kind::shipped
               : dice < 109 ? Mutation::Kind::merge
                            : Mutation::Kind::replace;
    out.base = {std::exchange(out.hlc, 0), 7};
    RowMeta meta;
    meta.hlc = out.base.hlc;
    meta.origin = out.base.origin;
    out.merged = std::make_shared<const RowMeta>(meta);
    if (out.kind == Mutation::Kind::shipped) return out;
    meta.hlc = random_.chance(60) ? ++hlc_ : std::max<Hlc>(1, hlc_ - random_.below(4));
    meta.origin = random_.chance(50) ? 9 : 7;
    meta.incarnation = 1 + static_cast<std::uint32_t>(random_.below(2));
    if (random_.chance(70)) out.record = record();
    if (random_.chance(40)) out.record.expires_at_ms = wall_ms + 50;
    meta.type = out.record.type();
    meta.state = out.record.exists() ? RowState::live : RowState::tomb;
    if (!out.record.exists()) out.record = {};
    meta.expires_at_ms = out.record.expires_at_ms;
    out.merged = std::make_shared<const RowMeta>(meta);
    return out;
  }

  void add_elements(Mutation& out) {
    static const ValueType kTypes[] = {ValueType::hash, ValueType::set, ValueType::zset};
    out.type = kTypes[random_.below(3)];
    for (std::uint64_t i = 1 + random_.below(4); i > 0; --i) {
      out.elements.push_back(
          {name(), random_.chance(40), text(), static_cast<double>(random_.below(3))});
    }
  }

  Random random_;
  Hlc hlc_ = 0;
};

class Pair {
 public:
  explicit Pair(std::string path) {
    LedgerOptions options = TestLedger::options(std::move(path));
    options.wall_ms = [this] { return wall_ms.load(); };
    options.write_buffer_bytes = std::size_t{64} << 10;
    ledger = std::make_unique<TestLedger>(options);
    memory.set_events(&recorder);
  }
  Store& a() { return memory; }
  Store& b() { return *ledger->ledger; }

  void settle(StoreToken last) {
    memory.submit();
    memory.deliver();
    ledger->until(last);
  }

  std::atomic<std::int64_t> wall_ms = kStart;
  MemoryStore memory{[this] { return wall_ms.load(); }};
  Recorder recorder;
  std::unique_ptr<TestLedger> ledger;
};

void compare(Pair& pair, std::uint64_t seed) {
  const Recorder& expected = pair.recorder;
  const Recorder& found = pair.ledger->recorder;
  ASSERT_EQ(found.order, expected.order) << "seed " << seed;
  for (const auto& [token, result] : expected.applied) {
    const ApplyResult& other = found.applied.at(token);
    ASSERT_EQ(found.errors.at(token).message, "") << "seed " << seed;
    ASSERT_EQ(other.outcome, result.outcome) << "seed " << seed << " token " << token;
    ASSERT_EQ(other.before, result.before) << "seed " << seed << " token " << token;
  }
  for (const auto& [token, row] : expected.loaded) {
    ASSERT_EQ(found.errors.at(token).message, "") << "seed " << seed;
    ASSERT_EQ(found.loaded.at(token).meta, row.meta) << "seed " << seed << " token " << token;
    ASSERT_EQ(found.loaded.at(token).record, row.record) << "seed " << seed << " token " << token;
  }
  for (const auto& [token, page] : expected.scanned) {
    const auto& other = found.scanned.at(token).entries;
    ASSERT_EQ(other.size(), page.entries.size()) << "seed " << seed << " token " << token;
    for (std::size_t i = 0; i < other.size(); ++i) {
      ASSERT_EQ(other[i].key, page.entries[i].key) << "seed " << seed;
      ASSERT_EQ(other[i].meta, page.entries[i].meta) << "seed " << seed;
    }
  }
  ASSERT_EQ(pair.b().highest_hlc(), pair.a().highest_hlc()) << "seed " << seed;
}

void one_step(Pair& pair, Generator& make, StoreToken& token) {
  const std::uint64_t dice = make.below(100);
  if (dice < 70) {
    const Mutation mutation = make.mutation(pair.wall_ms);
    ++token;
    pair.a().apply_one(mutation, token, Durability::written);
    pair.b().apply_one(mutation, token, Durability::written);
  } else if (dice < 80) {
    std::vector<Store::Change> changes;
    for (std::uint64_t i = 1 + make.below(4); i > 0; --i) {
      changes.push_back({make.mutation(pair.wall_ms), ++token});
    }
    pair.a().apply(changes, Durability::written);
    pair.b().apply(changes, Durability::written);
  } else if (dice < 96) {
    const FullKey key = make.key();
    ++token;
    pair.a().load(key, token);
    pair.b().load(key, token);
  } else if (dice < 98) {
    const ScanQuery query{.newer_than = make.below(50),
                          .state = make.below(2) == 0 ? RowState::live : RowState::tomb};
    ++token;
    pair.a().scan(query, token);
    pair.b().scan(query, token);
  } else if (dice < 99) {
    ++token;
    pair.a().swap_databases(0, 1, token);
    pair.b().swap_databases(0, 1, token);
  } else {
    ++token;
    const int db = static_cast<int>(make.below(3)) - 1;
    pair.a().flush(db, ~Hlc{0} >> 1, nullptr, token);
    pair.b().flush(db, ~Hlc{0} >> 1, nullptr, token);
  }
}

// Begins in clear; then other master keys, and compression on and off.
void change_keys(Pair& pair, int round) {
  constexpr std::string_view kKeys = "abcdefgh";
  const auto at = static_cast<std::size_t>(round / 4 - 1);
  pair.ledger->ledger->rekey(
      sealed(kKeys[at], at == 0 ? "" : std::string(1, kKeys[at - 1]), at % 2 == 1),
      [](const Error& error) { EXPECT_EQ(error.message, ""); });
}

class StoreEquivalence : public ::testing::TestWithParam<bool> {};

TEST_P(StoreEquivalence, RandomOperations) {
  for (std::uint64_t seed = 1; seed <= 12 && !testing::Test::HasFatalFailure(); ++seed) {
    TempFolder folder;
    Pair pair(folder.sub("ledger"));
    Generator make(seed);
    StoreToken token = 0;
    for (int round = 0; round < 30; ++round) {
      if (GetParam() && round > 0 && round % 4 == 0) change_keys(pair, round);
      for (std::uint64_t i = 1 + make.below(40); i > 0; --i) one_step(pair, make, token);
      pair.settle(token);
      pair.wall_ms += static_cast<std::int64_t>(make.below(20));
    }
    for (const int db : {0, 1}) {
      for (const char* name : {"", "a", "ab", "b"}) {
        ++token;
        pair.a().load(full_key(db, name), token);
        pair.b().load(full_key(db, name), token);
      }
    }
    pair.settle(token);
    compare(pair, seed);
  }
}

INSTANTIATE_TEST_SUITE_P(Keys, StoreEquivalence, ::testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "Changing" : "None");
});

}  // namespace
}  // namespace stayd::test
