// Who is the primary, as scripts: what each Sentinel says, whom stayd follows then.
#include "redis/election.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;

class ElectionTest : public ::testing::Test {
 protected:
  ElectionTest() {
    for (const char* name : {"s1", "s2", "s3"}) {
      EXPECT_TRUE(election.learn({name, 26379, ""}, "", std::nullopt));
    }
  }
  // Sentinel s<n> names a primary; whom stayd follows then.
  std::string says(std::size_t n, const std::string& primary, std::uint64_t epoch) {
    election.on_answer(n - 1, {{primary, 6379, ""}, epoch}, now_us);
    switches += election.elect(now_us);
    return followed();
  }
  // From a to b, which is believed from the last of them only.
  void all_move(std::uint64_t from_epoch, std::uint64_t to_epoch) {
    for (std::size_t n = 1; n <= 3; ++n) says(n, "a", from_epoch);
    EXPECT_EQ(says(1, "b", to_epoch), "a");
    EXPECT_EQ(says(2, "b", to_epoch), "a");
    EXPECT_EQ(says(3, "b", to_epoch), "b");
  }
  // s4, by others.
  std::size_t learn_fourth() { return *election.learn({"s4", 26379, ""}, "four", now_us); }
  std::string followed() const {
    return election.followed() ? election.followed()->primary.host : "";
  }
  void pass(std::int64_t us) {
    now_us += us;
    switches += election.elect(now_us);
  }

  PrimaryElection election;
  std::int64_t now_us = kSecondUs;
  int switches = 0;
};

TEST_F(ElectionTest, TheFirstPrimaryNeedsMostSentinels) {
  EXPECT_EQ(says(1, "a", 1), "");
  EXPECT_EQ(says(2, "a", 1), "a");
  EXPECT_EQ(switches, 1);
}

TEST_F(ElectionTest, OneSentinelIsEnoughWhenTheOthersAreSilent) {
  EXPECT_EQ(says(1, "a", 1), "");
  pass(PrimaryElection::kPatienceUs);
  EXPECT_EQ(followed(), "a");
}

TEST_F(ElectionTest, ASentinelThatWasCutOffIsNotBelieved) {
  EXPECT_EQ(says(1, "a", 1), "");
  EXPECT_EQ(says(2, "b", 2), "b");
  EXPECT_EQ(says(3, "b", 2), "b");
  EXPECT_EQ(says(1, "a", 1), "b");
  EXPECT_EQ(switches, 1);
}

// The leader knows of the failover a second before the others: most still name the one of before.
TEST_F(ElectionTest, ThoseWhoHaveNotHeardOfTheFailoverDoNotTakeItBack) {
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
  EXPECT_EQ(says(1, "b", 2), "b");
  EXPECT_EQ(says(2, "a", 1), "b");
  EXPECT_EQ(says(3, "a", 1), "b");
  EXPECT_EQ(says(2, "b", 2), "b");
  EXPECT_EQ(says(3, "b", 2), "b");
  EXPECT_EQ(switches, 2);
}

TEST_F(ElectionTest, SentinelsThatWereSetUpAnewAreBelievedWhenTheyAreMost) {
  all_move(7, 0);
  EXPECT_EQ(election.followed()->epoch, 0U);
}

TEST_F(ElectionTest, ALowerEpochOfFewIsNeverBelieved) {
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 7);
  pass(PrimaryElection::kAnswerValidUs + 1);
  EXPECT_EQ(election.answering(now_us), 0U);
  EXPECT_EQ(says(1, "b", 3), "a");
  EXPECT_EQ(says(2, "c", 3), "a");
  EXPECT_EQ(says(2, "b", 4), "b");
}

// The address was read after a failover, the epoch before it: the next answer has both.
TEST_F(ElectionTest, AnotherAddressAtTheSameEpochNeedsMost) {
  all_move(1, 1);
}

TEST_F(ElectionTest, AHigherEpochOfTheSamePrimaryIsNoSwitch) {
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
  EXPECT_EQ(says(1, "a", 5), "a");
  EXPECT_EQ(says(2, "b", 4), "a");
  EXPECT_EQ(switches, 1);
}

