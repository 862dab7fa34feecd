// Who has which slot, as scripts: what each node says, what stayd follows then.
#include "redis/cluster_map.h"

#include <gtest/gtest.h>

#include <sstream>

#include "redis/topology_change.h"

namespace stayd {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr char kThree[] = "a@1:0-5000 b@2:5001-10000 c@3:10001-16383";

class ClusterMapTest : public ::testing::Test {
 protected:
  ClusterMapTest() { map.add_seed(at("a")); }

  static Endpoint at(const std::string& name) { return {name, 6379, ""}; }

  // "a@1:0-5,7 b@2: r<a": primaries with epoch and slots, replicas; x@1!:... is failing; a@1=h:0-5
  // is at another host. `self` is the name of the one that says it.
  static ClusterView view(const std::string& self, const std::string& words) {
    ClusterView out;
    std::istringstream in(words);
    for (std::string word; in >> word;) {
      ClusterNode node;
      node.id = word.substr(0, word.find_first_of("@<"));
      node.address = at(node.id);
      node.primary = word.find('@') != std::string::npos;
      node.failing = word.find('!') != std::string::npos;
      if (node.primary) {
        node.config_epoch = std::stoull(word.substr(word.find('@') + 1));
        const auto host = word.find('=');
        if (host != std::string::npos) {
          node.address = at(word.substr(host + 1, word.find(':') - host - 1));
        }
        std::istringstream ranges(word.substr(word.find(':') + 1));
        for (std::string range; std::getline(ranges, range, ',');) {
          node.slots.push_back(*parse_slot_range(range));
        }
      } else {
        const auto from = word.find('<') + 1;
        node.primary_id = word.substr(from, word.find('!') - from);
      }
      if (node.id == self) out.myself = out.nodes.size();
      out.nodes.push_back(node);
    }
    EXPECT_EQ(out.self().id, self);
    return out;
  }

  // What is followed after a node has said something, as view() reads it, without replicas.
  std::string says(const std::string& self, const std::string& words, bool ok = true) {
    return says_at(self, self, words, ok);
  }
  std::string says_at(const std::string& host, const std::string& self, const std::string& words,
                      bool ok = true) {
    map.on_answer(at(host), {view(self, words), ok}, now_us);
    changes += map.elect(now_us);
    return followed();
  }
  std::string all_say(const std::string& words) {
    for (const char* name : {"a", "b", "c"}) says(name, words);
    return followed();
  }
  std::string followed() const {
    std::string out;
    if (!map.followed()) return out;
    for (const ClusterShard& shard : map.followed()->shards) {
      if (!out.empty()) out += ' ';
      out += shard.primary_id + "@" + std::to_string(shard.config_epoch);
      if (shard.primary.host != shard.primary_id) out += "=" + shard.primary.host;
      out += ":" + slot_ranges_text(shard.slots);
    }
    return out;
  }
  std::string pass(std::int64_t us) {
    now_us += us;
    changes += map.elect(now_us);
    return followed();
  }

