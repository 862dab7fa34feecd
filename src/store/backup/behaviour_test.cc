// What every shared backup does, whatever it is made of.
#include <gtest/gtest.h>

#include "base/random.h"
#include "store/backup/apply_write.h"
#include "store/test_backups.h"

namespace stayd::test {
namespace {

using namespace std::string_literals;
using Kind = BackupWrite::Kind;

// `change` aside, which the backup gives.
void expect_same(const BackupRow& got, const BackupRow& want) {
  EXPECT_EQ(got.state, want.state);
  if (want.state == RowState::absent) return;
  EXPECT_EQ(got.key, want.key);
  EXPECT_EQ(got.incarnation, want.incarnation);
  EXPECT_EQ(got.hlc, want.hlc);
  EXPECT_EQ(got.touched_hlc, want.touched_hlc);
  EXPECT_TRUE(got.record == want.record) << text_of(got) << " " << text_of(want);
  EXPECT_EQ(got.record.expires_at_ms, want.record.expires_at_ms);
  EXPECT_EQ(got.created_at_ms, want.created_at_ms);
  EXPECT_EQ(got.tomb_until_ms, want.tomb_until_ms);
  EXPECT_EQ(got.confirmed, want.confirmed);
  EXPECT_EQ(got.origin, want.origin);
  EXPECT_EQ(got.unreadable, "");
}

template <class Subject>
class BackupBehaviour : public ::testing::Test {
 protected:
  Subject subject_;
  std::unique_ptr<BackupClient> client_ = subject_.connect();
};

class Names {
 public:
  template <class Subject>
  static std::string GetName(int) {
    return Subject::kName;
  }
};
TYPED_TEST_SUITE(BackupBehaviour, BackupSubjects, Names);

FullKey key(const std::string& name) {
  return full_key(0, name);
}

TYPED_TEST(BackupBehaviour, ARowComesBackAsItWasWritten) {
  BackupRow row = live_row(key("a\0\xff\n"s), 5, "v\0\xff"s, 1'234);
  row.incarnation = 0xffffffff;
  row.created_at_ms = 77;
  row.confirmed = true;
  row.origin = "host\xff\0"s;
  const BackupWritten written = this->client_->write_one(put_row(row));
  EXPECT_EQ(written.outcome, BackupOutcome::applied);
  EXPECT_GT(written.change, 0U);
  const BackupRow got = this->client_->read_one(row.key);
  expect_same(got, row);
  EXPECT_EQ(got.change, written.change);
}

TYPED_TEST(BackupBehaviour, EveryTypeOfValueComesBack) {
  SortedSetValue zset;
  zset.set("m", 1.5);
  const decltype(Record::value) values[] = {""s, HashValue{{"f", "v\0"s}}, SetValue{"m"}, zset,
                                            OpaqueValue{"d"}};
  for (const auto& value : values) {
    BackupRow row = live_row(key("k" + std::to_string(value.index())), 1, "");
    row.record.value = value;
    this->client_->write_one(put_row(row));
    expect_same(this->client_->read_one(row.key), row);
  }
}

TYPED_TEST(BackupBehaviour, AbsentKeysAreReadInTheirPlace) {
  this->client_->write({put_row(live_row(key("b"), 1, "B"))});
  const auto rows = this->client_->read({key("a"), key("b"), key("c"), key("b")});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].state, RowState::absent);
  EXPECT_EQ(rows[0].key, key("a"));
  EXPECT_EQ(text_of(rows[1]), "B");
  EXPECT_EQ(rows[2].state, RowState::absent);
  EXPECT_EQ(text_of(rows[3]), "B");
}

TYPED_TEST(BackupBehaviour, NothingAtAllIsDoneToo) {
  EXPECT_TRUE(this->client_->write({}).empty());
  EXPECT_EQ(this->client_->last_error.message, "");
  EXPECT_TRUE(this->client_->read({}).empty());
  EXPECT_EQ(this->client_->last_error.message, "");
}

TYPED_TEST(BackupBehaviour, ATombstoneWinsWithinItsIncarnation) {
  BackupClient& client = *this->client_;
  client.write_one(put_row(live_row(key("a"), 9, "v")));
  EXPECT_EQ(client.write_one(put_row(tomb_row(key("a"), 7, 99))).outcome, BackupOutcome::applied);
  const BackupWritten late = client.write_one(put_row(live_row(key("a"), 11, "late")));
  EXPECT_EQ(late.outcome, BackupOutcome::superseded);
  EXPECT_EQ(late.current.state, RowState::tomb);
  EXPECT_EQ(late.current.tomb_until_ms, 99);
  BackupRow next = live_row(key("a"), 12, "next");
  next.incarnation = 1;
  EXPECT_EQ(client.write_one(put_row(next)).outcome, BackupOutcome::applied);
}

TYPED_TEST(BackupBehaviour, ATouchDoesNotStandInTheWayOfAValue) {
  BackupClient& client = *this->client_;
  client.write_one(put_row(live_row(key("a"), 5, "old", 100)));
  client.write_one({Kind::touch, live_row(key("a"), 10, "", 500), {}});
  // Written before the touch by another host, and here only now.
  EXPECT_EQ(client.write_one(put_row(live_row(key("a"), 9, "new", 300))).outcome,
            BackupOutcome::applied);
  BackupRow want = live_row(key("a"), 9, "new", 500);
  want.touched_hlc = 10;
  expect_same(client.read_one(key("a")), want);
  // A touch older than the value says nothing about it.
  EXPECT_EQ(client.write_one({Kind::touch, live_row(key("a"), 8, "", 900), {}}).outcome,
            BackupOutcome::superseded);
}

TYPED_TEST(BackupBehaviour, AKeyNamedAgainSeesWhatCameBefore) {
  std::vector<BackupWrite> writes{put_row(live_row(key("a"), 1, "1"), 0),
                                  put_row(live_row(key("b"), 1, "b"), 0),
                                  put_row(live_row(key("a"), 2, "2"), 1),
                                  put_row(live_row(key("a"), 3, "3"), 1),
                                  {Kind::touch, live_row(key("a"), 4, "", 50), {}},
                                  put_row(tomb_row(key("a"), 2), 2),
                                  put_row(live_row(key("a"), 8, "late"))};
  const auto written = this->client_->write(writes);
  ASSERT_EQ(written.size(), writes.size());
  const BackupOutcome want[] = {BackupOutcome::applied,   BackupOutcome::applied,
                                BackupOutcome::applied,   BackupOutcome::conflict,
                                BackupOutcome::applied,   BackupOutcome::applied,
                                BackupOutcome::superseded};
  for (std::size_t i = 0; i < written.size(); ++i) EXPECT_EQ(written[i].outcome, want[i]) << i;
  EXPECT_EQ(text_of(written[3].current), "2");
  EXPECT_EQ(written[6].current.state, RowState::tomb);
  EXPECT_EQ(this->client_->read_one(key("a")).state, RowState::tomb);
}

TYPED_TEST(BackupBehaviour, LimitsAreNamedAndNothingIsDone) {
  BackupClient& client = *this->client_;
  std::vector<BackupWrite> writes{put_row(live_row(key("a"), 1, "v")),
                                  put_row(live_row(key(std::string(1024, 'x')), 1, "v"))};
  EXPECT_TRUE(client.write(writes).empty());
  EXPECT_EQ(client.last_error.code, Errc::limit);
  EXPECT_EQ(client.last_error.message, "backup: row 1: key of 1025 bytes, at most 1024");
  EXPECT_EQ(client.read_one(key("a")).state, RowState::absent);
  writes.assign(1025, put_row(live_row(key("a"), 1, "v")));
  EXPECT_TRUE(client.write(writes).empty());
  EXPECT_EQ(client.last_error.code, Errc::limit);
  EXPECT_TRUE(client.read({std::vector<FullKey>(1025, key("a"))}).empty());
  EXPECT_EQ(client.last_error.code, Errc::limit);
}

TYPED_TEST(BackupBehaviour, ALongKeyAndALargeValue) {
  std::string value(16 << 20, '\0');
  Random random(3);
  for (char& c : value) c = static_cast<char>(random.next());
  const BackupRow row = live_row(key(std::string(1023, '\xff')), 1, value);
  EXPECT_EQ(this->client_->write_one(put_row(row)).outcome, BackupOutcome::applied);
  expect_same(this->client_->read_one(row.key), row);
  FeedCursor cursor;
  const auto rows = this->client_->feed_all(cursor);
  ASSERT_EQ(rows.size(), 1U);
  expect_same(rows[0], row);
}

// -- a model beside it ----------------------------------------------------------------------------

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  BackupWrite random_write() {
    BackupWrite write;
    write.kind = random_.chance(60) ? Kind::put : random_.chance(50) ? Kind::touch : Kind::confirm;
    BackupRow& row = write.row;
    const BackupRow& there = rows_[random_key()];
    // Near what is there, so that each rule decides often.
    row = random_.chance(60) && there.state != RowState::absent ? there : BackupRow{};
    row.key = there.key;
    row.change = 0;
    if (row.state == RowState::absent || random_.chance(50)) mutate(row, there);
    if (random_.chance(30)) {
      write.expected = random_.chance(60) ? there.hlc : random_.below(4) * 4;
    }
    if (write.kind == Kind::put && row.state == RowState::live && !row.record.exists()) {
      row.record.value = "again " + std::to_string(row.hlc);
    }
    return write;
  }

