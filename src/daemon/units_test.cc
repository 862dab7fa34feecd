#include "daemon/units.h"

#include <gtest/gtest.h>

#include "daemon/redis_url.h"

namespace stayd {
namespace {

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("50ms"), Millis(50));
  EXPECT_EQ(parse_duration("5s"), Millis(5'000));
  EXPECT_EQ(parse_duration("15m"), Millis(900'000));
  EXPECT_EQ(parse_duration("24h"), Millis(86'400'000));
  EXPECT_EQ(parse_duration("30d"), Millis(30ll * 86'400'000));
  EXPECT_EQ(parse_duration("0"), Millis(0));
  for (const char* bad : {"", "5", "ms", "-5s", "5 s", "1.5s", "5S", "5ss", "99999999999999999999s",
                          "36601d", "5s "}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  for (const char* text : {"1ms", "90s", "2m", "36h", "30d", "0"}) {
    EXPECT_EQ(format_duration(*parse_duration(text)), text);
  }
}

TEST(Units, Sizes) {
  EXPECT_EQ(parse_size("64MB")->bytes, 64u << 20);
  EXPECT_EQ(parse_size("16KiB")->bytes, 16u << 10);
  EXPECT_EQ(parse_size("7B")->bytes, 7u);
  EXPECT_EQ(parse_size("0")->bytes, 0u);
  for (const char* bad : {"", "64", "64mb", "-1KB", "1.5GB", "99999999999GB"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
  EXPECT_EQ(format_size({16u << 20}), "16MB");
  EXPECT_EQ(format_size({1000}), "1000B");
}

TEST(Units, FileModes) {
  EXPECT_EQ(parse_file_mode("0660")->bits, 0660u);
  EXPECT_EQ(format_file_mode({0660}), "0660");
  EXPECT_FALSE(parse_file_mode("0888"));
  EXPECT_FALSE(parse_file_mode("01777"));
  EXPECT_FALSE(parse_file_mode("u=rw"));
}

TEST(Units, Addresses) {
  EXPECT_EQ(parse_address("localhost:6380")->port, 6380);
  EXPECT_EQ(parse_address("[::1]:6380")->host, "::1");
  EXPECT_EQ(parse_address("unix:/run/x.sock")->unix_path, "/run/x.sock");
  EXPECT_TRUE(parse_address("127.0.0.1:0"));
  for (const char* bad : {"", "localhost", ":1", "::1:6380", "h:65536", "h:-1", "h:6380x",
                          "unix:run/x", "a b:1", "unix:"}) {
    EXPECT_FALSE(parse_address(bad)) << bad;
  }
}

TEST(Units, NearestName) {
  EXPECT_EQ(nearest_name("connect_timout", {"url", "connect_timeout"}), "connect_timeout");
  EXPECT_EQ(nearest_name("zzzzzz", {"url", "connect_timeout"}), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(RedisUrl, Forms) {
  const auto plain = parse_redis_url("redis://cache.internal:6390/3");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->endpoint.text(), "cache.internal:6390");
  EXPECT_EQ(plain->db, 3);
  EXPECT_EQ(parse_redis_url("redis://h")->endpoint.port, 6379);
  EXPECT_EQ(parse_redis_url("redis://[::1]")->endpoint.host, "::1");
  EXPECT_EQ(parse_redis_url("redis://[::1]:7/1")->endpoint.port, 7);

  const auto acl = parse_redis_url("redis://bob:p%40ss%2f@h/1");
  ASSERT_TRUE(acl);
  EXPECT_EQ(acl->user, "bob");
  EXPECT_EQ(acl->password, "p@ss/");
  EXPECT_EQ(parse_redis_url("redis://secret@h")->password, "secret");
  EXPECT_EQ(parse_redis_url("redis://:secret@h")->password, "secret");

  const auto unix_socket = parse_redis_url("unix:///run/redis.sock?db=2");
  ASSERT_TRUE(unix_socket);
  EXPECT_EQ(unix_socket->endpoint.unix_path, "/run/redis.sock");
  EXPECT_EQ(unix_socket->db, 2);
}

TEST(RedisUrl, Sentinel) {
  const auto url = parse_redis_url("redis+sentinel://bob:p%40ss@s1,s2:26380,[::1]/my%20main/3");
  ASSERT_TRUE(url) << url.error().message;
  ASSERT_TRUE(url->by_sentinel());
  EXPECT_EQ(url->text(), "my main of s1:26379,s2:26380,::1:26379");
  EXPECT_EQ(url->user, "bob");
  EXPECT_EQ(url->password, "p@ss");
  EXPECT_EQ(url->db, 3);
  EXPECT_FALSE(url->endpoint.known());
  EXPECT_EQ(parse_redis_url("redis+sentinel://s/main")->db, 0);
  EXPECT_EQ(parse_redis_url("redis+sentinel://s/main/")->primary_name, "main");
  EXPECT_FALSE(parse_redis_url("redis://h")->by_sentinel());
}

TEST(RedisUrl, Cluster) {
  const auto url = parse_redis_url("redis+cluster://bob:p%40ss@n1,n2:7000,[::1]");
  ASSERT_TRUE(url) << url.error().message;
  ASSERT_TRUE(url->cluster());
  EXPECT_FALSE(url->by_sentinel());
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->text(), "the Cluster of n1:6379,n2:7000,::1:6379");
  EXPECT_EQ(url->user, "bob");
  EXPECT_EQ(url->password, "p@ss");
  EXPECT_FALSE(url->endpoint.known());
  EXPECT_EQ(url->db, 0);
  for (const char* same : {"redis+cluster://n1", "redis+cluster://n1/", "redis+cluster://n1/0"}) {
    const auto one = parse_redis_url(same);
    ASSERT_TRUE(one) << same;
    EXPECT_EQ(one->text(), "the Cluster of n1:6379");
  }
  EXPECT_TRUE(parse_redis_url("rediss+cluster://n1")->tls);
  EXPECT_FALSE(parse_redis_url("redis://n1")->cluster());
}

TEST(RedisUrl, Refusals) {
  const struct {
    const char* url;
    const char* says;
  } cases[] = {
      {"redis+cluster://", "\"\" is not host or host:port"},
      {"redis+cluster://a,,b", "\"\" is not host or host:port"},
      {"redis+cluster://a:0", "\"a:0\" is not host or host:port"},
      {"redis+cluster://a/1", "a Cluster has database 0 and no other"},
      {"redis+cluster://a/main", "a Cluster has database 0 and no other"},
      {"rediss+cluster://a?x=1", "its URL no parameters"},
      {"redis+clusters://a", "did you mean redis+cluster://?"},
      {"rediss://h?x=1", "a redis URL takes no parameters"},
      {"redis+sentinel://a,b", "the name that the Sentinels know the primary by is missing"},
      {"redis+sentinel://a,b/", "the name that the Sentinels know the primary by is missing"},
      {"redis+sentinel:///main", "\"\" is not host or host:port"},
      {"redis+sentinel://a,,b/main", "\"\" is not host or host:port"},
      {"redis+sentinel://a:0/main", "\"a:0\" is not host or host:port"},
      {"redis+sentinel://a/main/16", "\"16\" is not a database number"},
      {"redis+sentinel://a/main?db=1", "takes no parameters"},
      {"redis+sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/main", "at most 16 Sentinels"},
      {"redis+sentinal://a/main", "did you mean redis+sentinel://?"},
      {"redi://h", "did you mean redis://?"},
      {"127.0.0.1:6379", "a URL is needed"},
      {"redis://h/99", "\"99\" is not a database number from 0 to 15"},
      {"redis://h:0", "is not host or host:port"},
      {"redis://", "is not host or host:port"},
      {"redis://h?db=1", "takes no parameters"},
      {"redis://a%zz:b@h", "percent-encoded"},
      {"unix://relative", "absolute/path"},
      {"unix:///x?foo=1", "only parameter"},
  };
  for (const auto& c : cases) {
    const auto result = parse_redis_url(c.url);
    ASSERT_FALSE(result) << c.url;
    EXPECT_NE(result.error().message.find(c.says), std::string::npos) << result.error().message;
  }
}

}  // namespace
}  // namespace stayd
