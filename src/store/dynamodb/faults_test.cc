// What the backup does when DynamoDB does not.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/test_backups.h"

namespace stayd::test {
namespace {

FullKey key(const std::string& name) {
  return full_key(0, name);
}

class DynamodbFaults : public ::testing::Test {
 protected:
  ~DynamodbFaults() override {
    server_.thaw();
    server_.set_faults("{}");
  }
  static DynamodbServer& durable() {
    static DynamodbServer server(true);
    return server;
  }
  BackupStatus status() { return client_.status(); }
  void until_up() {
    wait_for([this] { return status().up; }, "up");
  }
  void until_down() {
    wait_for([this] { return !status().up; }, "down");
  }
  void expect_says(const BackupOptions& options, const std::string& text) {
    DatabaseClient client(options);
    client.read({key("a")});
    EXPECT_EQ(client.last_error.code, Errc::unavailable);
    EXPECT_NE(client.last_error.message.find(text), std::string::npos) << client.last_error.message;
    EXPECT_FALSE(client.status().up);
  }

  DynamodbServer& server_ = durable();
  const std::string table_ = server_.make_table();
  DatabaseClient client_{server_.options(table_)};
};

TEST_F(DynamodbFaults, KilledItIsOutAtOnceAndComesBackWithWhatWasAcknowledged) {
  client_.read({});
  int acknowledged = 0;
  std::thread killer([this] { server_.kill(); });
  for (int i = 0; i < 100'000 && status().up; ++i) {
    if (client_.write({put_row(live_row(key(std::to_string(i)), 1, "v"))}).empty()) break;
    acknowledged = i + 1;
  }
  killer.join();
  until_down();
  client_.read({key("0")});
  EXPECT_EQ(client_.last_error.code, Errc::unavailable) << client_.last_error.message;
  EXPECT_NE(status().error, "");
  server_.start();
  until_up();
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_EQ(client_.read_one(key(std::to_string(i))).state, RowState::live) << i;
  }
}

TEST_F(DynamodbFaults, FrozenItIsReportedAtTheDeadline) {
  client_.read({});
  client_.deadline_ms = 300;
  server_.freeze();
  const std::int64_t from = real_now().mono_us;
  EXPECT_TRUE(client_.write({put_row(live_row(key("a"), 1, "v"))}).empty());
  const std::int64_t took_ms = (real_now().mono_us - from) / 1000;
  EXPECT_EQ(client_.last_error.code, Errc::timed_out) << client_.last_error.message;
  EXPECT_GE(took_ms, 299);
  EXPECT_LT(took_ms, 2'000);
  until_down();  // the look finds no answer either
  server_.thaw();
  client_.deadline_ms = 20'000;
  until_up();
  EXPECT_EQ(client_.write_one(put_row(live_row(key("a"), 2, "w"))).outcome, BackupOutcome::applied);
  EXPECT_EQ(text_of(client_.read_one(key("a"))), "w");
}

// It is found out whether it was executed, and then it no longer counts as under way.
TEST_F(DynamodbFaults, WhatWasGivenUpIsSettledByTheNextLook) {
  client_.read({});
  DynamodbTable table(server_, table_);
  client_.deadline_ms = 250;
  server_.set_faults(R"({"delay_ms": 100})");  // three answers, and it is late
  EXPECT_TRUE(client_.write({put_row(live_row(key("a"), 1, "v"))}).empty());
  EXPECT_EQ(client_.last_error.code, Errc::timed_out) << client_.last_error.message;
  server_.set_faults("{}");
  client_.deadline_ms = 20'000;
  wait_for([&] { return client_.read({key("a")}).size() == 1; }, "read");
  wait_for([&] { return table.head().under_way.empty(); }, "settled");
  const auto left = table.head();
  FeedCursor cursor;
  const auto rows = client_.feed_all(cursor);
  EXPECT_EQ(rows.size(), client_.read_one(key("a")).state == RowState::live ? 1U : 0U);
  EXPECT_EQ(client_.complete_to, left.last);
}

TEST_F(DynamodbFaults, ThrottledAndHalfAnsweredItIsAskedAgain) {
  std::vector<BackupWrite> writes;
  std::vector<FullKey> keys;
  for (int i = 0; i < 150; ++i) {
    keys.push_back(key(std::to_string(i)));
    writes.push_back(put_row(live_row(keys.back(), 1, "v")));
  }
  server_.set_faults(R"({"throttle": 0.3, "failing": 0.1, "unprocessed": 0.5})");
  const auto written = client_.write(writes);
  ASSERT_EQ(written.size(), 150U) << client_.last_error.message;
  for (const BackupWritten& one : written) EXPECT_EQ(one.outcome, BackupOutcome::applied);
  for (const BackupRow& row : client_.read(keys)) EXPECT_EQ(row.state, RowState::live);
  FeedCursor cursor;
  EXPECT_EQ(client_.feed_all(cursor, 60).size(), 150U);
}

// Executed, and nobody is told: sent again, each write finds itself.
TEST_F(DynamodbFaults, LostAnswersAreNoConflicts) {
  server_.set_faults(R"({"lose": 0.1})");
  DynamodbTable table(server_, table_);
  Hlc hlc = 0;
  int done = 0, refused = 0;
  for (int i = 0; i < 60; ++i) {
    const std::optional<Version> expected = hlc == 0 ? Version{} : Version{hlc, 1};
    BackupBatch batch;
    batch.together = i % 2 == 0;
    batch.writes = {put_row(live_row(key("a"), hlc + 1, std::to_string(i)), expected),
                    put_row(live_row(key("b"), hlc + 1, std::to_string(i)), expected)};
    const auto written = client_.write_batch(batch);
    if (written.empty()) {  // the connection was given up: look what has become of it
      wait_for([&] { return client_.read({key("a")}).size() == 1; }, "read");
      wait_for([&] { return table.head().under_way.empty(); }, "settled");
      hlc = client_.read_one(key("a")).hlc;
      const Hlc other = client_.read_one(key("b")).hlc;
      if (other != hlc) client_.write({put_row(live_row(key("b"), hlc, "again"))});
      ++refused;
      continue;
    }
    for (const BackupWritten& one : written) {
      ASSERT_EQ(one.outcome, BackupOutcome::applied) << i << " " << one.current.hlc << " " << hlc;
      EXPECT_GT(one.change, 0U);
    }
    ++hlc;
    ++done;
  }
  EXPECT_GT(done, 20) << refused;
}

TEST_F(DynamodbFaults, AnswersThatAreNoneAreErrorsAndNothingElse) {
  client_.read({});
  for (const char* answer :
       {"", "<html>", "[]", "{", "{\"Responses\":7}", "{\"Responses\":{\"TABLE\":[7]}}",
        "{\"Responses\":{\"TABLE\":[{\"k\":{\"S\":\"x\"}}]}}",
        "{\"Responses\":{},\"UnprocessedKeys\":{\"TABLE\":7}}",
        "{\"Responses\":{},\"UnprocessedKeys\":{\"TABLE\":{\"Keys\":[7]}}}", "{\"Item\":[]}",
        "{\"Items\":{}}", "{\"Attributes\":{\"n\":{\"N\":\"x\"}}}"}) {
    std::string text(answer);
    if (const auto at = text.find("TABLE"); at != std::string::npos) text.replace(at, 5, table_);
    server_.set_faults(boost::json::serialize(boost::json::object{{"answer", text}}));
    EXPECT_TRUE(client_.read({key("a")}).empty()) << text;
    EXPECT_NE(client_.last_error.message, "") << text;
    EXPECT_TRUE(client_.write({put_row(live_row(key("a"), 1, "v"))}).empty()) << text;
    EXPECT_NE(client_.last_error.message, "") << text;
    EXPECT_TRUE(client_.feed("").rows.empty()) << text;
    EXPECT_NE(client_.last_error.message, "") << text;
  }
  server_.set_faults("{}");
  until_up();
  wait_for([this] { return client_.write({put_row(live_row(key("a"), 1, "v"))}).size() == 1; },
           "written");
}

TEST_F(DynamodbFaults, WhatMayNotBeDoneIsSaid) {
  client_.read({});
  server_.set_faults(R"({"denied": ["PutItem"]})");
  EXPECT_TRUE(client_.write({put_row(live_row(key("a"), 1, "v"))}).empty());
  EXPECT_EQ(client_.last_error.code, Errc::unavailable);
  EXPECT_NE(client_.last_error.message.find("docs/operating.md for the rights"), std::string::npos)
      << client_.last_error.message;
  EXPECT_EQ(client_.read_one(key("a")).state, RowState::absent);
  server_.set_faults("{}");
  EXPECT_EQ(client_.write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U);
}

TEST_F(DynamodbFaults, WhatIsWrongIsSaid) {
  expect_says(server_.options("nowhere"), "run \"stayd backup init\"");
  BackupOptions options = server_.options(table_);
  options.url += "&profile=nobody";
  expect_says(options, "no AWS credentials");
  options.url = "dynamodb://eu-west-1/abc?endpoint=http://127.0.0.1:1";
  expect_says(options, "127.0.0.1:1: Failed to connect");
  ::setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
  expect_says(server_.options(table_), "look at the AWS credentials");
  ::setenv("AWS_SECRET_ACCESS_KEY", "right", 1);
  DynamodbTable table(server_, table_);
  table.set(dynamo::meta_key(), "n = :n", {{":n", dynamo::number_value(std::int64_t{3})}});
  expect_says(server_.options(table_), "version 3, this stayd knows 1");
}

TEST_F(DynamodbFaults, SessionTokensAreSent) {
  ::setenv("AWS_ACCESS_KEY_ID", "AKIDTOKEN", 1);
  ::setenv("AWS_SESSION_TOKEN", "a/session+token==", 1);
  DatabaseClient client(server_.options(table_));
  EXPECT_EQ(client.write({put_row(live_row(key("a"), 1, "v"))}).size(), 1U)
      << client.last_error.message;
  ::unsetenv("AWS_SESSION_TOKEN");
  ::setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
}

TEST_F(DynamodbFaults, TheClocksAreCompared) {
  server_.set_faults(R"({"skew_s": 5})");
  DatabaseClient client(server_.options(table_));
  client.read({key("a")});
  const auto offset = [&] { return client.status().clock_offset_ms; };
  wait_for([&] { return offset() != 0; }, "measured");
  EXPECT_NEAR(static_cast<double>(offset()), 5'000.0,
              1.0 + static_cast<double>(client.status().clock_error_ms));
}

TEST_F(DynamodbFaults, WhatIsTooLargeIsRefusedByName) {
  std::string value(401 << 10, '\0');
  Random random(3);
  for (char& c : value) c = static_cast<char>(random.next());
  EXPECT_TRUE(client_
                  .write({put_row(live_row(key("small"), 1, "v")),
                          put_row(live_row(key("large"), 1, value))})
                  .empty());
  EXPECT_EQ(client_.last_error.code, Errc::limit);
  EXPECT_NE(client_.last_error.message.find("backup: row 1: a value of 410"), std::string::npos)
      << client_.last_error.message;
  EXPECT_EQ(client_.read_one(key("small")).state, RowState::absent);
  BackupBatch many{.together = true};
  for (int i = 0; i < 101; ++i) {
    many.writes.push_back(put_row(live_row(key(std::to_string(i)), 1, "v")));
  }
  EXPECT_TRUE(client_.write_batch(many).empty());
  EXPECT_EQ(client_.last_error.message,
            "backup: 101 rows together, and a transaction of DynamoDB takes 100");
  many.writes.pop_back();
  EXPECT_EQ(client_.write_batch(many).size(), 100U) << client_.last_error.message;
}

}  // namespace
}  // namespace stayd::test
