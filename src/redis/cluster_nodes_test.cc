// What CLUSTER NODES says, in texts of real clusters (fuzz/corpus/cluster_nodes/, Redis 7.0.15).
#include "redis/cluster_nodes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace stayd {
namespace {

const Endpoint kAsked{"asked", 1234, ""};

std::string text_of(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../..";
  std::ifstream file(root / "fuzz/corpus/cluster_nodes" / name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<ClusterView> parsed(const std::string& text) {
  return parse_cluster_nodes(text, kAsked);
}

// One line for each node: id (four letters), address, what it is, epoch, slots.
std::string summary(const std::string& name, NodeNames names = NodeNames::addresses) {
  const auto view = parse_cluster_nodes(text_of(name), kAsked, names);
  if (!view) return "nothing";
  std::string out;
  for (const ClusterNode& node : view->nodes) {
    SlotSet slots;
    for (const SlotRange& range : node.slots) {
      for (int slot = range.first; slot <= range.last; ++slot) slots.set(slot);
    }
    out += node.id.substr(0, 4) + (&node == &view->self() ? "* " : " ") + node.address.text();
    out += node.primary ? " primary" : " of " + node.primary_id.substr(0, 4);
    if (node.failing) out += " failing";
    out += " " + std::to_string(node.config_epoch) + " " + slot_ranges_text(slots) + "\n";
  }
  return out;
}

TEST(ClusterNodes, OneThatKnowsNobodyIsWhereItWasAsked) {
  EXPECT_EQ(summary("alone"), "ae98* asked:1234 primary 0 \n");
}

TEST(ClusterNodes, PrimariesAndReplicas) {
  EXPECT_EQ(summary("fresh"),
            "7c9e 127.0.0.1:27802 primary 2 5461-10922\n"
            "3f13 127.0.0.1:27803 primary 3 10923-16383\n"
            "9d0d 127.0.0.1:27804 of ae98 1 \n"
            "6d1e 127.0.0.1:27806 of 3f13 3 \n"
            "ae98* 127.0.0.1:27801 primary 1 0-5460\n"
            "c0a1 127.0.0.1:27805 of 7c9e 2 \n");
}

// A replica that has heard of its own primary only.
TEST(ClusterNodes, AReplicaSaysItToo) {
  const auto view = parsed(text_of("by_replica"));
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->self().primary);
  EXPECT_EQ(view->self().primary_id.substr(0, 4), "ae98");
}

TEST(ClusterNodes, ASlotOnItsWayIsWhereItWas) {
  EXPECT_NE(summary("migrating").find("primary 1 0-5460\n"), std::string::npos);
  EXPECT_NE(summary("importing").find("7c9e* 127.0.0.1:27802 primary 2 5461-10922\n"),
            std::string::npos);
  for (const char* name : {"migrating", "importing"}) {
    const auto moving = parsed(text_of(name))->moving;
    ASSERT_EQ(moving.size(), 1u) << name;
    EXPECT_EQ(moving.at(100).substr(0, 4), "7c9e") << name;
  }
  EXPECT_TRUE(parsed(text_of("moved"))->moving.empty());
  EXPECT_NE(summary("moved").find("7c9e 127.0.0.1:27802 primary 7 100,5461-10922\n"),
            std::string::npos);
  EXPECT_NE(summary("moved").find("ae98 127.0.0.1:27801 primary 1 0-99,101-5460\n"),
            std::string::npos);
}

TEST(ClusterNodes, FailingAndPromoted) {
  EXPECT_NE(summary("suspected").find("127.0.0.1:27851 primary failing 1 0-5460\n"),
            std::string::npos);
  EXPECT_NE(summary("failed").find("127.0.0.1:27851 primary failing 1 0-5460\n"),
            std::string::npos);
  EXPECT_NE(summary("promoted").find("127.0.0.1:27861 primary failing 1 \n"), std::string::npos);
  EXPECT_NE(summary("promoted").find("1190* 127.0.0.1:27865 primary 7 0-5460\n"),
            std::string::npos);
  EXPECT_NE(summary("returned").find("406b* 127.0.0.1:27861 of 1190 7 \n"), std::string::npos);
}

TEST(ClusterNodes, WhatOnlyShakesHandsIsNobodyYet) {
  EXPECT_EQ(summary("handshake"), "5611* 127.0.0.1:27805 primary 0 \n");
}

TEST(ClusterNodes, HostnamesAndIpv6) {
  EXPECT_NE(summary("hostname_ipv6").find("7c9e 127.0.0.1:27802 "), std::string::npos);
  EXPECT_NE(summary("hostname_ipv6").find("3f13 ::1:27803 "), std::string::npos);
  const auto named = summary("hostname_ipv6", NodeNames::hostnames);
  EXPECT_NE(named.find("7c9e host-1.example.com:27802 "), std::string::npos);
  EXPECT_NE(named.find("ae98 127.0.0.1:27801 "), std::string::npos);
  for (const auto names : {NodeNames::addresses, NodeNames::hostnames}) {
    const auto view = parse_cluster_nodes(text_of("hostname_ipv6"), {}, names);
    ASSERT_TRUE(view);
    std::string both;
    for (const auto& node : view->nodes) both += node.address.host + "," + node.other_host + " ";
    const bool by_name = names == NodeNames::hostnames;
    EXPECT_NE(
        both.find(by_name ? "host-1.example.com,127.0.0.1 " : "127.0.0.1,host-1.example.com "),
        std::string::npos)
        << both;
  }
}

// Asked over TLS, a node names the ports for TLS.
TEST(ClusterNodes, Tls) {
  EXPECT_NE(summary("tls", NodeNames::hostnames).find("d086* node-0.example.com:27871 "),
            std::string::npos);
}

TEST(ClusterNodes, NoAddressAndFieldsOfLaterVersions) {
  EXPECT_EQ(summary("odd"),
            "e7d1 :0 primary 4 7,9-10\n"
            "07c3 10.0.0.4:30004 of e7d1 4 \n"
            "aa00* 10.0.0.5:30005 primary 5 0-6\n");
  const auto unknown = parsed(
      "aa ?:0@0 master,noaddr - 0 0 1 disconnected\n"
      "bb 10.0.0.1:1@2 myself,master - 0 0 1 connected\r\n");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->nodes[0].address.known());
}

TEST(ClusterNodes, WhatIsNoSuchReplyIsNothing) {
  const std::string good = "aa 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-5";
  ASSERT_TRUE(parsed(good));
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"aa ", "a+ "},
           {"myself,", ""},
           {"10.0.0.1:1@2", "10.0.0.1"},
           {":1@2", ":65536@2"},
           {"10.0.0.1", "10.0\x01.1"},
           {" - ", " ? "},
           {" 0 0 ", " 0 x "},
           {" 1 connected", " -1 connected"},
           {"connected", "connecting"},
           {"0-5", "5-0"},
           {"0-5", "0-16384"},
           {"0-5", "0-5 x"},
       }) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_FALSE(parsed(bad)) << bad;
  }
  EXPECT_FALSE(parsed(""));
  EXPECT_FALSE(parsed(good + "\n" + good));
}

// An answer that was cut off is nothing, or what is whole in it: never another node or address.
TEST(ClusterNodes, EveryBeginning) {
  const std::string text = text_of("fresh");
  const auto whole = parsed(text);
  for (std::size_t end = 0; end < text.size(); ++end) {
    const auto view = parsed(text.substr(0, end));
    if (!view) continue;
    ASSERT_LE(view->nodes.size(), whole->nodes.size());
    for (std::size_t i = 0; i < view->nodes.size(); ++i) {
      EXPECT_EQ(view->nodes[i].id, whole->nodes[i].id);
      EXPECT_EQ(view->nodes[i].address, whole->nodes[i].address);
    }
  }
}

}  // namespace
}  // namespace stayd