TEST_F(ElectionTest, WithNoSentinelLeftTheLastPrimaryStays) {
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
  pass(3600 * kSecondUs);
  EXPECT_EQ(followed(), "a");
}

TEST_F(ElectionTest, TwoAddressesOfOneSentinelHaveOneVote) {
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 7);
  ASSERT_EQ(election.learn({"10.0.0.1", 26379, ""}, "one", now_us), 3U);
  ASSERT_EQ(election.learn({"10.0.0.4", 26379, ""}, "four", now_us), 4U);
  election.identify(0, "one");
  EXPECT_EQ(election.known(), 4U);
  pass(PrimaryElection::kAnswerValidUs + 1);
  EXPECT_EQ(says(1, "b", 1), "a");
  EXPECT_EQ(says(4, "b", 1), "a");
  EXPECT_EQ(says(2, "b", 1), "a");
  EXPECT_EQ(election.votes({"b", 6379, ""}, now_us), 2U);
  EXPECT_EQ(says(5, "b", 1), "b");
}

TEST_F(ElectionTest, KnownSentinelsAreNotLearntAgainAndThereIsALimit) {
  election.identify(0, "one");
  EXPECT_FALSE(election.learn({"s2", 26379, ""}, "two", now_us));
  EXPECT_FALSE(election.learn({"10.0.0.1", 26379, ""}, "one", now_us));
  for (std::size_t n = 3; n < PrimaryElection::kMaxSentinels; ++n) {
    EXPECT_TRUE(election.learn({"x" + std::to_string(n), 26379, ""}, "", now_us));
  }
  EXPECT_FALSE(election.learn({"more", 26379, ""}, "", now_us));
}

TEST_F(ElectionTest, ALearntSentinelThatIsGoneIsForgotten) {
  const auto fourth = learn_fourth();
  for (int second = 0; second < 61; ++second) {
    for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
    EXPECT_TRUE(election.forget(now_us).empty());
    pass(kSecondUs);
  }
  EXPECT_EQ(election.forget(now_us), std::vector<std::size_t>{fourth});
  EXPECT_EQ(election.known(), 3U);
  EXPECT_NE(learn_fourth(), fourth);  // with another index
}

TEST_F(ElectionTest, ALearntSentinelThatOthersNameIsKept) {
  learn_fourth();
  for (int minute = 0; minute < 5; ++minute) {
    pass(59 * kSecondUs);
    for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
    EXPECT_FALSE(election.learn({"s4", 26379, ""}, "four", now_us));
    EXPECT_TRUE(election.forget(now_us).empty());
  }
}

TEST_F(ElectionTest, ALearntSentinelThatAnswersIsKept) {
  learn_fourth();
  pass(PrimaryElection::kForgetUs + 1);
  for (std::size_t n = 1; n <= 4; ++n) says(n, "a", 1);
  EXPECT_TRUE(election.forget(now_us).empty());
}

// Few that were set up anew behind a cut name nobody else: they must not become most by waiting.
TEST_F(ElectionTest, FewSentinelsForgetNobody) {
  learn_fourth();
  pass(PrimaryElection::kForgetUs + 1);
  says(1, "a", 1);
  EXPECT_TRUE(election.forget(now_us).empty());
  says(2, "a", 1);
  EXPECT_EQ(election.forget(now_us).size(), 1U);
}

TEST_F(ElectionTest, ASentinelThatHasMovedIsLearntAgainOnceItsOldAddressIsForgotten) {
  learn_fourth();
  const Endpoint moved{"moved", 26379, ""};
  pass(PrimaryElection::kForgetUs + 1);
  for (std::size_t n = 1; n <= 3; ++n) says(n, "a", 1);
  EXPECT_FALSE(election.learn(moved, "four", now_us));
  EXPECT_EQ(election.forget(now_us).size(), 1U);
  EXPECT_TRUE(election.learn(moved, "four", now_us));
}

}  // namespace
}  // namespace stayd
