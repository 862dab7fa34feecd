// For tests: seeded random commands over a few keys, good, odd and wrong ones.
#pragma once

#include <cctype>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "session/script_texts_test.h"
#include "session/scripts.h"

namespace stayd::testing {

// Words of a pattern: K key, V value, F field or member, I integer, D float step, S score,
// R score bound, L name bound, N rank, T seconds, P milliseconds, A Unix seconds, B Unix
// milliseconds, O option of EXPIRE or empty, Z 0 or 1, C count, X cursor, G glob. Others stand for
// themselves.
inline const std::vector<std::string>& command_patterns() {
  static const std::vector<std::string> patterns = {
      "GET K",
      "GET K",
      "SET K V",
      "SET K V",
      "SET K V EX T",
      "SET K V PX P",
      "SET K V EXAT A",
      "SET K V PXAT B",
      "SET K V NX",
      "SET K V XX",
      "SET K V KEEPTTL",
      "SET K V GET",
      "SET K V XX GET KEEPTTL",
      "SET K V EX T NX GET",
      "SET K V GET PXAT B XX",
      "SET K V NX XX",
      "SET K V EX T PX P",
      "SET K V EX T EX T",
      "SET K V KEEPTTL EX T",
      "SET K V EX",
      "SET K V FOO",
      "SETEX K T V",
      "PSETEX K P V",
      "SETNX K V",
      "GETSET K V",
      "GETDEL K",
      "GETEX K",
      "GETEX K EX T",
      "GETEX K PX P",
      "GETEX K EXAT A",
      "GETEX K PXAT B",
      "GETEX K PERSIST",
      "GETEX K PERSIST EX T",
      "GETEX K NX",
      "APPEND K V",
      "STRLEN K",
      "GETRANGE K N N",
      "SUBSTR K N N",
      "SETRANGE K N V",
      "INCR K",
      "DECR K",
      "INCRBY K I",
      "DECRBY K I",
      "INCRBYFLOAT K D",
      "MGET K K K",
      "MSET K V K V",
      "MSET K V K",
      "MSETNX K V K V",
      "DEL K",
      "DEL K K",
      "UNLINK K K",
      "EXISTS K K K",
      "TYPE K",
      "TOUCH K K",
      "EXPIRE K T",
      "EXPIRE K T O",
      "PEXPIRE K P",
      "PEXPIRE K P O",
      "EXPIREAT K A",
      "EXPIREAT K A O",
      "PEXPIREAT K B O",
      "PEXPIREAT K B",
      "EXPIRE K T O O",
      "TTL K",
      "PTTL K",
      "EXPIRETIME K",
      "PEXPIRETIME K",
      "PERSIST K",
      "RENAME K K",
      "RENAMENX K K",
      "COPY K K",
      "COPY K K REPLACE",
      "COPY K K FOO",
      "HSET K F V",
      "HSET K F V F V",
      "HSET K F V F",
      "HMSET K F V F I",
      "HSETNX K F V",
      "HGET K F",
      "HMGET K F F",
      "HDEL K F",
      "HDEL K F F F",
      "HLEN K",
      "HSTRLEN K F",
      "HEXISTS K F",
      "HKEYS K",
      "HVALS K",
      "HGETALL K",
      "HINCRBY K F I",
      "HINCRBYFLOAT K F D",
      "HSCAN K X",
      "HSCAN K X MATCH G",
      "HSCAN K X COUNT C",
      "HSCAN K X FOO",
      "HRANDFIELD K",
      "HRANDFIELD K C",
      "HRANDFIELD K C WITHVALUES",
      "HRANDFIELD K C FOO",
      "SADD K F",
      "SADD K F F F",
      "SREM K F",
      "SREM K F F F",
      "SISMEMBER K F",
      "SMISMEMBER K F F",
      "SMEMBERS K",
      "SCARD K",
      "SMOVE K K F",
      "SPOP K",
      "SPOP K C",
      "SPOP K C C",
      "SRANDMEMBER K",
      "SRANDMEMBER K C",
      "SSCAN K X",
      "SSCAN K X MATCH G COUNT C",
      "SINTER K K",
      "SUNION K K",
      "SDIFF K K",
      "SINTER K",
      "SINTERSTORE K K K",
      "SUNIONSTORE K K K",
      "SDIFFSTORE K K K",
      "ZADD K S F",
      "ZADD K S F S F",
      "ZADD K S F S",
      "ZADD K NX S F S F",
      "ZADD K XX CH S F S F",
      "ZADD K GT S F S F",
      "ZADD K LT CH S F S F",
      "ZADD K INCR S F",
      "ZADD K XX INCR S F",
      "ZADD K NX INCR S F",
      "ZADD K GT INCR S F",
      "ZADD K NX XX S F",
      "ZADD K GT LT S F",
      "ZADD K INCR S F S F",
      "ZREM K F",
      "ZREM K F F F",
      "ZINCRBY K S F",
      "ZSCORE K F",
      "ZMSCORE K F F",
      "ZCARD K",
      "ZCOUNT K R R",
      "ZLEXCOUNT K L L",
      "ZRANK K F",
      "ZREVRANK K F",
      "ZRANGE K N N",
      "ZRANGE K N N WITHSCORES",
      "ZRANGE K N N REV WITHSCORES",
      "ZRANGE K R R BYSCORE",
      "ZRANGE K R R BYSCORE REV LIMIT N N WITHSCORES",
      "ZRANGE K L L BYLEX",
      "ZRANGE K L L BYLEX REV LIMIT N N",
      "ZRANGE K L L BYLEX WITHSCORES",
      "ZRANGE K N N LIMIT N N",
      "ZRANGE K N N BYSCORE BYLEX",
      "ZRANGE K N N FOO",
      "ZRANGEBYSCORE K R R",
      "ZRANGEBYSCORE K R R WITHSCORES LIMIT N N",
      "ZREVRANGEBYSCORE K R R",
      "ZREVRANGEBYSCORE K R R LIMIT N N WITHSCORES",
      "ZRANGEBYLEX K L L",
      "ZRANGEBYLEX K L L LIMIT N N",
      "ZREVRANGEBYLEX K L L",
      "ZREVRANGE K N N",
      "ZREVRANGE K N N WITHSCORES",
      "ZREMRANGEBYSCORE K R R",
      "ZREMRANGEBYRANK K N N",
      "ZREMRANGEBYLEX K L L",
      "ZPOPMIN K",
      "ZPOPMIN K C",
      "ZPOPMAX K",
      "ZPOPMAX K C",
      "ZPOPMIN K C C",
      "ZSCAN K X",
      "ZSCAN K X MATCH G",
      "EVALSHA 0123456789012345678901234567890123456789 1 K",
      "EVALSHA abc 0",
      "EVALSHA B70C2384248F88E6B75B9F89241A180F856AD852 1 K V",
      "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 7 K V",
      "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 -1 K V",
      "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 x K V"};
  return patterns;
}

class RandomCommands {
 public:
  RandomCommands(std::uint64_t seed, std::int64_t start_ms) : random_(seed), start_ms_(start_ms) {}
  virtual ~RandomCommands() = default;

