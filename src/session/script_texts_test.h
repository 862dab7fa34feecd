// For tests: the texts of the known scripts, as the libraries put them on the wire.
#pragma once

#include <string>
#include <vector>

namespace stayd::testing {

inline std::string redis_py_script(const std::string& body) {
  const std::string indent(8, ' ');
  return "\n" + indent + "local token = redis.call('get', KEYS[1])\n" + indent +
         "if not token or token ~= ARGV[1] then\n" + indent + "    return 0\n" + indent + "end\n" +
         body + indent + "return 1\n    ";
}

inline std::string redisson_script(const std::string& call) {
  return "local result = 0;for j = 1, #KEYS, 1 do " + call +
         "if expireSet == 1 then result = expireSet;end; end; return result; ";
}

inline std::string aspnet_script(const std::string& command) {
  const std::string indent(16, ' ');
  return "\n" + indent + "redis.call('" + command +
         "', KEYS[1], 'absexp', ARGV[1], 'sldexp', ARGV[2], 'data', ARGV[4])\n" + indent +
         "if ARGV[3] ~= '-1' then\n" + indent + "  redis.call('EXPIRE', KEYS[1], ARGV[3])\n" +
         indent + "end\n" + indent + "return 1";
}

struct ScriptText {
  std::string text;
  std::string pattern;  // numkeys, keys and arguments, in the words of the differential test
};

inline std::vector<ScriptText> script_texts() {
  const std::string indent(8, ' ');
  const std::string two_ways =
      "local expireSet; if ARGV[2] ~= '' then expireSet = redis.call('@', KEYS[j], ARGV[1], "
      "ARGV[2]); else expireSet = redis.call('@', KEYS[j], ARGV[1]); end; ";
  const auto with = [](std::string text, const std::string& command) {
    for (auto at = text.find('@'); at != std::string::npos; at = text.find('@')) {
      text.replace(at, 1, command);
    }
    return text;
  };
  return {
      {"if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else "
       "return 0 end",
       "1 K V"},
      {"if redis.call(\"get\",KEYS[1]) == ARGV[1] then\n    return redis.call(\"del\",KEYS[1])\n"
       "else\n    return 0\nend",
       "1 K V"},
      {redis_py_script(indent + "redis.call('del', KEYS[1])\n"), "1 K V"},
      {redis_py_script(indent + "redis.call('pexpire', KEYS[1], ARGV[2])\n"), "1 K V P"},
      {redis_py_script(indent + "local expiration = redis.call('pttl', KEYS[1])\n" + indent +
                       "if not expiration then\n" + indent + "    expiration = 0\n" + indent +
                       "end\n" + indent + "if expiration < 0 then\n" + indent + "    return 0\n" +
                       indent + "end\n\n" + indent + "local newttl = ARGV[2]\n" + indent +
                       "if ARGV[3] == \"0\" then\n" + indent +
                       "    newttl = ARGV[2] + expiration\n" + indent + "end\n" + indent +
                       "redis.call('pexpire', KEYS[1], newttl)\n"),
       "1 K V 500000 Z"},
      {"\nlocal value = redis.call(\"INCR\", KEYS[1])\nif value == 1 then\n  "
       "redis.call(\"EXPIRE\", KEYS[1], ARGV[1])\nend\nreturn value\n",
       "1 K T"},
      {"\nlocal value = redis.call(\"GET\", KEYS[1])\nif value ~= false then\n  "
       "redis.call(\"DEL\", KEYS[1])\nend\nreturn value\n",
       "1 K"},
      {redisson_script(with(two_ways, "pexpire")), "1 K P O"},
      {redisson_script(with(two_ways, "pexpire")), "2 K K P O"},
      {redisson_script("local expireSet = redis.call('pexpire', KEYS[j], ARGV[1]); "), "1 K P"},
      {redisson_script(with(two_ways, "pexpireat")), "1 K B O"},
      {redisson_script("local expireSet = redis.call('pexpireat', KEYS[j], ARGV[1]); "), "2 K K B"},
      {redisson_script("local expireSet = redis.call('persist', KEYS[j]); "), "1 K"},
      {redisson_script("local expireSet = redis.call('persist', KEYS[j]); "), "2 K K"},
      {aspnet_script("HSET"), "1 K V V T V"},
      {aspnet_script("HSET"), "1 K V V -1 V"},
      {aspnet_script("HMSET"), "1 K V V T V"},
  };
}

}  // namespace stayd::testing
