#include "sim/spec.h"

#include <charconv>
#include <map>

#include "resp/reply.h"

namespace stayd::sim {

namespace {

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string integer(std::int64_t value) {
  return ":" + std::to_string(value);
}
std::string bulk(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

void set_expiry(KeyState& state, std::int64_t from_ms, std::int64_t to_ms) {
  state.expires_from_ms = from_ms;
  state.expires_to_ms = to_ms;
}

// SET k v [EX s | PX ms] [NX | XX]
std::string spec_set(KeyState& state, const Words& c, std::int64_t from_ms, std::int64_t to_ms) {
  std::int64_t ttl = 0;
  bool nx = false;
  bool xx = false;
  for (std::size_t i = 3; i < c.size(); ++i) {
    if (c[i] == "EX")
      ttl = number(c[++i]) * 1000;
    else if (c[i] == "PX")
      ttl = number(c[++i]);
    else if (c[i] == "NX")
      nx = true;
    else if (c[i] == "XX")
      xx = true;
  }
  if ((nx && state.record.exists()) || (xx && !state.record.exists())) return "nil";
  if (state.grave == KeyState::Grave::sure && !nx) return "+OK";  // dropped: a late save
  state = without_value(state);
  state.record.value = c[2];
  if (ttl != 0) set_expiry(state, from_ms + ttl, to_ms + ttl);
  return "+OK";
}

std::string spec_hash(KeyState& state, const Words& c) {
  const std::string& name = c[0];
  if (name == "HGETALL") {
    std::string out = "{";
    if (const auto* hash = std::get_if<HashValue>(&state.record.value)) {
      for (const auto& [field, value] : *hash) out += field + "=" + value + " ";
    }
    return out + "}";
  }
  if (!state.record.exists()) state.record.value = HashValue{};
  auto& hash = std::get<HashValue>(state.record.value);
  if (name == "HINCRBY") {
    auto& value = hash[c[2]];
    value = std::to_string(number(value) + number(c[3]));
    return ":" + value;
  }
  std::int64_t fresh = 0;  // HSET
  for (std::size_t i = 2; i + 1 < c.size(); i += 2) {
    fresh += hash.insert_or_assign(c[i], c[i + 1]).second;
  }
  return integer(fresh);
}

std::string spec_string(KeyState& state, const Words& c) {
  const auto* value = std::get_if<std::string>(&state.record.value);
  if (c[0] == "GET") return value == nullptr ? "nil" : bulk(*value);
  const std::int64_t next = (value == nullptr ? 0 : number(*value)) + 1;  // INCR
  state.record.value = std::to_string(next);
  return integer(next);
}

std::string spec_append(KeyState& state, std::string_view text) {
  const auto* value = std::get_if<std::string>(&state.record.value);
  const std::string longer = (value == nullptr ? "" : *value) + std::string(text);
  state.record.value = longer;
  return integer(static_cast<std::int64_t>(longer.size()));
}

// Compare and delete, or a script that stayd does not know: append.
std::string spec_script(KeyState& state, const Words& c) {
  auto* value = std::get_if<std::string>(&state.record.value);
  if (c[1].find("append") != std::string::npos) return spec_append(state, c[4]);
  if (value == nullptr || *value != c[4]) return ":0";
  state = without_value(state, KeyState::Grave::sure);
  return ":1";
}

}  // namespace

KeyState without_value(const KeyState& state, KeyState::Grave grave) {
  KeyState gone;
  gone.fenced = state.fenced;
  if (gone.fenced) gone.grave = grave;
  return gone;
}

std::string apply_spec(KeyState& state, const Words& c, std::int64_t from_ms, std::int64_t to_ms) {
  const std::string& name = c[0];
  const bool exists = state.record.exists();
  if (name == "SET") return spec_set(state, c, from_ms, to_ms);
  if (name == "SETEX") return spec_set(state, {"SET", c[1], c[3], "EX", c[2]}, from_ms, to_ms);
  if (name == "GET" || name == "INCR") return spec_string(state, c);
  if (name == "EXISTS") return integer(exists);
  if (name == "DEL" || name == "UNLINK" || name == "GETDEL") {
    const std::string value =
        name == "GETDEL" ? spec_string(state, {"GET", c[1]}) : integer(exists);
    const bool sure = exists || state.grave == KeyState::Grave::sure;
    state = without_value(state, sure ? KeyState::Grave::sure : KeyState::Grave::maybe);
    return value;
  }
  if (name == "EXPIRE") {
    if (!exists) return ":0";
    const std::int64_t ttl = number(c[2]) * 1000;
    set_expiry(state, from_ms + ttl, to_ms + ttl);
    return ":1";
  }
  if (name == "APPEND") return spec_append(state, c[2]);
  if (name == "EVAL") return spec_script(state, c);
  if (name == "FLUSHDB") return state = without_value(state), "+OK";
  return spec_hash(state, c);
}

std::string normalise(std::string_view frame) {
  const ReplyView reply(frame);
  switch (reply.type()) {
    case ReplyType::simple:
      return "+" + std::string(reply.text());
    case ReplyType::error:
    case ReplyType::bulk_error:
      return "-" + std::string(reply.text());
    case ReplyType::integer:
    case ReplyType::boolean:
      return integer(reply.integer().value_or(0));
    case ReplyType::null:
      return "nil";
    case ReplyType::map: {
      std::map<std::string, std::string> fields;
      auto elements = reply.elements();
      ReplyView field;
      ReplyView value;
      while (elements.next(field) && elements.next(value)) {
        fields[std::string(field.text())] = value.text();
      }
      std::string out = "{";
      for (const auto& [name, text] : fields) out += name + "=" + text + " ";
      return out + "}";
    }
    case ReplyType::array: {
      std::string out;
      auto elements = reply.elements();
      ReplyView element;
      while (elements.next(element)) out += (out.empty() ? "" : " ") + normalise(element.frame());
      return out;
    }
    default:
      return bulk(reply.text());
  }
}

}  // namespace stayd::sim