  AppliedWrite apply(const BackupWrite& write) {
    AppliedWrite applied = apply_write(rows_[write.row.key], write);
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
    row.confirmed = random_.chance(50);
    row.origin = random_.chance(50) ? "one" : "two";
  }

  Random random_;
  std::map<FullKey, BackupRow> rows_;
};

void expect_as_in_model(BackupClient& client, Model& model, std::size_t batch,
                        std::map<BackupOutcome, int>& outcomes) {
  std::vector<BackupWrite> writes;
  std::vector<AppliedWrite> want;
  for (std::size_t i = 0; i < batch; ++i) {
    writes.push_back(model.random_write());
    want.push_back(model.apply(writes.back()));
  }
  const auto written = client.write(writes);
  ASSERT_EQ(written.size(), want.size()) << client.last_error.message;
  for (std::size_t i = 0; i < written.size(); ++i) {
    ASSERT_EQ(written[i].outcome, want[i].outcome)
        << "write " << i << " of " << batch << ", kind " << static_cast<int>(writes[i].kind);
    ++outcomes[want[i].outcome];
    if (want[i].outcome == BackupOutcome::applied) continue;
    expect_same(written[i].current, want[i].row);
  }
}

TYPED_TEST(BackupBehaviour, RandomWritesDoWhatTheRuleSays) {
  BackupClient& client = *this->client_;
  Model model(11);
  Random sizes(12);
  std::map<BackupOutcome, int> outcomes;
  FeedCursor cursor;
  std::map<FullKey, BackupRow> followed;
  for (int round = 0; round < 300 && !::testing::Test::HasFailure(); ++round) {
    expect_as_in_model(client, model, 1 + sizes.below(round % 10 == 0 ? 60 : 6), outcomes);
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
  EXPECT_GT(outcomes[BackupOutcome::applied], 300);
  EXPECT_GT(outcomes[BackupOutcome::superseded], 150);
  EXPECT_GT(outcomes[BackupOutcome::conflict], 100);
}

// -- feed -----------------------------------------------------------------------------------------

TYPED_TEST(BackupBehaviour, TheFeedShowsEachRowsLatestInOrder) {
  BackupClient& client = *this->client_;
  FeedCursor cursor;
  EXPECT_TRUE(client.feed_all(cursor).empty());
  for (int i = 0; i < 10; ++i) {
    client.write_one(put_row(live_row(key(std::to_string(i)), 1, "v")));
  }
  const BackupWritten last = client.write_one(put_row(live_row(key("3"), 2, "again")));
  const auto rows = client.feed_all(cursor, 4);
  ASSERT_EQ(rows.size(), 10U);
  for (std::size_t i = 1; i < rows.size(); ++i) EXPECT_LE(rows[i - 1].change, rows[i].change);
  EXPECT_EQ(rows.back().key, key("3"));
  EXPECT_EQ(text_of(rows.back()), "again");
  EXPECT_GE(client.complete_to, last.change);
  EXPECT_TRUE(client.feed_all(cursor).empty());
  client.write({put_row(tomb_row(key("7"), 1)), put_row(live_row(key("3"), 1, "old"))});
  const auto more = client.feed_all(cursor);
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(more[0].key, key("7"));
}

TYPED_TEST(BackupBehaviour, AFeedOfManyRowsOfOneChangeIsPaged) {
  std::vector<BackupWrite> writes;
  for (int i = 0; i < 500; ++i) writes.push_back(put_row(live_row(key(std::to_string(i)), 1, "v")));
  this->client_->write(writes);
  for (const std::size_t limit : {std::size_t{1000}, std::size_t{500}, std::size_t{7}}) {
    FeedCursor cursor;
    std::set<FullKey> seen;
    for (const BackupRow& row : this->client_->feed_all(cursor, limit)) {
      EXPECT_TRUE(seen.insert(row.key).second);
    }
    EXPECT_EQ(seen.size(), 500U) << limit;
  }
}

// A row that is changed while it is being paged over is shown, in the old place or behind.
TYPED_TEST(BackupBehaviour, ChangesBetweenPagesAreShown) {
  BackupClient& client = *this->client_;
  std::map<FullKey, Hlc> want, got;
  for (int i = 0; i < 40; ++i) {
    want[key(std::to_string(i))] = 1;
    client.write_one(put_row(live_row(key(std::to_string(i)), 1, "v")));
  }
  Random random(5);
  FeedCursor cursor;
  for (int page = 0; page < 200; ++page) {
    const FeedPage got_page = client.feed(cursor, 3);
    for (const BackupRow& row : got_page.rows) got[row.key] = row.hlc;
    cursor = got_page.next;
    if (page > 60) {
      if (!got_page.more) break;
      continue;
    }
    const FullKey name = key(std::to_string(random.below(50)));
    client.write_one(put_row(live_row(name, ++want[name], "w")));
  }
  EXPECT_EQ(got, want);
}

TYPED_TEST(BackupBehaviour, ACursorThatDoesNotReadBeginsAnew) {
  BackupClient& client = *this->client_;
  client.write_one(put_row(live_row(key("a"), 1, "v")));
  FeedCursor cursor;
  client.feed_all(cursor);
  for (FeedCursor wrong : {"nonsense"s, "another" + cursor, cursor + "x", "\0\xff"s}) {
    EXPECT_EQ(client.feed_all(wrong).size(), 1U);
    EXPECT_TRUE(client.feed_all(wrong).empty());
  }
}

TYPED_TEST(BackupBehaviour, OneStaydIsToldWhatAnotherOneRemoved) {
  const auto other = this->subject_.connect();
  other->write_one(put_row(live_row(key("a"), 1, "v")));
  FeedCursor cursor;
  EXPECT_EQ(this->client_->feed_all(cursor).size(), 1U);
  const int hints = this->client_->recorder.hints;
  other->write_one(put_row(tomb_row(key("a"), 2)));
  while (this->client_->recorder.hints == hints) this->client_->settle();
  const auto rows = this->client_->feed_all(cursor);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].state, RowState::tomb);
}

TYPED_TEST(BackupBehaviour, StatusSaysUpAndWhichEpoch) {
  this->client_->read({key("a")});
  const BackupStatus status = this->client_->backup().status();
  EXPECT_TRUE(status.up);
  EXPECT_TRUE(status.writable);
  EXPECT_NE(status.epoch, "");
  ASSERT_FALSE(this->client_->recorder.statuses.empty());
  EXPECT_TRUE(this->client_->recorder.statuses.back().up);
}

}  // namespace
}  // namespace stayd::test
