// What every shared backup does with rows, whatever it is made of.
#include "store/backup/behaviour.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace stayd::test {
namespace {

using namespace std::string_literals;
using Kind = BackupWrite::Kind;

template <class Subject>
class BackupBehaviour : public BackupTest<Subject> {};
TYPED_TEST_SUITE(BackupBehaviour, BackupSubjects, BackupNames);

TYPED_TEST(BackupBehaviour, ARowComesBackAsItWasWritten) {
  BackupRow row = live_row(key("a\0\xff\n"s), 5, "v\0\xff"s, 1'234);
  row.incarnation = 0xffffffff;
  row.created_at_ms = 77;
  row.through_redis = true;
  row.origin = 0x8000'0000'0000'0001;
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
  std::vector<BackupWrite> writes{put_row(live_row(key("a"), 1, "1"), kNone),
                                  put_row(live_row(key("b"), 1, "b"), kNone),
                                  put_row(live_row(key("a"), 2, "2"), Version{1, 1}),
                                  put_row(live_row(key("a"), 3, "3"), Version{1, 1}),
                                  {Kind::touch, live_row(key("a"), 4, "", 50), {}},
                                  put_row(tomb_row(key("a"), 2), Version{2, 1}),
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
  std::string value(TypeParam::kLargeValue, '\0');
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

// -- versions, and all or nothing -----------------------------------------------------------------

TYPED_TEST(BackupBehaviour, AVersionIsMoreThanItsClock) {
  BackupClient& client = *this->client_;
  for (std::size_t i = 0; i < std::size(kOrigins); ++i) {
    BackupRow row = live_row(key("a"), 5, std::to_string(i));
    row.origin = kOrigins[i];
    EXPECT_EQ(client.write_one(put_row(row)).outcome, BackupOutcome::applied) << i;
    for (std::size_t older = 0; older <= i; ++older) {
      row.origin = kOrigins[older];
      EXPECT_EQ(client.write_one(put_row(row)).outcome, BackupOutcome::superseded) << i << older;
    }
    EXPECT_EQ(client.read_one(key("a")).origin, kOrigins[i]);
  }
  BackupRow next = live_row(key("a"), 6, "next");
  const std::uint64_t there = kOrigins[4];
  EXPECT_EQ(client.write_one(put_row(next, Version{5, 1})).outcome, BackupOutcome::conflict);
  EXPECT_EQ(client.write_one(put_row(next, Version{5, there})).outcome, BackupOutcome::applied);
}

TYPED_TEST(BackupBehaviour, ATombstoneIsNotReplacedByOneOfItsIncarnation) {
  BackupClient& client = *this->client_;
  client.write_one(put_row(tomb_row(key("a"), 5, 99)));
  const BackupWritten again = client.write_one(put_row(tomb_row(key("a"), 9, 500)));
  EXPECT_EQ(again.outcome, BackupOutcome::superseded);
  EXPECT_EQ(again.current.hlc, 5U);
  EXPECT_EQ(client.write_one(put_row(tomb_row(key("a"), 9), Version{5, 1})).outcome,
            BackupOutcome::superseded);
}

TYPED_TEST(BackupBehaviour, ALogoutThatHasSeenNoRowBuriesWhatIsOlder) {
  BackupClient& client = *this->client_;
  BackupRow live = live_row(key("a"), 5, "v");
  live.incarnation = 3;
  client.write({put_row(live), put_row(live_row(key("younger"), 9, "v"))});
  BackupWrite logouts[] = {put_row(tomb_row(key("a"), 6, 99)), put_row(tomb_row(key("none"), 6)),
                           put_row(tomb_row(key("younger"), 6))};
  for (BackupWrite& logout : logouts) logout.kind = Kind::bury;
  const auto written = client.write({logouts[0], logouts[1], logouts[2]});
  ASSERT_EQ(written.size(), 3U);
  EXPECT_EQ(written[0].outcome, BackupOutcome::applied);
  EXPECT_EQ(written[0].incarnation, 3U);
  EXPECT_EQ(written[1].outcome, BackupOutcome::applied);
  EXPECT_EQ(written[2].outcome, BackupOutcome::superseded);
  BackupRow want = tomb_row(key("a"), 6, 99);
  want.incarnation = 3;
  expect_same(client.read_one(key("a")), want);
  expect_same(client.read_one(key("none")), tomb_row(key("none"), 6));
}

TYPED_TEST(BackupBehaviour, TogetherIsAllOrNothing) {
  BackupClient& client = *this->client_;
  client.write({put_row(live_row(key("a"), 5, "A")), put_row(live_row(key("b"), 5, "B"))});
  FeedCursor cursor;
  client.feed_all(cursor);
  BackupBatch rename{.together = true};
  rename.writes = {put_row(tomb_row(key("a"), 6)), put_row(live_row(key("b"), 6, "A"), kNone),
                   put_row(live_row(key("c"), 6, "C"), kNone)};
  rename.host = BackupHost{.instance = 7, .hlc = 1};
  const auto undone = client.write_batch(rename);
  EXPECT_EQ(client.last_error.message, "");
  ASSERT_EQ(undone.size(), 3U);
  EXPECT_EQ(undone[0].outcome, BackupOutcome::applied);
  EXPECT_EQ(undone[0].change, 0U);
  EXPECT_EQ(undone[1].outcome, BackupOutcome::conflict);
  EXPECT_EQ(text_of(undone[1].current), "B");
  EXPECT_EQ(undone[2].outcome, BackupOutcome::applied);
  EXPECT_TRUE(client.feed_all(cursor).empty());
  EXPECT_TRUE(client.hosts && client.hosts->hosts.empty());
  EXPECT_EQ(text_of(client.read_one(key("a"))), "A");

  rename.writes[1].expected = Version{5, 1};
  for (const BackupWritten& one : client.write_batch(rename)) {
    EXPECT_EQ(one.outcome, BackupOutcome::applied);
    EXPECT_GT(one.change, 0U);
  }
  EXPECT_EQ(client.feed_all(cursor).size(), 3U);
  EXPECT_TRUE(client.hosts && client.hosts->hosts.size() == 1);
  EXPECT_EQ(text_of(client.read_one(key("b"))), "A");
}

TYPED_TEST(BackupBehaviour, WhatIsNoBatchIsRefused) {
  BackupClient& client = *this->client_;
  const BackupWrite one = put_row(live_row(key("a"), 1, "v"));
  BackupWrite no_logout = one;
  no_logout.kind = Kind::bury;
  const std::pair<BackupBatch, const char*> cases[] = {
      {{.writes = {one, one}, .together = true},
       "backup: a key twice in what is to be written together"},
      {{.writes = {no_logout}}, "backup: row 0: a burial, and not of a tombstone alone"},
      {{.host = BackupHost{}}, "backup: a host without an instance"},
      {{.host = BackupHost{.instance = 1, .name = std::string(256, 'x')}},
       "backup: a host's name of 256 bytes, at most 255"},
  };
  for (const auto& [batch, message] : cases) {
    EXPECT_TRUE(client.write_batch(batch).empty());
    EXPECT_EQ(client.last_error.message, message);
  }
  EXPECT_EQ(client.read_one(key("a")).state, RowState::absent);
}

}  // namespace
}  // namespace stayd::test
