#include "store/ledger/log_syncer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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

TEST(LogSyncer, EndsWhileARunIsUnderWay) {
  const TempFolder folder;
  LogSyncer syncer(folder.sub("."));
  syncer.start();
}

}  // namespace
}  // namespace stayd::test
