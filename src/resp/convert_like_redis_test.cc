// Proved against a real redis-server: the same commands on a RESP2 and on a RESP3 connection, each
// with a database of its own; the RESP3 reply, converted, must be the RESP2 reply.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "resp/convert.h"
#include "resp/real_redis_test.h"

namespace stayd {
namespace {

using testing::RealRedis;
using testing::RedisLink;
using testing::Typed;

std::string converted(std::string_view frame, std::string_view line) {
  const Typed typed(line);
  std::string out;
  append_resp2(out, frame, find_command(typed.args()), typed.args());
  return out;
}

// What a value is does not show in volatile replies; where it stands does.
std::string shape(const ReplyView& view) {
  std::string out(1, static_cast<char>(view.type()));
  ReplyView element;
  for (auto rest = view.elements(); rest.next(element);) out += shape(element);
  return out + (view.size() > 0 ? "]" : "");
}

class ConvertLikeRedis : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<RealRedis>(
        std::vector<std::string>{"--hz", "500", "--enable-debug-command", "yes"});
    old_ = std::make_unique<RedisLink>(*server_);
    young_ = std::make_unique<RedisLink>(*server_);
    old_->type("SELECT 1");
    young_->type("HELLO 3");
    young_->type("SELECT 2");
  }
  static void TearDownTestSuite() {
    old_.reset();
    young_.reset();
    server_.reset();
  }
  void SetUp() override { both({"FLUSHDB"}); }

  static void both(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      const std::string expected = old_->type(line);
      EXPECT_EQ(converted(young_->type(line), line), expected) << line;
    }
  }
  static void same_shape(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      const std::string expected = old_->type(line);
      const std::string reply = converted(young_->type(line), line);
      FrameScanner scanner;
      ASSERT_EQ(scanner.scan(reply).size, reply.size()) << line;
      EXPECT_EQ(shape(ReplyView(reply)), shape(ReplyView(expected))) << line;
      EXPECT_FALSE(ReplyView(expected).is_error()) << line << expected;
    }
  }
  // MULTI, the lines, EXEC.
  static void block(const std::vector<std::string>& lines) {
    std::vector<std::unique_ptr<Typed>> typed;
    std::vector<BlockCommand> commands;
    both({"MULTI"});
    for (const std::string& line : lines) {
      both({line});
      typed.push_back(std::make_unique<Typed>(line));
      commands.push_back({find_command(typed.back()->args()), &typed.back()->args()});
    }
    const std::string expected = old_->type("EXEC");
    const std::string reply = young_->type("EXEC");
    std::string out;
    append_resp2_block(out, reply, commands);
    EXPECT_EQ(out, expected);
  }

  static inline std::unique_ptr<RealRedis> server_;
  static inline std::unique_ptr<RedisLink> old_, young_;
};

// clang-format off: long lists of commands, packed
TEST_F(ConvertLikeRedis, StringsAndKeys) {
  both({"SET s v",
        "GET s", "GET no", "MGET s no s", "SET s w NX", "SET s w GET", "SET no w XX GET",
        "GETDEL s", "GETDEL s", "GETEX s", "INCR n", "INCRBYFLOAT n 1.5", "STRLEN n", "TYPE n",
        "TTL n", "OBJECT ENCODING n", "OBJECT ENCODING no", "DUMP no", "EXISTS n no", "KEYS *",
        "RANDOMKEY", "SCAN 0", "SET a hello", "SET b hallo", "LCS a b", "LCS a b LEN",
        "LCS a b IDX", "LCS a b IDX WITHMATCHLEN", "GET", "LPUSH a 1", "SUBSTR a 0 1",
        "BITFIELD bf SET u8 0 1", "BITFIELD bf OVERFLOW FAIL INCRBY u2 0 9", "SETBIT bf 1 1",
        "BITPOS bf 1", "PFADD p a", "PFCOUNT p", "MEMORY USAGE no", "OBJECT FREQ a", "RENAME no x",
        "COPY a c", "SORT no", "EXPIRETIME a", "WAIT 0 0",
        "TOUCH a"});
}

