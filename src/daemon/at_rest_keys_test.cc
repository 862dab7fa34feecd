// Keys that are read again while stayd serves: of several askings only the last one counts.
#include "daemon/at_rest_keys.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "store/ledger/ledger.h"

namespace stayd {
namespace {

class AtRestKeysTest : public testing::Test {
 protected:
  AtRestKeysTest() {
    std::string name = (std::filesystem::temp_directory_path() / "stayd-keys-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~AtRestKeysTest() override { std::filesystem::remove_all(folder_); }

  static std::string key(char digit) { return std::string(64, digit); }
  static AtRestConfig command(const std::string& script) {
    AtRestConfig config;
    config.encryption_key_command = {"/bin/sh", "-c", script};
    return config;
  }
  AtRestConfig file(char digit) const {
    AtRestConfig config;
    config.encryption_key_file = folder_ + "/key";
    std::ofstream(config.encryption_key_file) << key(digit) << '\n';
    return config;
  }
  void ask(const AtRestConfig& config) {
    keys_.read_again(config, [this](const Result<AtRestOptions>& read) {
      told_.push_back(read ? master_key_id(read->keys.front()) : read.error().message);
    });
  }
  void turn_until(std::size_t answers) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (told_.size() < answers) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      loop_.run_once(10);
    }
  }
  static std::string id(char digit) {
    return master_key_id(parse_master_keys(key(digit))->front());
  }

  std::string folder_;
  Loop loop_;
  std::vector<std::string> told_;
  AtRestKeys keys_{loop_};
};

TEST_F(AtRestKeysTest, ACommandPrintsThem) {
  ask(command("echo " + key('a') + ", " + key('b')));
  turn_until(1);
  EXPECT_EQ(told_, std::vector{id('a')});
  ask(command("echo sealed >&2; exit 3"));
  turn_until(2);
  EXPECT_EQ(told_[1], "[at_rest] encryption_key_command: /bin/sh: exit code 3: sealed");
}

// Two SIGHUPs, the second one while the first command runs: its end used to be told as a refusal.
TEST_F(AtRestKeysTest, ACommandThatIsCutShortTellsNothing) {
  ask(command("exec sleep 60"));
  ask(command("echo " + key('b')));
  turn_until(1);
  EXPECT_EQ(told_, std::vector{id('b')});
}

// What had been posted already, but not looked at yet, used to be taken up behind the newer keys.
TEST_F(AtRestKeysTest, AnAnswerThatCameTooLateIsNotTakenUp) {
  ask(command("echo " + key('a') + "; touch " + folder_ + "/ran"));
  while (!std::filesystem::exists(folder_ + "/ran")) std::this_thread::yield();
  ask(command("echo " + key('b')));
  turn_until(1);
  EXPECT_EQ(told_, std::vector{id('b')});
}

TEST_F(AtRestKeysTest, AFileAfterACommandIsTheLastWord) {
  ask(command("while [ ! -e " + folder_ + "/go ]; do sleep 0.01; done; echo " + key('a')));
  ask(file('c'));
  EXPECT_EQ(told_, std::vector{id('c')}) << "at once";
  std::ofstream(folder_ + "/go") << "go";
  loop_.run_once(0);  // whatever it could tell has been posted: ask() has waited for its end
  EXPECT_EQ(told_.size(), 1u) << "the command was ended";
}

// Which key the ledger is encrypted under now, and which one from the next start on.
TEST_F(AtRestKeysTest, CheckTellsWhichKeyIsInUse) {
  Config config;
  config.ledger.path = folder_ + "/ledger";
  config.at_rest = file('a');
  std::filesystem::permissions(
      config.at_rest.encryption_key_file,
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto told = [&config] { return check_at_rest(config)->text; };
  const auto serve = [&config](const AtRestConfig& at_rest) {
    LedgerOptions options;
    options.path = config.ledger.path;
    options.ballast_bytes = 0;
    options.wall_ms = [] { return std::int64_t{1}; };
    options.at_rest = *AtRestKeys::read(at_rest);
    const auto waker = Loop().make_waker([] {});
    EXPECT_TRUE(Ledger::open(options, *waker));
  };
  const std::string a = "values are encrypted under the master key " + id('a');
  EXPECT_EQ(told(), a + " from the next start on; there is no ledger yet");
  serve({});
  EXPECT_EQ(told(), a + " from the next start or SIGHUP on; the ledger is in clear");
  serve(config.at_rest);
  EXPECT_EQ(told(), a);
  std::ofstream(config.at_rest.encryption_key_file) << key('b') << '\n' << key('a') << '\n';
  EXPECT_EQ(told(), "values are encrypted under the master key " + id('b') +
                        " from the next start or SIGHUP on; it is " + id('a') + " now");
}

}  // namespace
}  // namespace stayd
