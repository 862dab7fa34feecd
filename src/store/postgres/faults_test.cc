// What the backup does when its PostgreSQL does not: what is PostgreSQL's alone.
#include <gtest/gtest.h>

#include "store/backup/database_test.h"

namespace stayd::test {
namespace {

class PostgresFaults : public FaultTest {
 protected:
  PostgresFaults() : FaultTest(durable_postgres()) {}
};

// One statement that waits for a lock for long, on every connection but the watch's.
TEST_F(PostgresFaults, LogoutsDoNotWaitBehindBulk) {
  client_->write({put_row(live_row(key("locked"), 1, "v"))});
  const auto other = server_.connect(database_);
  other->exec(server_.sql.hold_writes);
  for (BackupToken token = 1000; token < 1020; ++token) {
    client_->backup().write({{put_row(live_row(key("locked"), token, "w"))}}, token,
                            client_->deadline_us());
  }
  wait_for([&] { return connections(" AND wait_event_type = 'Lock'") >= "3"; }, "bulk waits");
  client_->deadline_ms = 3'000;
  for (const char* logout : {"a", "b", "c"}) {
    EXPECT_EQ(client_->write_one(put_row(tomb_row(key(logout), 1))).outcome,
              BackupOutcome::applied);
  }
  EXPECT_FALSE(client_->recorder.seen(1000));
  other->exec("COMMIT");
  for (BackupToken token = 1000; token < 1020; ++token) client_->until(token);
}

TEST_F(PostgresFaults, ADeadlockIsTriedAgain) {
  expect_deadlock_is_tried_again(
      "SET deadlock_timeout = '60s'; BEGIN; "
      "UPDATE stayd.rows SET hlc = hlc WHERE key = '\\x00'::bytea || 'b'",
      " AND wait_event_type = 'Lock'",
      "UPDATE stayd.rows SET hlc = hlc WHERE key = '\\x00'::bytea || 'a'");
}

}  // namespace
}  // namespace stayd::test