TEST_F(ConvertLikeRedis, Hashes) {
  both({"HGETALL h",
        "HRANDFIELD h", "HRANDFIELD h 2", "HRANDFIELD h 2 WITHVALUES", "HSET h f v", "HGETALL h",
        "HGET h f", "HGET h no", "HMGET h f no", "HKEYS h", "HVALS h", "HRANDFIELD h",
        "HRANDFIELD h 2", "HRANDFIELD h 2 WITHVALUES", "HRANDFIELD h -2 WITHVALUES",
        "HINCRBYFLOAT h n 0.5", "HSCAN h 0", "HEXISTS h f", "HSTRLEN h f", "HDEL h f n",
        "HLEN h"});
}

TEST_F(ConvertLikeRedis, Lists) {
  both({"LPOP l",
        "LPOP l 2", "RPOP l", "RPOP l 1", "RPUSH l a b c d e f", "LPOP l", "LPOP l 2", "RPOP l 1",
        "LPOP l 0", "LRANGE l 0 -1", "LINDEX l 9", "LPOS l b", "LPOS l zz", "LPOS l zz COUNT 0",
        "LMPOP 1 no LEFT", "LMPOP 2 no l LEFT", "LMOVE no l LEFT LEFT", "RPOPLPUSH no l",
        "BLPOP l no 1", "RPUSH l x y z", "BLMPOP 1 1 l LEFT COUNT 2", "BRPOPLPUSH l m 1",
        "LINSERT no BEFORE a b", "SORT m ALPHA", "RPUSH m 1",
        "SORT m BY nosort GET # GET missing_*",
        "SORT_RO m ALPHA"});
  both({"BLPOP no 0.01", "BRPOP no 0.01", "BLMPOP 0.01 1 no LEFT", "BLMOVE no l LEFT LEFT 0.01",
        "BRPOPLPUSH no l 0.01", "BZPOPMIN no 0.01", "BZPOPMAX no 0.01", "BZMPOP 0.01 1 no MIN"});
}

TEST_F(ConvertLikeRedis, Sets) {
  both({"SMEMBERS s",       "SPOP s",           "SPOP s 2",        "SRANDMEMBER s",
        "SRANDMEMBER s 2",  "SADD s a",         "SMEMBERS s",      "SISMEMBER s a",
        "SMISMEMBER s a b", "SRANDMEMBER s",    "SRANDMEMBER s 2", "SRANDMEMBER s -3",
        "SADD t a b 1 2 3", "SMEMBERS t",       "SINTER s t",      "SUNION s t",
        "SDIFF t s",        "SINTERCARD 2 s t", "SSCAN t 0",       "SPOP s 5",
        "SPOP s",           "SMOVE t s a",      "SPOP s",          "SINTERSTORE u s t"});
}

TEST_F(ConvertLikeRedis, SortedSets) {
  both({"ZRANGE z 0 -1 WITHSCORES",
        "ZSCORE z a", "ZADD z 1 a 2.5 b inf c 1e300 d", "ZSCORE z a", "ZSCORE z b", "ZSCORE z no",
        "ZMSCORE z a no c", "ZINCRBY z 0.1 a", "ZADD z INCR 1 a", "ZADD z NX INCR 1 a",
        "ZRANK z a", "ZRANK z no", "ZRANGE z 0 -1", "ZRANGE z 0 -1 WITHSCORES",
        "ZREVRANGE z 0 -1 WITHSCORES", "ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 2",
        "ZREVRANGEBYSCORE z +inf -inf WITHSCORES", "ZRANGE z 9 10 WITHSCORES", "ZRANDMEMBER no",
        "ZRANDMEMBER no 2", "ZRANDMEMBER no 2 WITHSCORES", "ZADD one 1 m", "ZRANDMEMBER one",
        "ZRANDMEMBER one 3", "ZRANDMEMBER one 3 WITHSCORES", "ZUNION 2 z one WITHSCORES",
        "ZUNION 2 z one", "ZINTER 2 z z WITHSCORES", "ZDIFF 2 z one WITHSCORES",
        "ZUNIONSTORE u 2 z one", "ZSCAN z 0", "ZPOPMIN no", "ZPOPMIN no 2", "ZPOPMIN z",
        "ZPOPMIN z 2", "ZPOPMAX z 1", "ZPOPMAX z", "ZADD z 1 a 2 b 3 c", "ZMPOP 1 no MIN",
        "ZMPOP 2 no z MIN COUNT 2", "BZPOPMIN z 1", "ZADD z 1 a 2 b 3 c", "BZMPOP 1 1 z MAX",
        "BZPOPMAX z 1", "ZCOUNT z 0 1", "ZLEXCOUNT z - +", "ZRANGEBYLEX z - +", "ZADD w 1 a",
        "ZRANGE w 0 -1 BYSCORE", "ZADD w x a",
        "ZRANGESTORE v w 0 -1"});
}