  ClusterMap map;
  std::int64_t now_us = kSecondUs;
  int changes = 0;
};

TEST_F(ClusterMapTest, TheFirstTopologyNeedsMostPrimaries) {
  EXPECT_EQ(says("a", kThree), "");
  EXPECT_EQ(says("b", kThree), kThree);
  EXPECT_EQ(says("c", kThree), kThree);
  EXPECT_EQ(changes, 1);
}

TEST_F(ClusterMapTest, OneNodeIsEnoughWhenTheOthersAreSilent) {
  EXPECT_EQ(says("a", kThree), "");
  EXPECT_EQ(pass(ClusterMap::kPatienceUs), kThree);
}

TEST_F(ClusterMapTest, NodesThatAreInDoubtThemselvesDoNotHurryTheFirst) {
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(says(name, kThree, false), "");
  EXPECT_EQ(pass(ClusterMap::kPatienceUs), kThree);
}

// `redis-cli --cluster create` has not given out slots yet.
TEST_F(ClusterMapTest, NodesWithoutSlotsAreNoTopology) {
  EXPECT_EQ(says("a", "a@0: b@0: c@0:", false), "");
  EXPECT_EQ(pass(10 * kSecondUs), "");
  EXPECT_EQ(says("a", kThree), "");
  EXPECT_EQ(says("b", kThree), kThree);
}

TEST_F(ClusterMapTest, AFailover) {
  all_say(std::string(kThree) + " d<a");
  EXPECT_EQ(says("d", std::string(kThree) + " d<a"), kThree);
  const auto after = "d@7:0-5000 b@2:5001-10000 c@3:10001-16383";
  EXPECT_EQ(says("d", "a@1!: d@7:0-5000 b@2:5001-10000 c@3:10001-16383"), after);
  // The others have not heard of it, and the old primary is back.
  EXPECT_EQ(all_say(kThree), after);
  EXPECT_EQ(pass(8 * kSecondUs), after);
  EXPECT_EQ(changes, 2);
}

// It was cut off, and is the only one that stayd reaches: a failover has taken place since.
TEST_F(ClusterMapTest, APrimaryThatWasCutOffIsNotBelieved) {
  all_say(std::string(kThree) + " d<a");
  const auto after = "d@7:0-5000 b@2:5001-10000 c@3:10001-16383";
  for (const char* name : {"b", "c", "d"}) says(name, std::string(after));
  EXPECT_EQ(followed(), after);
  pass(ClusterMap::kAnswerValidUs + 1);
  EXPECT_EQ(says("a", kThree), after);
  EXPECT_EQ(says("b", kThree, false), after);
  EXPECT_EQ(says("c", kThree, false), after);
}

TEST_F(ClusterMapTest, ASlotMoves) {
  all_say(kThree);
  const auto moved = "a@1:0-99,101-5000 b@7:100,5001-10000 c@3:10001-16383";
  // The new owner says it first; then the old one.
  EXPECT_EQ(says("b", "a@1:0-5000 b@7:100,5001-10000 c@3:10001-16383"), moved);
  EXPECT_EQ(says("a", moved), moved);
  EXPECT_EQ(says("c", kThree), moved);
  EXPECT_EQ(changes, 2);
}

// c has heard of b's epoch 9 and not of the slot that a has had since epoch 8.
TEST_F(ClusterMapTest, ANodesOwnWordCountsBeforeWhatOthersKeep) {
  all_say("a@1:0-5000 b@7:5001-10000 c@3:10001-16383");
  const auto moved = "a@8:0-5001 b@9:5002-10000 c@3:10001-16383";
  says("a", moved);
  says("b", moved);
  EXPECT_EQ(says("c", "a@1:0-5000 b@9:5001-10000 c@3:10001-16383"), moved);
}

// CLUSTER SETSLOT NODE at a node that was not importing gives it no new epoch.
TEST_F(ClusterMapTest, ASlotThatItsOwnerHasDroppedGoesToAnOlderEpoch) {
  all_say("a@9:0-5000 b@2:5001-10000 c@3:10001-16383");
  EXPECT_EQ(says("b", "a@9:1-5000 b@2:0,5001-10000 c@3:10001-16383"),
            "a@9:0-5000 b@2:5001-10000 c@3:10001-16383");
  EXPECT_EQ(says("a", "a@9:1-5000 b@2:0,5001-10000 c@3:10001-16383"),
            "b@2:0,5001-10000 a@9:1-5000 c@3:10001-16383");
}

// CLUSTER DELSLOTS is not told to others: they go on naming the owner.
TEST_F(ClusterMapTest, ASlotThatItsOwnerHasDroppedBelongsToNobody) {
  all_say(kThree);
  EXPECT_EQ(says("c", "a@1:0-5000 b@2:5001-10000 c@3:10001-16382", false),
            "a@1:0-5000 b@2:5001-10000 c@3:10001-16382");
  EXPECT_EQ(slot_ranges_text(map.uncovered()), "16383");
}

TEST_F(ClusterMapTest, WhoIsNotNamedKeepsItsSlots) {
  all_say(kThree);
  for (const char* name : {"a", "b"}) says(name, "a@1:0-5000 b@2:5001-10000");
  EXPECT_EQ(pass(ClusterMap::kAnswerValidUs - 1), kThree);
  for (const char* name : {"a", "b"}) says(name, "a@1:0-5000 b@2:5001-10000");
  EXPECT_EQ(pass(2), kThree);
}

TEST_F(ClusterMapTest, AnOlderMapIsFollowedWhenMostOfThePrimariesHaveIt) {
  all_say("a@11:0-5000 b@12:5001-10000 c@13:10001-16383");
  const auto anew = "x@1:0-5000 y@2:5001-10000 z@3:10001-16383";
  const auto said = "x@1=a:0-5000 y@2=b:5001-10000 z@3=c:10001-16383";
  EXPECT_EQ(says_at("a", "x", said), "a@11:0-5000 b@12:5001-10000 c@13:10001-16383");
  EXPECT_EQ(says_at("b", "y", said, false), "a@11:0-5000 b@12:5001-10000 c@13:10001-16383");
  EXPECT_NE(says_at("b", "y", said), anew);
  EXPECT_NE(followed().find("c@13"), std::string::npos);  // it answers, and has its slots still
  EXPECT_EQ(says_at("c", "z", said), said);
}

TEST_F(ClusterMapTest, AnOlderMapThatDoesNotCoverAllIsNotFollowed) {
  const auto before = "a@11:0-5000 b@12:5001-10000 c@13:10001-16383";
  all_say(before);
  for (const char* name : {"a", "b", "c"}) {
    says_at(name, std::string(1, static_cast<char>(name[0] + 23)),
            "x@1=a:0-5000 y@2=b:5001-10000 z@3=c:10001-16382");
  }
  EXPECT_EQ(followed(), before);
}

// A new cluster behind the seed's name, at lower epochs; the one of before is gone for good.
TEST_F(ClusterMapTest, ANewClusterElsewhereIsFollowedWhenTheOldOneIsForgotten) {
  map.add_seed(at("name"));
  all_say("b@12:5001-10000 c@13:0-5000,10001-16383 a@11:");
  const auto before = followed();
  const auto anew = "x@1:0-5000 y@2:5001-16383";
  for (int second = 0; second < 60; ++second) {
    EXPECT_EQ(says_at("name", "x", anew), before) << second;
    pass(kSecondUs);
    map.forget(now_us);
  }
  pass(kSecondUs);
  map.forget(now_us);
  EXPECT_EQ(pass(0), anew);
}

TEST_F(ClusterMapTest, EqualEpochsChangeNothing) {
  all_say("a@0:0-5000 b@0:5001-16383 c@0:");
  EXPECT_EQ(says("c", "a@0:0-4999 c@0:5000 b@0:5001-16383"), "a@0:0-5000 b@0:5001-16383");
  pass(ClusterMap::kAnswerValidUs + 1);
  EXPECT_EQ(says("c", "a@0:0-4999 c@0:5000 b@0:5001-16383"), "a@0:0-5000 b@0:5001-16383");
}

TEST_F(ClusterMapTest, OfEqualEpochsTheFollowedOneCounts) {
  const auto before = "a@0:0-4999 c@0:5000 b@0:5001-16383";
  all_say(before);
  EXPECT_EQ(says("a", "a@0:0-5000 b@0:5001-16383 c@0:"), before);
}

TEST_F(ClusterMapTest, OfEqualEpochsANodeWhoseStateIsOkCounts) {
  map.add_seed(at("b"));
  says("a", "a@1:0-16383 b@1:", false);
  says("b", "a@1:0-4 b@1:5-16383");
  EXPECT_EQ(pass(ClusterMap::kPatienceUs), "a@1:0-4 b@1:5-16383");
}

// It has started from an old file, and the others have not told it yet.
TEST_F(ClusterMapTest, ANodesOwnWordOfAnOlderEpochDoesNotCount) {
  const auto before = "a@9:0-5000 b@2:5001-10000 c@3:10001-16383";
  all_say(before);
  EXPECT_EQ(says("a", "a@1:10-5000 b@2:5001-10000 c@3:10001-16383", false), before);
}

TEST_F(ClusterMapTest, AnOlderMapOfOnePrimaryIsNotFollowed) {
  const auto before = "a@11:0-5000 b@12:5001-10000 c@13:10001-16383";
  all_say(before);
  pass(ClusterMap::kAnswerValidUs + 1);
  EXPECT_EQ(says_at("a", "x", "x@1=a:0-16383"), before);
}

TEST_F(ClusterMapTest, APrimaryWithAnotherAddressIsTheSameOne) {
  all_say(kThree);
  const auto moved = "a@1=h:0-5000 b@2:5001-10000 c@3:10001-16383";
  says("b", moved);
  EXPECT_EQ(says("c", moved), kThree);  // it answers where it was
  EXPECT_EQ(pass(ClusterMap::kAnswerValidUs), kThree);
  says("b", moved);
  says("c", moved);
  EXPECT_EQ(pass(1), moved);
  EXPECT_EQ(changes, 2);
}

TEST_F(ClusterMapTest, TwoAddressesOfOneNodeHaveOneVoice) {
  map.add_seed(at("name"));
  says("a", kThree);
  now_us += 1;
  EXPECT_EQ(says_at("name", "a", kThree), "");
  EXPECT_EQ(map.answering(now_us), 1U);
  EXPECT_EQ(map.known(), 4U);
}

TEST_F(ClusterMapTest, OfTwoAddressesOfOneNodeTheNewerAnswerCounts) {
  map.add_seed(at("name"));
  all_say(kThree);
  now_us += 1;
  says_at("name", "a", kThree);
  now_us += 1;
  const auto moved = "a@1:0-99,101-5000 b@7:100,5001-10000 c@3:10001-16383";
  EXPECT_EQ(says("a", moved), moved);
}

TEST_F(ClusterMapTest, ReplicasThatWork) {
  all_say("a@1:0-16383 b@2: c@3: r<a s<a!");
  says("r", "a@1:0-16383 r<a");
  ASSERT_EQ(map.followed()->shards[0].replicas.size(), 1U);
  EXPECT_EQ(map.followed()->shards[0].replicas[0], at("r"));
  EXPECT_EQ(changes, 1);
}

TEST_F(ClusterMapTest, ResumesWhereItWas) {
  map.resume(*Topology::parse("d 7 d:6379 0-5000 a:6379\nb 2 b:6379 5001-16383\n"), now_us);
  EXPECT_EQ(map.known(), 3U);
  EXPECT_EQ(says("a", "a@1:0-5000 b@2:5001-16383"), "d@7:0-5000 b@2:5001-16383");
  EXPECT_EQ(changes, 0);
  EXPECT_EQ(says("b", "d@8:0-5000 b@2:5001-16383 a<d"), "d@8:0-5000 b@2:5001-16383");
  EXPECT_EQ(changes, 1);  // slots may have left d, and come back
}

TEST_F(ClusterMapTest, SeedsArePrimariesAreAskedFirst) {
  std::string words;
  for (int n = 10; n < 40; ++n) words += "m" + std::to_string(n) + "<a ";
  for (int n = 0; n < 3; ++n) words += "p" + std::to_string(n) + "@1:" + std::to_string(n) + " ";
  says("a", words + "a@2:5-16383");
  const auto asked = map.to_ask();
  ASSERT_EQ(asked.size(), ClusterMap::kMaxAsked);
  EXPECT_EQ(asked[0], at("a"));
  EXPECT_EQ(asked[1], at("p0"));
  EXPECT_EQ(asked[3], at("p2"));
  EXPECT_EQ(asked[4], at("m10"));
  EXPECT_EQ(map.known(), 34U);
}

TEST_F(ClusterMapTest, NodesThatNobodyNamesAreForgotten) {
  all_say("a@1:0-16383 b@2: c@3: r<a");
  EXPECT_EQ(map.known(), 4U);
  now_us += ClusterMap::kForgetUs + 1;
  map.forget(now_us);
  EXPECT_EQ(map.known(), 4U);  // nobody answers
  says("a", "a@1:0-16383 b@2:", false);
  map.forget(now_us);
  EXPECT_EQ(map.known(), 4U);  // it may be cut off
  says("a", "a@1:0-16383 b@2:");
  map.forget(now_us);
  EXPECT_EQ(map.known(), 2U);
}

TEST_F(ClusterMapTest, ThereIsALimit) {
  std::string words = "a@1:0-16383";
  for (std::size_t n = 0; n < ClusterMap::kMaxNodes; ++n) words += " m" + std::to_string(n) + "<a";
  says("a", words);
  EXPECT_EQ(map.known(), ClusterMap::kMaxNodes);
}

TEST(TopologyTest, TextAndBack) {
  const std::string text =
      "id1 7 10.0.0.1:6379 0-5460,7000 10.0.0.4:6379 ::1:6379\n"
      "id2 18446744073709551615 :0 5461-6999\n";
  const auto topology = Topology::parse(text);
  ASSERT_TRUE(topology);
  EXPECT_EQ(topology->to_text(), text);
  EXPECT_EQ(topology->text(), "0-5460,7000 at 10.0.0.1:6379, 5461-6999 at :0");
  EXPECT_EQ(topology->shard_of(7000)->primary_id, "id1");
  EXPECT_EQ(topology->shard_of(7001), nullptr);
  EXPECT_EQ(topology->covered().count(), 7001U);
  EXPECT_EQ(Topology::parse("")->shards.size(), 0U);
  for (const char* bad :
       {"id1 7 h:1 5\nid2 7 h:1 5\n", "id1 7 h:1 5\nid2 7 h:1 4\n", "id1 7 h:1 \n", "id1 7 h:1 5",
        "id1 7 h 5\n", "id1 x h:1 5\n", "id1 7 h:1 6,5\n"}) {
    EXPECT_FALSE(Topology::parse(bad)) << bad;
  }
}

TEST(TopologyTest, PlacesAreSlotsAndNotAddresses) {
  const auto before = *Topology::parse("a 7 h:1 0-9\nb 7 h:2 10-19\n");
  EXPECT_TRUE(before.same_places(*Topology::parse("c 8 h:3 0-9\nb 7 h:2 10-19\n")));
  EXPECT_FALSE(before.same_primaries(*Topology::parse("c 8 h:3 0-9\nb 7 h:2 10-19\n")));
  EXPECT_TRUE(before.same_primaries(*Topology::parse("a 8 h:1 0-9 r:1\nb 7 h:2 10-19\n")));
  EXPECT_FALSE(before.same_places(*Topology::parse("a 7 h:1 0-8\nb 7 h:2 9-19\n")));
  EXPECT_FALSE(before.same_places(*Topology::parse("a 7 h:1 0-9\n")));
}

// Slots of one shard that go elsewhere one by one are no failover.
TEST(TopologyTest, WhatChanges) {
  const auto change = [](const char* from, const char* to) {
    const auto before = *Topology::parse(from), after = *Topology::parse(to);
    return change_text(before, after) + " " + std::to_string(switches_between(before, after));
  };
  constexpr char kBefore[] = "a 1 h:1 0-9\nb 2 h:2 10-19\n";
  EXPECT_EQ(change(kBefore, "d 7 h:4 0-9\nb 2 h:2 10-19\n"),
            "0-9 moved from h:1 to h:4 (epoch 7) 1");
  EXPECT_EQ(change(kBefore, "a 1 h:1 0-8\nb 3 h:2 9-19\n"), "9 moved from h:1 to h:2 (epoch 3) 0");
  EXPECT_EQ(change(kBefore, "a 1 h:1 0-8\nn 3 h:3 9\nb 2 h:2 10-19\n"),
            "9 moved from h:1 to h:3 (epoch 3) 0");
  EXPECT_EQ(change(kBefore, "d 7 h:4 0-8\nb 8 h:2 9-19\n"),
            "0-8 moved from h:1 to h:4 (epoch 7), 9 moved from h:1 to h:2 (epoch 8) 1");
  EXPECT_EQ(change(kBefore, "a 1 h:5 0-9\nb 2 h:2 10-20\n"),
            "0-9 moved from h:1 to h:5 with their node, 20 given to h:2 0");
  EXPECT_EQ(change(kBefore, "x 1 h:1 0-8\nb 2 h:2 10-19\n"),
            "0-8 moved from h:1 to another node there (epoch 1), 9 dropped 1");
}

TEST(TopologyTest, ALongChangeIsShortened) {
  std::string ranges = "0";
  for (int slot = 2; slot < kSlots; slot += 2) ranges += "," + std::to_string(slot);
  const auto before = *Topology::parse("a 1 h:1 " + ranges + "\n");
  const auto text = change_text(before, *Topology::parse("b 2 h:2 " + ranges + "\n"));
  EXPECT_LT(text.size(), 200U);
  EXPECT_NE(text.find(", ... moved from h:1"), std::string::npos);
}

}  // namespace
}  // namespace stayd
