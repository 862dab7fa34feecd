// kill -9 loses nothing that was acknowledged (docs/architecture.md).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

// Writes the number of each acknowledged mutation to a pipe.
class PipeEvents : public StoreEvents {
 public:
  explicit PipeEvents(int fd) : fd_(fd) {}
  void on_applied(StoreToken token, const Error& error, const ApplyResult&) override {
    if (!error.message.empty()) ::_exit(3);
    if (::write(fd_, &token, sizeof(token)) != sizeof(token)) ::_exit(4);
  }
  void on_loaded(StoreToken, const Error&, Row) override {}
  void on_scanned(StoreToken, const Error&, ScanPage) override {}

 private:
  int fd_;
};

Mutation numbered(std::uint64_t number) {
  const FullKey key = full_key(0, "k" + std::to_string(number));
  if (number % 7 == 0) return tomb(key, number, 9'000'000);
  Mutation out = put(key, number, std::to_string(number));
  if (number % 5 == 0) out.record.value = HashValue{{"n", std::to_string(number)}, {"m", "x"}};
  return out;
}

// The child, run by the test below in a process of its own (RocksDB's threads do not survive a
// fork).
TEST(LedgerDurability, DISABLED_ChildWritesForEver) {
  const char* path = std::getenv("STAYD_TEST_LEDGER");
  const char* fd = std::getenv("STAYD_TEST_FD");
  ASSERT_TRUE(path != nullptr && fd != nullptr);
  PipeEvents events(std::atoi(fd));
  TestWaker waker;
  Result<std::unique_ptr<Ledger>> opened = Ledger::open(TestLedger::options(path), waker);
  if (!opened) ::_exit(2);
  Ledger& ledger = **opened;
  ledger.set_events(&events);
  for (std::uint64_t number = 1;; ++number) {
    const bool synced = number % 50 == 0;
    ledger.apply_one(numbered(number), number, synced ? Durability::synced : Durability::written);
    if (number % 3 == 0) ledger.submit();
    ledger.deliver();
    if (ledger.stats().queued > 5'000) waker.wait();
  }
}

void kill_after(std::uint64_t acks, const std::string& path, std::uint64_t& last) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::setenv("STAYD_TEST_LEDGER", path.c_str(), 1);
  ::setenv("STAYD_TEST_FD", std::to_string(ends[1]).c_str(), 1);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(ends[0]);
    ::execl("/proc/self/exe", "store_test", "--gtest_also_run_disabled_tests", "--gtest_brief=1",
            "--gtest_filter=LedgerDurability.DISABLED_ChildWritesForEver", nullptr);
    ::_exit(5);
  }
  ::close(ends[1]);
  StoreToken token = 0;
  while (::read(ends[0], &token, sizeof(token)) == sizeof(token)) {
    last = std::max(last, token);
    if (token == acks) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, code " << WEXITSTATUS(status);
}

TEST(LedgerDurability, KillLosesNothingAcknowledged) {
  for (const std::uint64_t acks : {1U, 333U, 20'000U}) {
    TempFolder folder;
    const std::string path = folder.sub("ledger");
    std::uint64_t last = 0;
    ASSERT_NO_FATAL_FAILURE(kill_after(acks, path, last));
    ASSERT_GE(last, acks);
    TestLedger test(TestLedger::options(path));
    EXPECT_GE(test.ledger->highest_hlc(), last);
    for (std::uint64_t number = 1; number <= last; ++number) {
      test.ledger->load(numbered(number).key, number);
    }
    test.until(last);
    for (std::uint64_t number = 1; number <= last; ++number) {
      ASSERT_EQ(test.recorder.errors[number].message, "");
      const Row& row = test.recorder.loaded[number];
      ASSERT_EQ(row.meta.hlc, number);
      ASSERT_EQ(row.record, numbered(number).record) << number;
    }
  }
}

TEST(LedgerDurability, SyncedIsSyncedAndWrittenIsSyncedSoonAfter) {
  TempFolder folder;
  TestLedger test(TestLedger::options(folder.sub("ledger")));
  test.apply(tomb(full_key(0, "t"), 1, 9'000'000), Durability::synced);
  EXPECT_EQ(test.ledger->stats().sync_total, 1U);
  test.apply(put(full_key(0, "a"), 2, "x"), Durability::written);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (test.ledger->stats().sync_total < 2 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_EQ(test.ledger->stats().sync_total, 2U);
}

}  // namespace
}  // namespace stayd::test
