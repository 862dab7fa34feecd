// What every shared backup shows of changes, hosts and itself, whatever it is made of.
#include <gtest/gtest.h>

#include "base/random.h"
#include "store/backup/behaviour.h"

namespace stayd::test {
namespace {

using namespace std::string_literals;
using Kind = BackupWrite::Kind;

template <class Subject>
class BackupFeed : public BackupTest<Subject> {};
TYPED_TEST_SUITE(BackupFeed, BackupSubjects, BackupNames);

TYPED_TEST(BackupFeed, TheFeedShowsEachRowsLatestInOrder) {
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

TYPED_TEST(BackupFeed, AFeedOfManyRowsOfOneChangeIsPaged) {
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
TYPED_TEST(BackupFeed, ChangesBetweenPagesAreShown) {
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

TYPED_TEST(BackupFeed, ACursorThatDoesNotReadBeginsAnew) {
  BackupClient& client = *this->client_;
  client.write_one(put_row(live_row(key("a"), 1, "v")));
  FeedCursor cursor;
  client.feed_all(cursor);
  for (FeedCursor wrong : {"nonsense"s, "another" + cursor, cursor + "x", "\0\xff"s}) {
    EXPECT_EQ(client.feed_all(wrong).size(), 1U);
    EXPECT_TRUE(client.feed_all(wrong).empty());
  }
}

TYPED_TEST(BackupFeed, OneStaydIsToldWhatAnotherOneRemoved) {
  const auto other = this->subject_.connect();
  other->write_one(put_row(live_row(key("a"), 1, "v")));
  FeedCursor cursor;
  EXPECT_EQ(this->client_->feed_all(cursor).size(), 1U);
  const int& hints = this->client_->recorder.hints;
  if (TypeParam::kHints) this->client_->until_true([&] { return hints > 0; });  // it is listening
  const int before = hints;
  other->write_one(put_row(tomb_row(key("a"), 2)));
  if (TypeParam::kHints) this->client_->until_true([&] { return hints != before; });
  const auto rows = this->client_->feed_all(cursor);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].state, RowState::tomb);
}

TYPED_TEST(BackupFeed, StatusSaysUpAndWhichEpoch) {
  this->client_->read({key("a")});
  const BackupStatus status = this->client_->backup().status();
  EXPECT_TRUE(status.up);
  EXPECT_TRUE(status.writable);
  EXPECT_NE(status.epoch, "");
  ASSERT_FALSE(this->client_->recorder.statuses.empty());
  EXPECT_TRUE(this->client_->recorder.statuses.back().up);
}

// -- hosts ----------------------------------------------------------------------------------------

BackupHost host(Hlc hlc, bool trusts_redis, Hlc shipped_to) {
  return {.instance = 0xffff'0000'0000'0007,
          .name = "web-1\xff"s,
          .hlc = hlc,
          .trusts_redis = trusts_redis,
          .shipped_to = shipped_to};
}

TYPED_TEST(BackupFeed, HostsComeWithTheFeed) {
  BackupClient& client = *this->client_;
  FeedCursor cursor;
  client.feed_all(cursor);
  ASSERT_TRUE(client.hosts);
  EXPECT_TRUE(client.hosts->hosts.empty());
  EXPECT_NEAR(static_cast<double>(client.hosts->clock_ms), static_cast<double>(real_now().wall_ms),
              60'000.0);
  client.write_batch({.host = host(5, true, 4)});
  client.write_batch({.writes = {put_row(live_row(key("a"), 1, "v"))},
                      .host = BackupHost{.instance = 1, .hlc = 9}});
  EXPECT_EQ(client.feed_all(cursor).size(), 1U);
  ASSERT_EQ(client.hosts->hosts.size(), 2U);
  EXPECT_EQ(client.hosts->hosts[0].instance, 1U);
  EXPECT_EQ(client.hosts->hosts[0].name, "");
  const BackupHost& got = client.hosts->hosts[1];
  EXPECT_EQ(got.instance, 0xffff'0000'0000'0007);
  EXPECT_EQ(got.name, "web-1\xff"s);
  EXPECT_EQ(got.hlc, 5U);
  EXPECT_TRUE(got.trusts_redis);
  EXPECT_EQ(got.shipped_to, 4U);
  EXPECT_LE(got.seen_ms, client.hosts->clock_ms);
  EXPECT_GT(got.seen_ms, client.hosts->clock_ms - 60'000);
}

// It was given up, and is executed late: the host has said something else since.
TYPED_TEST(BackupFeed, AHostsEntryNeverGoesBack) {
  BackupClient& client = *this->client_;
  client.write_batch({.host = host(5, false, 4)});
  client.write_batch({.host = host(4, true, 9)});
  client.write_batch({.host = host(5, true, 9)});
  FeedCursor cursor;
  client.feed_all(cursor);
  ASSERT_EQ(client.hosts->hosts.size(), 1U);
  EXPECT_FALSE(client.hosts->hosts[0].trusts_redis);
  EXPECT_EQ(client.hosts->hosts[0].shipped_to, 4U);
}

// "Trusts again" may be believed only by those who have what was written before (B7): what a page
// says of hosts is older than every row that the reading brings up to its end.
TYPED_TEST(BackupFeed, NoEntryIsAheadOfTheRows) {
  BackupClient& client = *this->client_;
  const auto other = this->subject_.connect();
  for (int i = 0; i < 9; ++i) {
    other->write_one(put_row(live_row(key(std::to_string(i)), 1, "v")));
  }
  other->write_batch({.host = host(1, false, 1)});
  FeedCursor cursor;
  std::set<FullKey> seen;
  std::optional<BackupHosts> hosts;
  bool more = true;
  for (Hlc page_number = 0; more; ++page_number) {
    const FeedPage page = client.feed(cursor, 2);
    for (const BackupRow& row : page.rows) seen.insert(row.key);
    if (page.hosts) hosts = page.hosts;
    cursor = page.next;
    more = page.more;
    if (!more || page_number != 1) continue;
    other->write_one(put_row(live_row(key("late"), 1, "v")));
    other->write_batch({.host = host(2, true, 2)});
  }
  ASSERT_TRUE(hosts && hosts->hosts.size() == 1);
  EXPECT_TRUE(seen.contains(key("late")) || !hosts->hosts[0].trusts_redis);
  for (const BackupRow& row : client.feed_all(cursor)) seen.insert(row.key);
  EXPECT_TRUE(seen.contains(key("late")));
  EXPECT_TRUE(client.hosts && client.hosts->hosts[0].trusts_redis);
}

}  // namespace
}  // namespace stayd::test