TEST_F(ConvertLikeRedis, Geo) {
  both({"GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEOPOS g Palermo no Catania", "GEOPOS no a", "GEOPOS g", "GEODIST g Palermo Catania",
        "GEODIST g Palermo no", "GEOHASH g Palermo no",
        "GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH ASC",
        "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 300 km ASC WITHCOORD WITHDIST",
        "GEORADIUSBYMEMBER_RO g Palermo 300 km ASC", "GEOSEARCH no FROMLONLAT 1 1 BYRADIUS 1 m"});
}

TEST_F(ConvertLikeRedis, Streams) {
  both({"XREAD COUNT 1 STREAMS x 0",
        "XADD x 1-1 f v g w", "XADD x 2-1 f v", "XADD y 1-1 a b", "XADD no NOMKSTREAM * a b",
        "XRANGE x - +", "XREVRANGE x + -", "XRANGE no - +", "XREAD COUNT 1 STREAMS x y 0 0",
        "XREAD STREAMS x 9", "XREAD BLOCK 5 STREAMS x $", "XGROUP CREATE x grp 0",
        "XPENDING x grp", "XREADGROUP GROUP grp me STREAMS x >",
        "XREADGROUP GROUP grp me STREAMS x >", "XREADGROUP GROUP grp me STREAMS x 0",
        "XREADGROUP GROUP grp me BLOCK 5 STREAMS x >", "XPENDING x grp", "XINFO GROUPS x",
        "XINFO STREAM y", "XCLAIM x grp you 0 1-1", "XAUTOCLAIM x grp you 0 0", "XACK x grp 1-1",
        "XDEL x 2-1", "XREADGROUP GROUP grp you STREAMS x 0", "XPENDING x nogroup", "XLEN x",
        "XINFO STREAM no",
        "XINFO HELP"});
  same_shape(
      {"XPENDING x grp - + 10", "XINFO CONSUMERS x grp", "XINFO STREAM x", "XINFO STREAM x FULL"});
}

TEST_F(ConvertLikeRedis, Scripts) {
  both({"EVAL 'return {1,{2,false,\"x\"},{ok=\"fine\"},3.9}' 0",
        "EVAL 'return nil' 0",
        "EVAL 'return false' 0",
        "EVAL 'return true' 0",
        "EVAL 'return {err=\"ERR bad\"}' 0",
        "EVAL 'redis.setresp(3); return true' 0",
        "EVAL 'redis.setresp(3); return {true,false}' 0",
        "EVAL 'return {double=3.5}' 0",
        "EVAL 'return {map={a=1}}' 0",
        "EVAL 'return {set={a=true}}' 0",
        "EVAL 'return {big_number=\"12345678901234567890\"}' 0",
        "EVAL 'return {verbatim_string={format=\"txt\",string=\"hello\"}}' 0",
        "EVAL 'redis.call(\"HSET\",KEYS[1],\"f\",\"v\"); return redis.call(\"HGETALL\",KEYS[1])' 1 "
        "h",
        "EVAL 'redis.setresp(3); return redis.call(\"HGETALL\",KEYS[1])' 1 h",
        "EVAL 'redis.call(\"ZADD\",KEYS[1],1.5,\"m\") return redis.call(\"ZRANGE\",KEYS[1],0,-1,"
        "\"WITHSCORES\")' 1 z",
        "EVAL 'redis.setresp(3); return redis.call(\"ZRANGE\",KEYS[1],0,-1,\"WITHSCORES\")' 1 z",
        "EVAL 'return redis.call(\"BLPOP\",\"no\",0)' 0",
        "EVALSHA 0123 0",
        "SCRIPT LOAD 'return 1'",
        "SCRIPT EXISTS a b",
        "EVAL_RO 'return redis.call(\"GET\",\"no\")' 0",
        "FUNCTION LOAD REPLACE \"#!lua name=lib\\nredis.register_function{function_name='f', "
        "callback=function(k,a) return {1,false} end, flags={'no-writes'}}\"",
        "FCALL f 0",
        "FUNCTION LIST",
        "FUNCTION LIST WITHCODE",
        "FUNCTION STATS",
        "FUNCTION FLUSH",
        "FUNCTION LIST"});
}

