#include "daemon/redis_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/types.h"
#include "daemon/units.h"
#include "redis/election.h"

namespace stayd {

namespace {

Error bad(std::string text) {
  return make_error(Errc::invalid, std::move(text));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986 section 2.1.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

Result<int> parse_db(std::string_view text) {
  const auto db = parse_integer(text);
  if (!db || *db < 0 || *db >= kDatabases) {
    return bad(fmt::format("\"{}\" is not a database number from 0 to {}", text, kDatabases - 1));
  }
  return static_cast<int>(*db);
}

// "user:password@" in front of the host; `rest` loses it.
Result<void> take_user(std::string_view& rest, RedisTarget& target) {
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view userinfo = rest.substr(0, at);
  const std::size_t colon = userinfo.find(':');
  // As redis-cli: one word alone is the password.
  const bool has_user = colon != std::string_view::npos;
  const auto user = percent_decode(has_user ? userinfo.substr(0, colon) : "");
  const auto password = percent_decode(has_user ? userinfo.substr(colon + 1) : userinfo);
  if (!user || !password) {
    return bad("the user or password in the URL is not percent-encoded correctly (RFC 3986)");
  }
  target.user = *user;
  target.password = *password;
  rest.remove_prefix(at + 1);
  return {};
}

Result<RedisTarget> parse_unix(std::string_view rest) {
  RedisTarget target;
  if (const auto taken = take_user(rest, target); !taken) return taken.error();
  const std::size_t question = rest.find('?');
  const std::string_view query =
      question == std::string_view::npos ? "" : rest.substr(question + 1);
  const auto path = percent_decode(rest.substr(0, question));
  const auto endpoint = path ? parse_address("unix:" + *path) : std::nullopt;
  if (!endpoint) return bad("a unix URL is unix:///absolute/path?db=0, at most 107 bytes of path");
  target.endpoint = *endpoint;
  if (query.empty()) return target;
  if (!query.starts_with("db=")) return bad("the only parameter of a unix URL is db=N");
  const auto db = parse_db(query.substr(3));
  if (!db) return db.error();
  target.db = *db;
  return target;
}

// "host" or "host:port".
Result<Endpoint> parse_host(std::string_view text, std::uint16_t default_port) {
  const bool has_port = text.find(':') != std::string_view::npos && !text.ends_with(']');
  const auto endpoint =
      parse_address(has_port ? std::string(text) : fmt::format("{}:{}", text, default_port));
  if (!endpoint || endpoint->port == 0 || !endpoint->unix_path.empty()) {
    return bad(fmt::format("\"{}\" is not host or host:port", text));
  }
  return *endpoint;
}

Result<RedisTarget> parse_tcp(std::string_view rest) {
  RedisTarget target;
  if (const auto taken = take_user(rest, target); !taken) return taken.error();
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return bad("a redis URL takes no parameters: redis://[user:password@]host[:port][/db]");
  }
  const std::size_t slash = rest.find('/');
  const std::string_view db = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  const auto endpoint = parse_host(rest.substr(0, slash), RedisTarget::kRedisPort);
  if (!endpoint) return endpoint.error();
  target.endpoint = *endpoint;
  if (db.empty()) return target;
  const auto number = parse_db(db);
  if (!number) return number.error();
  target.db = *number;
  return target;
}

Result<std::vector<Endpoint>> parse_hosts(std::string_view hosts, std::uint16_t default_port) {
  std::vector<Endpoint> out;
  for (bool more = true; more;) {
    const std::size_t comma = hosts.find(',');
    const auto host = parse_host(hosts.substr(0, comma), default_port);
    if (!host) return host.error();
    out.push_back(*host);
    more = comma != std::string_view::npos;
    if (more) hosts.remove_prefix(comma + 1);
  }
  return out;
}

Result<RedisTarget> parse_cluster(std::string_view rest) {
  constexpr std::string_view kForm = "redis+cluster://[user:password@]host[:port],host[:port]";
  RedisTarget target;
  target.endpoint.port = 0;
  if (const auto taken = take_user(rest, target); !taken) return taken.error();
  if (rest.ends_with("/0")) rest.remove_suffix(1);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return bad(
        fmt::format("a Cluster has database 0 and no other, and its URL no parameters: {}", kForm));
  }
  auto seeds = parse_hosts(rest, RedisTarget::kRedisPort);
  if (!seeds) return seeds.error();
  target.seeds = std::move(*seeds);
  return target;
}

Result<RedisTarget> parse_sentinel(std::string_view rest) {
  constexpr std::string_view kForm =
      "redis+sentinel://[user:password@]host[:port],host[:port]/name[/db]";
  RedisTarget target;
  target.endpoint.port = 0;
  if (const auto taken = take_user(rest, target); !taken) return taken.error();
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return bad(fmt::format("a Sentinel URL takes no parameters: {}", kForm));
  }
  std::string_view hosts = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(rest.size(), hosts.size() + 1));
  const auto name = percent_decode(rest.substr(0, rest.find('/')));
  if (!name || name->empty()) {
    return bad(
        fmt::format("the name that the Sentinels know the primary by is missing: {}", kForm));
  }
  target.primary_name = *name;
  auto sentinels = parse_hosts(hosts, RedisTarget::kSentinelPort);
  if (!sentinels) return sentinels.error();
  target.sentinels = std::move(*sentinels);
  if (target.sentinels.size() > PrimaryElection::kMaxSentinels) {
    return bad(fmt::format("at most {} Sentinels are asked", PrimaryElection::kMaxSentinels));
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size()) return target;
  const auto db = parse_db(rest.substr(slash + 1));
  if (!db) return db.error();
  target.db = *db;
  return target;
}

}  // namespace

std::string RedisTarget::text() const {
  if (!by_sentinel() && !cluster()) return endpoint.text();
  std::vector<std::string> hosts;
  for (const Endpoint& host : cluster() ? seeds : sentinels) hosts.push_back(host.text());
  return fmt::format("{} of {}", cluster() ? "the Cluster" : primary_name, fmt::join(hosts, ","));
}

Result<RedisTarget> parse_redis_url(std::string_view url) {
  const std::size_t colons = url.find("://");
  if (colons == std::string_view::npos) {
    return bad("a URL is needed, like redis://127.0.0.1:6379/0 or unix:///run/redis.sock");
  }
  const std::string_view scheme = url.substr(0, colons);
  const std::string_view rest = url.substr(colons + 3);
  if (scheme == "redis" || scheme == "rediss") {
    auto target = parse_tcp(rest);
    if (target) target->tls = scheme == "rediss";
    return target;
  }
  if (scheme == "unix" || scheme == "redis+unix" || scheme == "redis-socket") {
    return parse_unix(rest);
  }
  if (scheme == "redis+sentinel" || scheme == "rediss+sentinel") {
    auto target = parse_sentinel(rest);
    if (target) target->tls = scheme == "rediss+sentinel";
    return target;
  }
  if (scheme == "redis+cluster" || scheme == "rediss+cluster") {
    auto target = parse_cluster(rest);
    if (target) target->tls = scheme == "rediss+cluster";
    return target;
  }
  const std::string_view known =
      nearest_name(scheme, {"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel",
                            "redis+cluster", "rediss+cluster"});
  return bad(fmt::format(
      "{}:// is not a scheme of Redis; {}", scheme,
      known.empty() ? "use redis:// or unix://" : fmt::format("did you mean {}://?", known)));
}

}  // namespace stayd
