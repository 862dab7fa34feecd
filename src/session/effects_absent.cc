// looks_absent: which replies Redis also gives because it lost a key. When in doubt, true: it costs
// a look into the ledger.
#include <boost/unordered/unordered_flat_map.hpp>

#include "session/effects.h"

namespace stayd {
namespace {

enum class Rule : std::uint8_t {
  general,        // null, 0, -2, an empty aggregate, "no such key"
  empty_text,     // an empty string
  never,          // the reply says nothing of absence, or only that the key is there
  integer_never,  // as general, but a number says nothing (a counter at 0, fields added: none)
  fewer,          // an integer below the number of keys
  any_null,       // a null among the elements
  all_null,       // null or 0 in every element
  many_keys,      // a missing key changes a result that is not empty
  set,            // NX nil says that the key is there
  pages,          // [cursor, elements]
  none_text,      // TYPE
  minus_one,      // BITPOS
  zadd,
};

using Rules = boost::unordered_flat_map<std::string_view, Rule>;

const Rules& rules() {
  static const Rules table = {
      {"append", Rule::integer_never},
      {"bitcount", Rule::general},
      {"bitop", Rule::many_keys},
      {"bitpos", Rule::minus_one},
      {"decr", Rule::integer_never},
      {"decrby", Rule::integer_never},
      {"del", Rule::fewer},
      {"exists", Rule::fewer},
      {"getrange", Rule::empty_text},
      {"getset", Rule::general},
      {"hincrby", Rule::integer_never},
      {"hmget", Rule::all_null},
      {"hscan", Rule::pages},
      {"hset", Rule::integer_never},
      {"hsetnx", Rule::integer_never},
      {"incr", Rule::integer_never},
      {"incrby", Rule::integer_never},
      {"lcs", Rule::many_keys},
      {"mget", Rule::any_null},
      {"msetnx", Rule::integer_never},
      {"pfadd", Rule::integer_never},
      {"pfcount", Rule::many_keys},
      {"pfmerge", Rule::many_keys},
      {"renamenx", Rule::integer_never},
      {"sadd", Rule::integer_never},
      {"scan", Rule::never},
      {"sdiff", Rule::many_keys},
      {"sdiffstore", Rule::many_keys},
      {"set", Rule::set},
      {"setnx", Rule::integer_never},
      {"smismember", Rule::all_null},
      {"sscan", Rule::pages},
      {"substr", Rule::empty_text},
      {"sunion", Rule::many_keys},
      {"sunionstore", Rule::many_keys},
      {"touch", Rule::fewer},
      {"type", Rule::none_text},
      {"unlink", Rule::fewer},
      {"zadd", Rule::zadd},
      {"zdiff", Rule::many_keys},
      {"zdiffstore", Rule::many_keys},
      {"zmscore", Rule::all_null},
      {"zscan", Rule::pages},
      {"zunion", Rule::many_keys},
      {"zunionstore", Rule::many_keys},
  };
  return table;
}

bool general(const ReplyView& reply) {
  switch (reply.type()) {
    case ReplyType::null:
      return true;
    case ReplyType::integer: {
      const std::int64_t value = reply.integer().value_or(0);
      return value == 0 || value == -2;
    }
    case ReplyType::boolean:
      return reply.integer() == 0;
    case ReplyType::array:
    case ReplyType::map:
    case ReplyType::set:
      return reply.size() == 0;
    case ReplyType::error:
    case ReplyType::bulk_error:
      return reply.text().starts_with("ERR no such key");
    default:
      return false;
  }
}

bool is_nothing(const ReplyView& element) {
  return element.is_null() || element.integer() == 0;
}

bool any_null(const ReplyView& reply) {
  ReplyView element;
  for (auto elements = reply.elements(); elements.next(element);) {
    if (element.is_null()) return true;
  }
  return general(reply);
}

bool all_nothing(const ReplyView& reply) {
  if (reply.is_error()) return general(reply);
  ReplyView element;
  for (auto elements = reply.elements(); elements.next(element);) {
    if (!is_nothing(element)) return false;
  }
  return true;
}

bool empty_page(const ReplyView& reply) {
  if (reply.size() != 2) return general(reply);
  ReplyView element;
  auto elements = reply.elements();
  elements.next(element);
  elements.next(element);
  return element.size() == 0;
}

bool has_option(const Args& args, std::size_t first, std::string_view lower) {
  for (std::size_t i = first; i < args.size(); ++i) {
    if (equals_ignore_case(args[i], lower)) return true;
  }
  return false;
}

bool set_absent(const Args& args, const ReplyView& reply) {
  if (!reply.is_null()) return false;
  return has_option(args, 3, "xx") || has_option(args, 3, "get") || !has_option(args, 3, "nx");
}

}  // namespace

bool looks_absent(const CommandSpec& spec, const Args& args, const ReplyView& reply) {
  const auto found = rules().find(spec.name);
  const Rule rule = found == rules().end() ? Rule::general : found->second;
  switch (rule) {
    case Rule::general:
      return general(reply);
    case Rule::never:
      return false;
    case Rule::integer_never:
      return reply.type() != ReplyType::integer && general(reply);
    case Rule::fewer:
      if (reply.is_error()) return false;
      return reply.integer().value_or(0) < static_cast<std::int64_t>(args.size()) - 1;
    case Rule::any_null:
      return any_null(reply);
    case Rule::all_null:
      return all_nothing(reply);
    case Rule::empty_text:
      return reply.text().empty() && !reply.is_error();
    case Rule::many_keys:
      return !reply.is_error() || general(reply);
    case Rule::set:
      return set_absent(args, reply);
    case Rule::pages:
      return empty_page(reply);
    case Rule::none_text:
      return reply.text() == "none";
    case Rule::minus_one:
      return reply.integer() == -1 || general(reply);
    case Rule::zadd:
      return has_option(args, 2, "xx") && general(reply);
  }
  return true;
}

bool proves_absent(const CommandSpec& spec, const ReplyView& reply) {
  const auto& name = spec.name;
  if (name == "get" || name == "getex" || name == "getdel") return reply.is_null();
  if (name == "exists") return reply.integer() == 0;
  if (name == "ttl" || name == "pttl") return reply.integer() == -2;
  if (name == "type") return reply.text() == "none";
  const bool whole = name == "hgetall" || name == "smembers";
  return whole && !reply.is_error() && !reply.is_null() && reply.size() == 0;
}

}  // namespace stayd
