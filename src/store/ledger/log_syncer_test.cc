#include "store/ledger/log_syncer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "store/test_support.h"

namespace stayd::test {
namespace {

TEST(LogSyncer, SyncsAgainAndAgain) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.sub("db"));
  std::ofstream(folder.sub("db/000001.log")) << "log";
  LogSyncer syncer(folder.sub("db"));
  EXPECT_FALSE(syncer.take());
  for (int i = 0; i < 100; ++i) {
    syncer.start();
    EXPECT_TRUE(syncer.started());
    EXPECT_TRUE(syncer.wait());
    EXPECT_FALSE(syncer.started());
    EXPECT_FALSE(syncer.take());
  }
}

TEST(LogSyncer, ALogThatCannotBeOpenedIsAnErrorOnce) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.sub("db"));
  std::filesystem::create_symlink("000001.log", folder.sub("db/000001.log"));  // a loop
  LogSyncer syncer(folder.sub("db"));
  syncer.start();
  const Result<void> result = syncer.wait();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("000001.log"), std::string::npos);
  std::filesystem::remove(folder.sub("db/000001.log"));
  syncer.start();
  EXPECT_TRUE(syncer.wait());
}

TEST(LogSyncer, ALogThatHasNotGrownIsLeftOut) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.sub("db"));
  std::ofstream(folder.sub("db/000002.log")) << "log";
  LogSizes synced;
  ASSERT_TRUE(sync_logs(folder.sub("db"), synced));
  EXPECT_EQ(synced, (LogSizes{{"000002.log", 3}}));
  std::ofstream(folder.sub("db/000002.log"), std::ios::app) << "more";
  ASSERT_TRUE(sync_logs(folder.sub("db"), synced));
  EXPECT_EQ(synced, (LogSizes{{"000002.log", 7}}));
  std::filesystem::create_symlink("/proc/version",
                                  folder.sub("db/000001.log"));  // cannot be synced
  synced["000001.log"] = 0;
  EXPECT_TRUE(sync_logs(folder.sub("db"), synced));
  synced.erase("000001.log");
  EXPECT_FALSE(sync_logs(folder.sub("db"), synced));
  EXPECT_TRUE(synced.empty()) << "after an error nothing is known";
}

TEST(LogSyncer, ARunBeginsAndEndsAloud) {
  const TempFolder folder;
  std::promise<void> ended;
  bool broken = true;
  LogSyncer syncer(
      folder.sub("."),
      [&] { return broken ? Result<void>(make_error(Errc::io, "injected")) : Result<void>(); },
      [&] { ended.set_value(); });
  for (const bool fails : {true, false}) {
    broken = fails;
    ended = {};
    syncer.start();
    ended.get_future().wait();
    const std::optional<Result<void>> result = syncer.take();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->has_error(), fails);
  }
}

TEST(LogSyncer, EndsWhileARunIsUnderWay) {
  const TempFolder folder;
  LogSyncer syncer(folder.sub("."));
  syncer.start();
}

}  // namespace
}  // namespace stayd::test