TEST_F(ConvertLikeRedis, Server) {
  both({"PING",
        "PING hi", "ECHO x", "TIME no", "CONFIG GET maxmemory*", "CONFIG GET nothing",
        "COMMAND COUNT", "COMMAND INFO get nothing client", "COMMAND DOCS get hset",
        "COMMAND DOCS no", "COMMAND GETKEYS GET a", "COMMAND GETKEYSANDFLAGS SET a b", "COMMAND",
        "COMMAND LIST", "COMMAND LIST FILTERBY PATTERN xr*", "CLIENT GETNAME", "CLIENT SETNAME x",
        "CLIENT GETNAME", "CLIENT TRACKINGINFO", "CLIENT GETREDIR", "CLIENT KILL ID 999",
        "CLIENT UNBLOCK 999", "CLIENT NOSUCH", "NOSUCH", "DBSIZE", "ROLE", "LASTSAVE",
        "SLOWLOG LEN", "OBJECT HELP", "LOLWUT VERSION 1", "ACL WHOAMI", "ACL USERS",
        "ACL GETUSER default", "ACL GETUSER no", "ACL CAT", "ACL LIST", "ACL LOG",
        "LATENCY LATEST", "LATENCY DOCTOR", "LATENCY HISTOGRAM no", "MEMORY DOCTOR", "MEMORY HELP",
        "MODULE LIST", "PUBSUB CHANNELS", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT",
        "PUBSUB SHARDNUMSUB a", "CLUSTER INFO", "CLUSTER SLOTS", "PUBLISH c m", "DEBUG JMAP",
        "SWAPDB a b", "RESET no",
        "SELECT 99"});
  same_shape({"INFO", "CLIENT INFO", "CLIENT LIST", "MEMORY STATS", "MEMORY USAGE no SAMPLES 1",
              "MEMORY MALLOC-STATS", "SLOWLOG GET", "LATENCY HISTOGRAM ping", "TIME", "LOLWUT",
              "CLIENT ID"});
}

TEST_F(ConvertLikeRedis, Blocks) {
  block({"SET s v",
         "GET s",
         "GET no",
         "HSET h f v",
         "HGETALL h",
         "LPOP no",
         "LPOP no 2",
         "ZADD z 1.5 m",
         "ZSCORE z m",
         "ZRANGE z 0 -1 WITHSCORES",
         "ZPOPMIN z 1",
         "INCR h",
         "BLPOP no 1",
         "BLMOVE no no LEFT LEFT 1",
         "BRPOPLPUSH no no 1",
         "BZPOPMIN no 1",
         "LMPOP 1 no LEFT",
         "XADD x 1-1 f v",
         "XREAD STREAMS x 0",
         "XREAD STREAMS x 9",
         "GEOPOS no a b",
         "SMEMBERS no",
         "CONFIG GET maxmemory",
         "COMMAND INFO nothing",
         "PING",
         "EVAL 'return {1,false}' 0"});
  block({});
}

TEST_F(ConvertLikeRedis, FailedBlocks) {
  both({"WATCH s", "SET s v", "MULTI", "GET s", "EXEC", "MULTI", "NOSUCH", "EXEC", "EXEC", "MULTI",
        "DISCARD"});
  std::string out;
  append_resp2_block(out, "_\r\n", {});
  EXPECT_EQ(out, "*-1\r\n");
}

}  // namespace
}  // namespace stayd