  std::vector<std::string> next() {
    const auto& patterns = command_patterns();
    static const auto scripts = script_texts();
    const std::uint64_t choice = random_.below(patterns.size() + scripts.size());
    std::vector<std::string> words;
    if (choice < patterns.size()) {
      fill(patterns[choice], words);
    } else {
      const ScriptText& script = scripts[choice - patterns.size()];
      const bool by_sha1 = random_.chance(50);
      words = {by_sha1 ? "EVALSHA" : "EVAL", by_sha1 ? sha1_hex(script.text) : script.text};
      fill(script.pattern, words);
      return words;
    }
    if (random_.chance(4)) words.push_back(value());
    if (random_.chance(2) && words.size() > 2) words.pop_back();
    for (std::string& w : words) {
      if (random_.chance(20) && is_option(w)) {
        for (char& c : w) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
    }
    return words;
  }

 protected:
  // What stands for K, V, T, P, A and B; `words` is the command so far.
  virtual std::string key(const std::vector<std::string>&) {
    return any({"a", "b", "c", "d", "e"});
  }
  virtual std::string value() {
    return any({"", "x", "10", "-1", "9223372036854775807", "3.5", "inf", "abc", "1e5", " 5",
                "hello world", "007", std::string("a\0b", 3), "-9223372036854775808"});
  }
  virtual std::string time(char kind) {
    static const std::vector<std::string> bad_times = {"0",
                                                       "-1",
                                                       "abc",
                                                       "9223372036854775807",
                                                       "-9223372036854775808",
                                                       "1.5",
                                                       "",
                                                       "9223372036854775",
                                                       "-9223372036854775",
                                                       "9223372036854776"};
    const auto now = static_cast<std::uint64_t>(start_ms_);
    if (random_.chance(15)) return any(bad_times);
    if (kind == 'T') return number(1000, 1'000'000);
    if (kind == 'P') return number(1'000'000, 1'000'000'000);
    if (kind == 'A') return number(now / 1000 + 1000, 1'000'000);
    return number(now + 1'000'000, 1'000'000'000);
  }

  std::string any(const std::vector<std::string>& pool) { return pool[random_.below(pool.size())]; }
  std::string number(std::uint64_t low, std::uint64_t span) {
    return std::to_string(low + random_.below(span));
  }
  void fill(const std::string& pattern, std::vector<std::string>& words) {
    std::istringstream in(pattern);
    for (std::string w; in >> w;) words.push_back(word(w, words));
  }

  Random random_;

 private:
  static bool is_option(const std::string& word) {
    return word == "NX" || word == "XX" || word == "GET" || word == "EX" || word == "GT" ||
           word == "LT" || word == "WITHSCORES" || word == "LIMIT" || word == "REV" ||
           word == "KEEPTTL" || word == "REPLACE" || word == "MATCH" || word == "COUNT";
  }

  std::string word(const std::string& w, const std::vector<std::string>& words) {
    if (w.size() != 1) return w;
    switch (w[0]) {
      case 'K':
        return key(words);
      case 'V':
        return value();
      case 'F':
        return any({"", "f1", "f2", "f3", "a", "b", "c", "10"});
      case 'I':
        return any({"1", "-1", "5", "0", "-0", "+1", "abc", "", "9223372036854775807",
                    "-9223372036854775808", "9223372036854775808", "1.0", " 1", "01"});
      case 'D':
        return any({"1", "-1", "0.1", "3.0e3", "inf", "-inf", "nan", "abc", "", "1e400", "0x10",
                    " 1", "-0", "1e17", "0.00000000000000000001", "123456789.123456789"});
      case 'S':
        return any({"1",
                    "2",
                    "3",
                    "2",
                    "-1.5",
                    "0",
                    "-0",
                    "inf",
                    "-inf",
                    "+inf",
                    "nan",
                    "abc",
                    "",
                    "0.1",
                    "1e17",
                    "1e22",
                    "123456789012345678",
                    "3.0",
                    "1e-5",
                    "0x10",
                    "1e400"});
      case 'R':
        return any({"1", "2", "(1", "(2", "3", "-inf", "+inf", "(inf", "inf", "0", "", "(", " 1",
                    "abc", "nan", "(nan", "1.5", "(-inf"});
      case 'L':
        return any({"-", "+", "[a", "(a", "[c", "(c", "[f", "[", "(", "", "a", "+x", "[zz"});
      case 'N':
        return any({"0", "1", "2", "-1", "-2", "10", "-10", "3", "0", "-1", "abc", "", "100000",
                    "-9223372036854775808"});
      case 'T':
      case 'P':
      case 'A':
      case 'B':
        return time(w[0]);
      case 'O':
        return any({"", "NX", "XX", "GT", "LT", "nx", "FOO"});
      case 'Z':
        return any({"0", "1"});
      case 'C':
        return any({"0", "1", "2", "3", "-1", "-3", "10", "abc", "", "-9223372036854775808",
                    "9223372036854775807"});
      case 'X':
        return any({"0", "0", "5", "abc", "", "-1", " 0", "18446744073709551616", "1x"});
      case 'G':
        return any({"*", "f*", "?", "[a-c]", "[^f]*", "f\\1", "*1", "[", "f[1-2"});
      default:
        return w;
    }
  }

  std::int64_t start_ms_;
};

}  // namespace stayd::testing
