// The table of configuration keys itself.
#include <algorithm>

#include "daemon/config_keys.h"

namespace stayd {

namespace {

#define STAYD_FIELD(member) [](Config& c) -> ConfigField { return &c.member; }

constexpr std::int64_t kSecond = 1'000, kMinute = 60 * kSecond, kHour = 60 * kMinute;
constexpr std::int64_t kMB = 1 << 20, kGB = kMB << 10;

// clang-format off
const ConfigKey kKeys[] = {
    {"", "mode", STAYD_FIELD(mode),
     "protect: answer instead of Redis when it cannot, and put back what it lost. observe: only "
     "take over and count; the first step of any roll-out.", "protect|observe"},
    {"", "max_island", STAYD_FIELD(max_island),
     "How long sessions may be answered from memory alone, with neither Redis nor the ledger to "
      "ask.",
     "", 0, 24 * kHour},
    {"", "strict_logout", STAYD_FIELD(strict_logout),
     "Refuse a logout (DEL) that cannot be made durable, instead of acknowledging it degraded."},
    {"", "blind_accept", STAYD_FIELD(blind_accept),
     "Accept what an unverified Redis holds while the ledger cannot be asked. false: answer "
     "\"temporarily unknown\"."},
    {"", "admin", STAYD_FIELD(admin),
     "Let administration commands through the Redis port (ACL, DEBUG, MONITOR, SHUTDOWN ...)."},

    {"listen", "resp", STAYD_FIELD(listen.resp),
     "Where the Redis port listens: \"host:port\" or \"unix:/path\"."},
    {"listen", "tls", STAYD_FIELD(listen.tls),
     "Where the Redis port listens for clients that speak TLS: \"host:port\"."},
    {"listen", "tls_cert_file", STAYD_FIELD(listen.tls_files.cert_file),
     "The certificate, with its chain, that these clients are shown, PEM. These files are read "
     "again when they change."},
    {"listen", "tls_key_file", STAYD_FIELD(listen.tls_files.key_file),
     "Its key, PEM without a passphrase."},
    {"listen", "tls_ca_file", STAYD_FIELD(listen.tls_files.ca_file),
     "Whom the certificates of these clients must be signed by, PEM. Empty: they need none."},
    {"listen", "http", STAYD_FIELD(listen.http),
     "Where /livez, /readyz, /metrics and /status.json are served; \"off\": nowhere."},
    {"listen", "unix_mode", STAYD_FIELD(listen.unix_mode),
     "Permissions of the unix sockets, octal."},
    {"listen", "max_clients", STAYD_FIELD(listen.max_clients),
     "Clients of the Redis port at once; more are refused as Redis refuses them.", "", 1,
      1'000'000},
    {"listen", "password", STAYD_FIELD(listen.password),
     "What clients must give with AUTH. Empty: no password is asked, unless [[users]] exist."},
    {"listen", "password_file", STAYD_FIELD(listen.password_file),
     "A file whose first line is that password."},

    {"redis", "name", STAYD_FIELD(redis.name),
     "What this Redis is called, for people and `stayd switch`. Needed where there are several "
     "[[redis]] blocks."},
    {"redis", "url", STAYD_FIELD(redis.url),
     "The primary: redis://[user:password@]host:port/db, rediss:// (the same over TLS) or "
     "unix:///path?db=N; or the Sentinels that know it: "
     "redis+sentinel://[user:password@]host:port,host:port/name/db, where user and password are "
     "those of Redis; or some nodes of a Redis Cluster: "
     "redis+cluster://[user:password@]host:port,host:port."},
    {"redis", "user", STAYD_FIELD(redis.user), "ACL user, if the URL has none."},
    {"redis", "password", STAYD_FIELD(redis.password), "Password, if the URL has none."},
    {"redis", "password_file", STAYD_FIELD(redis.password_file),
     "A file whose first line is that password; looked at again for each new connection."},
    {"redis", "password_command", STAYD_FIELD(redis.password_command),
     "A program, by its whole path, and its arguments, that prints that password; run without a "
     "shell, for new connections, each 5 s at most. It has 10 s."},
    {"redis", "iam_cache", STAYD_FIELD(redis.iam.cache),
     "ElastiCache with IAM: the name of the replication group, or of the serverless cache. For "
     "each connection a token is signed with the AWS keys of the environment (AWS_ACCESS_KEY_ID "
     "...) or of the shared credentials file."},
    {"redis", "iam_region", STAYD_FIELD(redis.iam.region),
     "Its region. Default: $AWS_REGION, $AWS_DEFAULT_REGION."},
    {"redis", "iam_serverless", STAYD_FIELD(redis.iam.serverless),
     "Whether that is a serverless cache."},
    {"redis", "login_probe_interval", STAYD_FIELD(redis.login_probe_interval),
     "How often another connection is made to see whether a login would still succeed. \"0s\": "
     "never.",
     "", 0, kHour},
    {"redis", "tls_ca_file", STAYD_FIELD(redis.tls.ca_file),
     "Whom Redis (rediss://, rediss+sentinel://) must be certified by, PEM. Empty: the authorities "
     "that the system trusts. These files are read again when they change."},
    {"redis", "tls_cert_file", STAYD_FIELD(redis.tls.cert_file),
     "The certificate, with its chain, that Redis is shown, PEM. Empty: none."},
    {"redis", "tls_key_file", STAYD_FIELD(redis.tls.key_file),
     "Its key, PEM without a passphrase."},
    {"redis", "tls_server_name", STAYD_FIELD(redis.tls.server_name),
     "The name that Redis' certificate must carry. Empty: the host in the URL."},
    {"redis", "tls_verify", STAYD_FIELD(redis.tls.verify),
     "Whether Redis' certificate is checked. false: whoever answers is given the password."},
    {"redis", "sentinel_user", STAYD_FIELD(redis.sentinel_user), "ACL user at the Sentinels."},
    {"redis", "sentinel_password", STAYD_FIELD(redis.sentinel_password),
     "Password of the Sentinels. Empty: they ask for none."},
    {"redis", "sentinel_password_file", STAYD_FIELD(redis.sentinel_password_file),
     "A file whose first line is that password; looked at again for each new connection."},
    {"redis", "connect_timeout", STAYD_FIELD(redis.connect_timeout),
     "Name resolution and connecting together.", "", 10, kMinute},
    {"redis", "retry_max", STAYD_FIELD(redis.retry_max),
     "The longest pause before a Redis that comes and goes is tried again.", "", kSecond, kHour},
    {"redis", "command_deadline", STAYD_FIELD(redis.command_deadline),
     "A session command without a reply by then is answered from the ledger, and its connection is "
     "closed. Adapts to 4 x p99, up to command_deadline_max.", "", 5, kMinute},
    {"redis", "command_deadline_max", STAYD_FIELD(redis.command_deadline_max),
     "The upper end of the adaptive deadline.", "", 5, kMinute},
    {"redis", "slow_deadline", STAYD_FIELD(redis.slow_deadline),
     "The deadline of other commands (SCAN, scripts, large collections).", "", 50, kHour},
    {"redis", "heartbeat_interval", STAYD_FIELD(redis.heartbeat_interval),
     "How often the heartbeat key is written. Trust ends 3 s after the last one.", "", 50,
      2 * kSecond},
    {"redis", "heartbeat_deadline", STAYD_FIELD(redis.heartbeat_deadline),
     "A heartbeat without a reply by then condemns the connection.", "", 10, 2 * kSecond},
    {"redis", "hidden_servers", STAYD_FIELD(redis.hidden_servers),
     "A proxy that speaks Redis moves to another primary without closing connections: a heartbeat "
     "follows each write within 5 ms."},
    {"redis", "logout_wait", STAYD_FIELD(redis.logout_wait),
     "How long the client of a logout that Redis has confirmed waits, at most, until replicas have "
     "it too. \"0s\": not at all.",
     "", 0, kSecond},
    {"redis", "logout_wait_replicas", STAYD_FIELD(redis.logout_wait_replicas),
     "How many replicas that are.", "", 1, 16},
    {"redis", "replica_reads", STAYD_FIELD(redis.replica_reads),
     "Whether a replica may answer reads that the ledger cannot answer while the primary is out "
     "(not every key is known yet), instead of \"temporarily unknown\"."},
    {"redis", "replicas", STAYD_FIELD(redis.replicas),
     "Where replicas are, \"host:port\", beside those that the primary names: a reader endpoint, "
     "or names for addresses that cannot be reached from here."},

    {"regions", "failover", STAYD_FIELD(regions.failover),
     "auto: when the Redis in use is out, the next of the [[redis]] blocks that is well takes its "
     "place, and it gets it back later. manual: only `stayd switch` does that.", "auto|manual"},
    {"regions", "failover_after", STAYD_FIELD(regions.failover_after),
     "How long the Redis in use must have been without trust. Meanwhile the ledger answers: longer "
     "than a failover inside a region takes.", "", kSecond, kHour},
    {"regions", "failback_after", STAYD_FIELD(regions.failback_after),
     "How long an earlier Redis must have been well without a break before it is used again.", "",
      kSecond, 24 * kHour},

    {"ledger", "path", STAYD_FIELD(ledger.path),
     "The ledger's folder, created with mode 0700. Default: $STATE_DIRECTORY, /var/lib/stayd for "
     "root, else ~/.local/state/stayd."},
    {"ledger", "sync_interval", STAYD_FIELD(ledger.sync_interval),
     "How often values and creations are synced to disk (logouts are at once).", "", 10,
      10 * kSecond},
    {"ledger", "cache_size", STAYD_FIELD(ledger.cache_size),
     "The ledger's block cache.", "", kMB, 64 * kGB},
    {"ledger", "header_cache_size", STAYD_FIELD(ledger.header_cache_size),
     "Memory for what the ledger knows of rows written lately, about 120 bytes each. \"0\": none.",
     "", 0, kGB},

    {"at_rest", "encryption_key", STAYD_FIELD(at_rest.encryption_key),
     "Encrypts the values in the ledger. 32 bytes as 64 hexadecimal digits or as base64 (openssl "
     "rand -hex 32). Several, separated by commas: the first is used, the others only open what "
     "was encrypted under them. Empty, and neither of the next two: values are in clear."},
    {"at_rest", "encryption_key_file", STAYD_FIELD(at_rest.encryption_key_file),
     "A file with what encryption_key says; also one key a line. Read again on SIGHUP."},
    {"at_rest", "encryption_key_command", STAYD_FIELD(at_rest.encryption_key_command),
     "A program with arguments, without a shell, that prints them on one line, within 10 s. Run at "
     "the start and on SIGHUP."},
    {"at_rest", "compression", STAYD_FIELD(at_rest.compression),
     "zstd: values in the ledger are compressed one by one, before they are encrypted. Their sizes "
     "tell something of what is in them then.", "none|zstd"},

    {"backup", "url", STAYD_FIELD(backup.url),
     "A database beside Redis and the ledger that keeps every session when this host is lost, and "
     "that `stayd backup init` has prepared: postgresql://user@host:port/database?sslmode=..., as "
     "libpq takes it, mysql://user@host:port/database?ssl-mode=... (MariaDB, MySQL), or "
     "dynamodb://region/table. TLS is set there. Empty: none."},
    {"backup", "password", STAYD_FIELD(backup.password), "Password, if the URL has none."},
    {"backup", "password_file", STAYD_FIELD(backup.password_file),
     "A file whose first line is that password; read for each new connection."},
    {"backup", "password_command", STAYD_FIELD(backup.password_command),
     "A program, by its whole path, and its arguments, that prints that password; run without a "
     "shell for each new connection. It has 10 s."},
    {"backup", "connections", STAYD_FIELD(backup.connections),
     "Connections to the database. Of two and more, one is kept free for logouts.", "", 1, 8},
    {"backup", "connect_timeout", STAYD_FIELD(backup.connect_timeout),
     "Until a connection can be used.", "", 2 * kSecond, kMinute},
    {"backup", "deadline", STAYD_FIELD(backup.deadline),
     "How long a command waits for the database, at most, where Redis cannot say what is true: "
     "then the ledger answers.", "", 10, 5 * kSecond},
    {"backup", "confirm_wait", STAYD_FIELD(backup.confirm_wait),
     "How long the client of a login or a logout waits, at most, until the database has it. While "
     "the database is known to be out nobody waits.", "", 0, 5 * kSecond},

    {"near_cache", "size", STAYD_FIELD(near_cache_size),
     "Memory for records that were used lately.", "", 0, 64 * kGB},

    {"log", "format", STAYD_FIELD(log.format),
     "text for people, json for machines; auto: text on a terminal, json elsewhere.",
     "auto|text|json"},
    {"log", "level", STAYD_FIELD(log.level), "The least severity that is logged.",
     "debug|info|warning|error"},
};
// clang-format on

const SessionKey kSessionKeys[] = {
    {"preset", "a framework's name", "The keys and promises of a framework; see the list below."},
    {"match", "glob", "Instead of a preset: the keys, as in KEYS (`*` `?` `[a-z]` `\\`)."},
    {"class", "session, lock, index", "What the keys are. Only with match. Default session."},
    {"fence", "off, 30s, forever",
     "Is a write after a logout a new session? off: always, as on Redis. 30s: not within 30 s, "
     "unless "
     "by NX or by a client that was told the key is gone. forever: only by NX."},
    {"unknown", "error, hold, anonymous",
     "The answer when nothing can be known: an error at once, an error after waiting up to 5 s, or "
     "nil "
     "(which logs the user out)."},
    {"max_lifetime", "duration", "Absolute lifetime from creation; 0: none."},
    {"external_delete", "honour, heal",
     "A key that somebody else deleted in Redis: gone, or put back."},
};

}  // namespace

std::span<const ConfigKey> config_keys() {
  return kKeys;
}
std::span<const SessionKey> session_keys() {
  return kSessionKeys;
}

bool stands_in_each_redis(const ConfigKey& key) {
  constexpr std::string_view kWhole[] = {"name", "url", "user"};
  constexpr std::string_view kBeginnings[] = {"password", "iam_", "tls_", "sentinel_"};
  return std::ranges::find(kWhole, key.name) != std::end(kWhole) ||
         std::ranges::any_of(kBeginnings, [&](auto start) { return key.name.starts_with(start); });
}

}  // namespace stayd
