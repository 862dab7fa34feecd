// What stayd knows about each Redis 7.0 command: how to find its keys, which lane it takes, and
// what form its reply has for a RESP2 client. Data, not code: command_rows.inc is made from
// redis-server 7.0.15's own COMMAND output by tools/command_table.py; command_traits.inc is what
// only we know.
//
// Pure lookups; immutable after start; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/request_parser.h"

namespace stayd {

// Who executes a command and by which road.
enum class Handling : std::uint8_t {
  local,        // the proxy alone: PING ECHO HELLO AUTH SELECT CLIENT RESET QUIT COMMAND ...
  read,         // keys, no effect; multiplexed on the data connection
  write,        // keys, an effect; multiplexed on the data connection, mirrored into the ledger
  slow_read,    // keys, no effect, may take long (O(N)): the auxiliary connection, alone per client
  slow_write,   // keys, an effect, may take long: the auxiliary connection, keys locked
  script,       // EVAL EVALSHA FCALL and _RO forms: keys by numkeys
  keyspace,     // looks over keys: KEYS SCAN DBSIZE RANDOMKEY
  flush,        // FLUSHDB FLUSHALL SWAPDB
  server,       // no keys, answered by the server: INFO CONFIG TIME OBJECT HELP SCRIPT LOAD ...
  transaction,  // MULTI EXEC DISCARD WATCH UNWATCH
  blocking,     // may block: BLPOP ... XREAD BLOCK, WAIT: a connection of the client's own
  pubsub,       // SUBSCRIBE family and PUBLISH
  refused,      // MONITOR SYNC PSYNC REPLCONF SHUTDOWN REPLICAOF MIGRATE ACL DEBUG ... unless admin
};

// Bits of CommandSpec::flags, as in COMMAND's reply.
enum CommandFlag : std::uint32_t {
  kCmdWrite = 1u << 0,
  kCmdReadonly = 1u << 1,
  kCmdDenyOom = 1u << 2,
  kCmdAdmin = 1u << 3,
  kCmdPubsub = 1u << 4,
  kCmdNoscript = 1u << 5,
  kCmdBlocking = 1u << 6,
  kCmdLoading = 1u << 7,
  kCmdStale = 1u << 8,
  kCmdFast = 1u << 9,
  kCmdNoAuth = 1u << 10,
  kCmdMayReplicate = 1u << 11,
  kCmdNoMulti = 1u << 12,
  kCmdMovableKeys = 1u << 13,
  kCmdNoMandatoryKeys = 1u << 14,
  kCmdAllowBusy = 1u << 15,
};

// How a RESP3 reply turns into the RESP2 one where the general rules (map and set -> flat array,
// double -> bulk, boolean -> integer, verbatim -> bulk, null -> null bulk) are not enough.
enum class Resp2Form : std::uint8_t {
  general,
  null_array,             // a null is `*-1` (EXEC, BLPOP, ZMPOP, ...)
  null_array_if_count,    // ... when a count is given (LPOP key count)
  null_array_on_timeout,  // ... but not within MULTI (BLMOVE, BRPOPLPUSH)
  null_array_elements,    // ... one level down (GEOPOS)
  null_array_last,        // ... as the last element (XPENDING's summary)
  flat_pairs,  // [[member, score], ...] is flattened (ZRANGE WITHSCORES, ZPOPMIN key count,
               // HRANDFIELD WITHVALUES ...)
  stream_map,  // map of stream -> entries becomes an array of [stream, entries] (XREAD, XREADGROUP)
};

struct CommandSpec {
  std::string_view name;  // lower case; a subcommand is "client|setinfo"
  int arity = 0;          // as Redis: > 0 exact, < 0 at least, counting the name(s)
  std::uint32_t flags = 0;
  std::int16_t first_key = 0, last_key = 0, key_step = 0;  // 0, 0, 0: none or movable
  Handling handling = Handling::server;
  Resp2Form resp2 = Resp2Form::general;
  bool stand_in = false;  // the stand-in executes it while Redis is out
  // It creates the key when missing, or its reply depends on the key being absent, in a way that
  // cannot be told from the reply afterwards (HSET, SADD, INCR, APPEND, SET NX ...): in front of a
  // possibly emptied Redis it must be guarded by EXISTS (R15).
  bool guard = false;
  // After it a key that was there still is, unless its expiry is put into the past.
  bool keeps_key = false;
  bool container = false;  // has subcommands (CLIENT, CONFIG, ...): look up the pair
  std::uint16_t row = 0;   // the command's place in the table; find_keys needs it

  bool writes() const { return (flags & kCmdWrite) != 0; }
};

// The command named by args[0] (and args[1] for containers), any letter case; nullptr when
// Redis 7.0 does not know it. For a container with an unknown subcommand: the container's own row.
const CommandSpec* find_command(const Args& args);
const CommandSpec* find_command(std::string_view name);
const std::vector<const CommandSpec*>& all_commands();

// True when the number of arguments fits the arity.
bool arity_fits(const CommandSpec& spec, std::size_t args);

// Positions in `args` of its keys, in order, as COMMAND GETKEYS gives them (numkeys forms, SORT
// STORE, XREAD STREAMS, GEORADIUS STORE, MIGRATE KEYS ... included). False when the arguments make
// no sense (GETKEYS would answer "Invalid arguments specified for command"). `spec` is a row of
// this table, and `args` fit its arity.
bool find_keys(const CommandSpec& spec, const Args& args, std::vector<std::uint32_t>& positions);

// Redis' own refusals, word for word (without the leading '-'):
std::string unknown_command_error(
    const Args& args);  // ERR unknown command 'foo', with args beginning with: ...
std::string unknown_subcommand_error(const Args& args);
std::string wrong_arity_error(const CommandSpec& spec);

// Whether two strings are equal but for ASCII letter case; `lower` must be lower case already.
bool equals_ignore_case(std::string_view any, std::string_view lower);

}  // namespace stayd
