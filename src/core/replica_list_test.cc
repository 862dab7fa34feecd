#include "core/replica_list.h"

#include <gtest/gtest.h>

namespace stayd {
namespace {

TEST(ReplicaList, AsRedisNamesThem) {
  const auto named = replicas_of(
      "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
      "slave0:ip=127.0.0.1,port=6380,state=online,offset=98,lag=1\r\n"
      "slave1:ip=::1,port=6381,state=wait_bgsave,offset=0,lag=0\r\n"
      "slave2:ip=r.example,port=6382,state=online,offset=98,lag=12,type=rdb\r\n");
  const std::vector<NamedReplica> expected = {
      {"127.0.0.1:6380", true, 98, 1}, {"::1:6381", false, 0, 0}, {"r.example:6382", true, 98, 12}};
  EXPECT_EQ(named, expected);
}

TEST(ReplicaList, NothingOfAReplicaOrOfNonsense) {
  EXPECT_TRUE(replicas_of("role:slave\r\nmaster_host:10.0.0.1\r\nconnected_slaves:0\r\n").empty());
  EXPECT_TRUE(replicas_of("slave0:online\r\nslave1:ip=x,port=0\r\n").empty());
  EXPECT_TRUE(replicas_of("slave0:\r\n").empty());
  std::string many;
  for (int i = 0; i < 40; ++i) many += "slave" + std::to_string(i) + ":ip=h,port=1\r\n";
  EXPECT_EQ(replicas_of(many).size(), kMaxReplicas);
}

}  // namespace
}  // namespace stayd
