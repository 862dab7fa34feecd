// Random writes to every shared backup, and a model beside it that follows apply_write().
#include <gtest/gtest.h>

#include "base/random.h"
#include "store/backup/apply_write.h"
#include "store/backup/behaviour.h"

namespace stayd::test {
namespace {

using namespace std::string_literals;
using Kind = BackupWrite::Kind;

template <class Subject>
class BackupRandom : public BackupTest<Subject> {};
TYPED_TEST_SUITE(BackupRandom, BackupSubjects, BackupNames);

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  BackupWrite random_write() {
    BackupWrite write;
    write.kind = random_.chance(75) ? Kind::put : Kind::touch;
    BackupRow& row = write.row;
    const BackupRow& there = rows_[random_key()];
    // Near what is there, so that each rule decides often.
    row = random_.chance(60) && there.state != RowState::absent ? there : BackupRow{};
    row.key = there.key;
    row.change = 0;
    if (row.state == RowState::absent || random_.chance(50)) mutate(row, there);
    const bool put = write.kind == Kind::put;
    if (put && row.state == RowState::tomb && random_.chance(50)) write.kind = Kind::bury;
    if (write.kind != Kind::bury && random_.chance(30)) write.expected = expect(there);
    if (write.kind == Kind::put && row.state == RowState::live && !row.record.exists()) {
      row.record.value = "again " + std::to_string(row.hlc);
    }
    return write;
  }

  AppliedWrite would_apply(const BackupWrite& write) {
    return apply_write(rows_[write.row.key], write);
  }
  AppliedWrite apply(const BackupWrite& write) {
    AppliedWrite applied = would_apply(write);
    rows_[write.row.key] = applied.row;
    return applied;
  }
  std::map<FullKey, BackupRow>& rows() { return rows_; }
  std::size_t count() const {
    return static_cast<std::size_t>(std::count_if(rows_.begin(), rows_.end(), [](const auto& row) {
      return row.second.state != RowState::absent;
    }));
  }

 private:
  FullKey random_key() {
    FullKey out = full_key(static_cast<int>(random_.below(2)), std::to_string(random_.below(12)));
    rows_[out].key = out;
    return out;
  }
  Version expect(const BackupRow& there) {
    if (random_.chance(20)) return kNone;
    if (random_.chance(70)) return there.version();
    return {there.hlc - (there.hlc > 0 ? random_.below(2) : 0), kOrigins[random_.below(5)]};
  }
  void mutate(BackupRow& row, const BackupRow& there) {
    row.state = random_.chance(80) ? RowState::live : RowState::tomb;
    row.incarnation = there.incarnation + (random_.chance(15) ? 1 : 0);
    row.hlc = there.hlc + random_.below(6);
    row.hlc -= std::min<Hlc>(row.hlc, 2);
    row.touched_hlc = random_.chance(20) ? row.hlc + random_.below(4) : 0;
    if (random_.chance(20)) row.hlc = there.touched_hlc + random_.below(3);
    row.record = {};
    row.record.expires_at_ms = static_cast<std::int64_t>(random_.below(4) * 1000);
    if (row.state == RowState::live) row.record.value = std::to_string(random_.next());
    row.created_at_ms = static_cast<std::int64_t>(random_.below(100));
    row.tomb_until_ms = static_cast<std::int64_t>(random_.below(3) * 50);
    row.through_redis = random_.chance(50);
    row.origin = kOrigins[random_.below(5)];
  }

  Random random_;
  std::map<FullKey, BackupRow> rows_;
};

struct Seen {
  std::map<BackupOutcome, int> outcomes;
  int together = 0, undone = 0, buried = 0;
};

void expect_written(const std::vector<BackupWritten>& written, const BackupBatch& batch,
                    const std::vector<AppliedWrite>& want, bool undone) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    ASSERT_EQ(written[i].outcome, want[i].outcome)
        << "write " << i << " of " << want.size() << ", kind "
        << static_cast<int>(batch.writes[i].kind);
    EXPECT_EQ(written[i].incarnation, want[i].row.incarnation);
    if (want[i].outcome != BackupOutcome::applied) {
      expect_same(written[i].current, want[i].row);
      EXPECT_EQ(written[i].change, written[i].current.change);
    } else {
      EXPECT_EQ(written[i].change == 0, undone);
    }
  }
}

void expect_as_in_model(BackupClient& client, Model& model, std::size_t count, bool together,
                        Seen& seen) {
  BackupBatch batch{.together = together};
  std::set<FullKey> named;
  while (batch.writes.size() < count) {
    BackupWrite write = model.random_write();
    if (named.insert(write.row.key).second || !together) batch.writes.push_back(std::move(write));
  }
  std::vector<AppliedWrite> want;
  bool all = true;
  for (const BackupWrite& write : batch.writes) {
    want.push_back(together ? model.would_apply(write) : model.apply(write));
    all = all && want.back().outcome == BackupOutcome::applied;
    ++seen.outcomes[want.back().outcome];
    seen.buried += write.kind == Kind::bury && want.back().outcome == BackupOutcome::applied &&
                           want.back().row.incarnation != write.row.incarnation
                       ? 1
                       : 0;
  }
  for (std::size_t i = 0; together && all && i < want.size(); ++i) model.apply(batch.writes[i]);
  seen.together += together && all ? 1 : 0;
  seen.undone += together && !all ? 1 : 0;
  const auto written = client.write_batch(batch);
  ASSERT_EQ(written.size(), want.size()) << client.last_error.message;
  expect_written(written, batch, want, together && !all);
}

TYPED_TEST(BackupRandom, RandomWritesDoWhatTheRuleSays) {
  BackupClient& client = *this->client_;
  Model model(11);
  Random sizes(12);
  Seen seen;
  FeedCursor cursor;
  std::map<FullKey, BackupRow> followed;
  for (int round = 0; round < 400 && !::testing::Test::HasFailure(); ++round) {
    const bool together = round % 3 == 2;
    const auto most = together ? 2u : round % 10 == 0 ? 60u : 6u;
    expect_as_in_model(client, model, 1 + sizes.below(most), together, seen);
    if (round % 5 != 0) continue;
    for (BackupRow& row : client.feed_all(cursor, 7)) followed[row.key] = row;
    ASSERT_EQ(followed.size(), model.count());
    for (const auto& [name, row] : followed) expect_same(row, model.rows()[name]);
  }
  std::vector<FullKey> keys;
  for (const auto& [name, row] : model.rows()) keys.push_back(name);
  const auto rows = client.read(keys);
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t i = 0; i < rows.size(); ++i) expect_same(rows[i], model.rows()[keys[i]]);
  // Or this says nothing.
  EXPECT_GT(seen.outcomes[BackupOutcome::applied], 300);
  EXPECT_GT(seen.outcomes[BackupOutcome::superseded], 150);
  EXPECT_GT(seen.outcomes[BackupOutcome::conflict], 100);
  EXPECT_GT(seen.together, 15);
  EXPECT_GT(seen.undone, 15);
  EXPECT_GT(seen.buried, 3);
}

}  // namespace
}  // namespace stayd::test
