#include "daemon/permissions.h"

#include <fmt/format.h>

#include <algorithm>

namespace stayd {

namespace {

using Words = std::vector<std::string_view>;

constexpr std::string_view kSideKey = "stayd:{}:check";
constexpr std::string_view kSha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

struct Needed {
  std::string_view rule;  // as ACL SETUSER names it
  Words command;
};

// docs/operating.md lists them too. With as many arguments as each needs: Redis counts them first.
const std::vector<Needed>& needed() {
  static const std::vector<Needed> kNeeded = {
      {"time", {"TIME"}},
      {"info", {"INFO"}},
      {"select", {"SELECT", "0"}},
      {"script|load", {"SCRIPT", "LOAD", "return 1"}},
      {"evalsha", {"EVALSHA", kSha, "0"}},
      {"client|kill", {"CLIENT", "KILL", "ID", "1"}},
      {"scan", {"SCAN", "0"}},
      {"ping", {"PING"}},
      {"get", {"GET", kSideKey}},
      {"set", {"SET", kSideKey, "1"}},
      {"exists", {"EXISTS", kSideKey}},
      {"unlink", {"UNLINK", kSideKey}},
      {"type", {"TYPE", kSideKey}},
      {"hgetall", {"HGETALL", kSideKey}},
      {"smembers", {"SMEMBERS", kSideKey}},
      {"zrange", {"ZRANGE", kSideKey, "0", "-1"}},
      {"dump", {"DUMP", kSideKey}},
      {"restore", {"RESTORE", kSideKey, "0", "x"}},
      {"hset", {"HSET", kSideKey, "f", "v"}},
      {"sadd", {"SADD", kSideKey, "m"}},
      {"zadd", {"ZADD", kSideKey, "1", "m"}},
      {"pttl", {"PTTL", kSideKey}},
      {"pexpiretime", {"PEXPIRETIME", kSideKey}},
      {"pexpire", {"PEXPIRE", kSideKey, "1"}},
      {"pexpireat", {"PEXPIREAT", kSideKey, "1"}},
      {"del", {"DEL", kSideKey}},
  };
  return kNeeded;
}

enum class Verdict : std::uint8_t { allowed, command, keys };

// Redis 6 to 7.2 word it differently: "... run the 'get' command", "... to access one of the keys".
Result<Verdict> ask(RedisProbe& probe, const Words& command) {
  const auto frame = probe.call(command);
  if (!frame) return frame.error();
  const ReplyView reply(*frame);
  if (reply.is_error() && reply.text().starts_with("NOAUTH")) {
    return make_error(Errc::unavailable, fmt::format("{}: {}", command[0], reply.text()));
  }
  // Of EXEC: "EXECABORT Transaction discarded because of: NOPERM ...".
  if (!reply.is_error() || reply.text().find("NOPERM") == std::string_view::npos) {
    return Verdict::allowed;
  }
  return reply.text().find(" key") == std::string_view::npos ? Verdict::command : Verdict::keys;
}

class Rules {
 public:
  void add(std::string rule) {
    if (std::ranges::find(rules_, rule) == rules_.end()) rules_.push_back(std::move(rule));
  }
  std::vector<Finding> findings(std::string_view user) const {
    const std::string_view name = user.empty() ? "default" : user;
    if (rules_.empty()) {
      return {{Finding::Level::good, "permissions",
               fmt::format("the user {} may do what stayd needs", name)}};
    }
    return {{Finding::Level::problem, "permissions",
             fmt::format("the user {0} lacks permissions: ACL SETUSER {0} {1}", name,
                         fmt::join(rules_, " "))}};
  }

 private:
  std::vector<std::string> rules_;
};

// Reading and writing, of one key.
Result<bool> may_use(RedisProbe& probe, const std::string& key) {
  for (const Words& command : {Words{"GET", key}, Words{"SET", key, "1"}}) {
    const auto verdict = ask(probe, command);
    if (!verdict) return verdict.error();
    if (*verdict == Verdict::keys) return false;
  }
  return true;
}

}  // namespace

std::string key_like(std::string_view glob) {
  std::string out;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    const bool more = i + 1 < glob.size();
    if (glob[i] == '*') {
      out += "stayd-check";
    } else if (glob[i] == '?') {
      out += 'x';
    } else if (glob[i] == '\\' && more) {
      out += glob[++i];
    } else if (glob[i] == '[' && more) {
      const bool negated = glob[i + 1] == '^';
      out += negated ? '~' : glob[i + 1];
      i = std::min(glob.find(']', i), glob.size());
    } else {
      out += glob[i];
    }
  }
  return out;
}

Result<std::vector<Finding>> judge_permissions(RedisProbe& probe, std::string_view user,
                                               const std::vector<std::string>& patterns,
                                               LogoutsWait logouts) {
  Rules rules;
  // EXEC cannot be queued: an empty block is executed, and a second one is not.
  for (const std::string_view word : {"MULTI", "EXEC", "MULTI"}) {
    const auto verdict = ask(probe, {word});
    if (!verdict) return verdict.error();
    if (*verdict == Verdict::command) rules.add(word == "EXEC" ? "+exec" : "+multi");
    if (word == "MULTI" && *verdict == Verdict::command) {
      rules.add("(and what else is missing can be said only with MULTI)");
      return rules.findings(user);
    }
  }
  auto all = needed();
  if (logouts == LogoutsWait::yes) all.push_back({"wait", {"WAIT", "1", "1"}});
  for (const Needed& one : all) {
    const auto verdict = ask(probe, one.command);
    if (!verdict) return verdict.error();
    if (*verdict == Verdict::command) rules.add(fmt::format("+{}", one.rule));
    if (*verdict == Verdict::keys) rules.add("~stayd:{}*");
  }
  for (const std::string& pattern : patterns) {
    const auto may = may_use(probe, key_like(pattern));
    if (!may) return may.error();
    if (!*may) rules.add(fmt::format("~{}", pattern));
  }
  return rules.findings(user);
}

}  // namespace stayd
