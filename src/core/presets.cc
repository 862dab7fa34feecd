// The presets: what each session library calls its keys, and which promises fit its habits.
//
// A row is used in the order it stands here, so locks and indexes stand before the sessions whose
// pattern would take them. Names are the libraries' defaults; where an application chose another
// prefix, it writes `match` itself.
//
// fence: `off` unless the library's habit makes anything else certain, because a wrong fence drops
// a real login, while `off` behaves exactly as Redis.
//  - forever: the library creates with NX only (django cache, tower-sessions, actix); in it, a save
//  of
//    a session that is gone fails anyway.
//  - 30s: the library never uses a destroyed id again (express-session makes a new id after a
//  miss);
//    an application that does so anyway reads first, and that ABSENT opens the fence.
//  - off for those that write the same id again after DEL (PHP, Laravel, Flask, Magento, hapi, ...)
//  and
//    those whose creation is a plain write that nothing tells from a late save (spring, django
//    cached_db).
// unknown: `hold` where the library takes any error for a logout; otherwise an error keeps the
// cookie.
#include <algorithm>

#include "core/policy.h"

namespace stayd {

namespace {

struct PresetRow {
  std::string_view preset;
  std::string_view match;
  KeyClass key_class = KeyClass::session;
  Fence fence = Fence::off;
  UnknownPolicy unknown = UnknownPolicy::error;
};

constexpr auto kLock = KeyClass::lock;
constexpr auto kIndex = KeyClass::index;
constexpr auto kSession = KeyClass::session;
constexpr auto kHold = UnknownPolicy::hold;

#define STAYD_X4(c) c c c c
#define STAYD_HEX "[0-9a-fA-F]"
#define STAYD_HEX4 STAYD_X4(STAYD_HEX)
#define STAYD_HEX12 STAYD_HEX4 STAYD_HEX4 STAYD_HEX4
#define STAYD_UUID \
  STAYD_HEX4 STAYD_HEX4 "-" STAYD_HEX4 "-" STAYD_HEX4 "-" STAYD_HEX4 "-" STAYD_HEX12
#define STAYD_ALNUM "[0-9A-Za-z]"
#define STAYD_ALNUM16 STAYD_X4(STAYD_X4(STAYD_ALNUM))
#define STAYD_BASE64URL "[-0-9A-Za-z_]"

constexpr PresetRow kRows[] = {
    // --- Node ---
    {"express", "sess:*", kSession, Fence::seconds30},
    {"fastify", "sess:*"},
    {"koa", "koa:sess:*"},
    {"koa", STAYD_UUID},  // koa-session with koa-redis has no prefix
    {"hapi", "hapi-cache:*"},
    {"keyv", "*::*"},
    {"better-auth", "better-auth:active-sessions-*", kIndex},
    {"better-auth", "better-auth:*"},
    {"unstorage", "base:*"},
    {"redis-sessions", "rs:*:_sessions", kIndex},
    {"redis-sessions", "rs:*:_users", kIndex},
    {"redis-sessions", "rs:SESSIONS", kIndex},
    {"redis-sessions", "rs:*:us:*", kIndex},
    {"redis-sessions", "rs:*"},
    {"lucia", "user_sessions:*", kIndex},
    {"lucia", "session:*"},
    {"adonis", "session_tag:*", kIndex},
    {"adonis", "*"},  // the bare session id
    {"egg", "*"},     // the bare session id
    {"sveltekit", "sess:*"},
    {"shopify", "shopify_sessions_*"},
    // --- Python ---
    {"django", "*:django.contrib.sessions.cached_db*", kSession, Fence::off, kHold},
    {"django", "*:django.contrib.sessions.cache*", kSession, Fence::forever, kHold},
    {"django-redis-sessions", "session:*", kSession, Fence::off, kHold},
    {"flask", "session:*"},
    {"aiohttp", "AIOHTTP_SESSION_*"},
    {"starsessions", "starsessions.*"},
    {"beaker", "beaker_lock:*", kLock},
    {"beaker", "beaker_cache:*:session"},
    // --- PHP ---
    {"php", "PHPREDIS_SESSION:*_LOCK", kLock},
    {"php", "PHPREDIS_SESSION:*", kSession, Fence::off, kHold},
    {"symfony", "sf_s*"},
    {"predis", "*"},  // the bare session id
    {"laravel", "*_database_*_cache:session:*", kLock},
    {"laravel", "*-database-*-cache-session:*", kLock},
    {"laravel", "*_database_*_cache:*"},
    {"laravel", "*-database-*-cache-*"},
    {"magento", "sess_*"},  // its lock is a field of the session's hash
    {"moodle", "*session_*.lock", kLock},
    {"moodle", "*user_*", kIndex},
    {"moodle", "*session_*"},
    {"codeigniter", "ci_session:*:lock", kLock},
    {"codeigniter", "ci_session:*"},
    {"yii", "*" STAYD_X4(STAYD_HEX4) STAYD_X4(STAYD_HEX4)},  // ends with an MD5
    {"typo3", "typo3_ses_*"},
    {"wordpress", "*:user_meta:*"},
    // --- Ruby ---
    {"rails", "_session_id:*", kSession, Fence::off, kHold},
    {"rails", "2::*", kSession, Fence::off, kHold},  // redis-actionpack (:redis_store)
    {"redis-rack", "2::*"},
    {"redis-session-store", "*2::*", kSession, Fence::off, kHold},
    // --- Go ---
    {"gorilla", "session_*"},
    {"scs", "scs:session:*"},
    {"gofiber", "*"},  // the bare session id
    // --- Perl, JVM, .NET, Lua, Elixir, Rust ---
    {"catalyst", "session:*"},
    {"catalyst", "expires:*"},
    {"spring", "spring:session:*:index:*", kIndex},
    {"spring", "spring:session:index:*", kIndex},
    {"spring", "spring:session:*expirations:*", kIndex},
    {"spring", "spring:session:*"},
    {"aspnet", "*" STAYD_UUID},  // InstanceName and a GUID
    {"redisson", "redisson:tomcat_session:*"},
    {"kong", "session:*"},
    {"kong", "sessions:*"},
    {"redbird", "*"},  // a signed key
    {"tower-sessions",
     STAYD_X4(STAYD_X4(STAYD_BASE64URL)) STAYD_X4(STAYD_BASE64URL) STAYD_BASE64URL STAYD_BASE64URL,
     kSession, Fence::forever},
    {"actix", STAYD_X4(STAYD_ALNUM16), kSession, Fence::forever},
};

}  // namespace

std::optional<std::vector<SessionPolicy>> preset_policies(std::string_view name) {
  std::vector<SessionPolicy> blocks;
  for (const PresetRow& row : kRows) {
    if (row.preset != name) continue;
    SessionPolicy block;
    block.match = std::string(row.match);
    block.key_class = row.key_class;
    block.fence = row.fence;
    block.unknown = row.unknown;
    blocks.push_back(std::move(block));
  }
  if (blocks.empty()) return std::nullopt;
  return blocks;
}

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names;
  for (const PresetRow& row : kRows) {
    if (std::ranges::find(names, row.preset) == names.end()) names.push_back(row.preset);
  }
  return names;
}

}  // namespace stayd
