// Strings: SET and its kin, GET and its kin, ranges, and the multi-key forms.
#include <algorithm>
#include <unordered_set>

#include "session/expiry.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

// GET's reply; `value` is left null for a missing key. False: WRONGTYPE.
bool reply_string(Context& c, Record& record) {
  std::string* value = nullptr;
  if (!c.open(record, value)) return false;
  if (value == nullptr) {
    write_null(c.out);
  } else {
    write_bulk(c.out, *value);
  }
  return true;
}

void get(Context& c) {
  reply_string(c, c.record(c.arg(1)));
}

bool read_expiry(Context& c, std::string_view text, TimeUnit unit, std::int64_t& at_ms) {
  switch (positive_expiry(text, unit, c.now(), at_ms)) {
    case ExpiryError::none:
      return true;
    case ExpiryError::not_integer:
      c.error(kNotInteger);
      return false;
    case ExpiryError::invalid:
      c.error_expiry();
      return false;
  }
  return false;
}

void replace(Context& c, std::string_view key, Record& record, std::string_view bytes,
             std::int64_t expires_at_ms) {
  if (auto* old = std::get_if<std::string>(&record.value)) {
    old->assign(bytes);
  } else {
    record.value.emplace<std::string>(bytes);
  }
  record.expires_at_ms = expires_at_ms;
  c.put(key, record);
}

void set(Context& c) {
  SetOptions options;
  if (c.argc() > 3 && !parse_set_options(c.args(), OptionsOf::set, options)) {
    return c.error(kSyntaxError);
  }
  std::int64_t at_ms = 0;
  if (options.has_expiry && !read_expiry(c, options.expiry, options.unit, at_ms)) return;
  Record& record = c.record(c.arg(1));
  if (options.get && !reply_string(c, record)) return;
  const bool exists = record.exists();
  if ((options.nx && exists) || (options.xx && !exists)) {
    if (!options.get) write_null(c.out);
    return;
  }
  replace(c, c.arg(1), record, c.arg(2), options.keep_ttl ? record.expires_at_ms : at_ms);
  if (!options.get) write_simple(c.out, "OK");
}

void set_with_expiry(Context& c, TimeUnit unit) {
  std::int64_t at_ms = 0;
  if (!read_expiry(c, c.arg(2), unit, at_ms)) return;
  replace(c, c.arg(1), c.record(c.arg(1)), c.arg(3), at_ms);
  write_simple(c.out, "OK");
}

void setex(Context& c) {
  set_with_expiry(c, {.seconds = true});
}
void psetex(Context& c) {
  set_with_expiry(c, {});
}

void setnx(Context& c) {
  Record& record = c.record(c.arg(1));
  const bool absent = !record.exists();
  if (absent) replace(c, c.arg(1), record, c.arg(2), 0);
  write_integer(c.out, absent ? 1 : 0);
}

void getset(Context& c) {
  Record& record = c.record(c.arg(1));
  if (reply_string(c, record)) replace(c, c.arg(1), record, c.arg(2), 0);
}

void getdel(Context& c) {
  Record& record = c.record(c.arg(1));
  // A tombstone even for a key that is not known here: Redis may hold it (R4).
  if (reply_string(c, record)) c.remove(c.arg(1), record);
}

void getex(Context& c) {
  SetOptions options;
  if (!parse_set_options(c.args(), OptionsOf::getex, options)) return c.error(kSyntaxError);
  Record& record = c.record(c.arg(1));
  std::string* value = nullptr;
  if (!record.exists()) return write_null(c.out);
  if (!c.open(record, value)) return;
  std::int64_t at_ms = 0;
  if (options.has_expiry && !read_expiry(c, options.expiry, options.unit, at_ms)) return;
  write_bulk(c.out, *value);
  if (options.has_expiry && options.unit.absolute && at_ms <= c.now()) {
    c.remove(c.arg(1), record);
  } else if (options.has_expiry || (options.persist && record.expires_at_ms != 0)) {
    record.expires_at_ms = at_ms;
    c.set_expiry(c.arg(1), at_ms);
  }
}

// Writes the changed string's length and the mutation.
void reply_length(Context& c, Record& record, bool existed) {
  const std::string& value = std::get<std::string>(record.value);
  if (existed) {
    c.set_value(c.arg(1), value);
  } else {
    c.put(c.arg(1), record);
  }
  write_integer(c.out, static_cast<std::int64_t>(value.size()));
}

bool length_allowed(Context& c, std::int64_t size, std::size_t more) {
  std::int64_t total = 0;
  if (!__builtin_add_overflow(size, static_cast<std::int64_t>(more), &total) &&
      total <= kMaxStringBytes) {
    return true;
  }
  c.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

void append(Context& c) {
  Record& record = c.record(c.arg(1));
  std::string* value = nullptr;
  if (!c.open(record, value)) return;
  const bool existed = value != nullptr;
  if (!existed) {
    record.value.emplace<std::string>(c.arg(2));
  } else {
    if (!length_allowed(c, static_cast<std::int64_t>(value->size()), c.arg(2).size())) return;
    value->append(c.arg(2));
  }
  reply_length(c, record, existed);
}

void strlen_command(Context& c) {
  std::string* value = nullptr;
  if (!c.open(c.record(c.arg(1)), value)) return;
  write_integer(c.out, value == nullptr ? 0 : static_cast<std::int64_t>(value->size()));
}

void getrange(Context& c) {
  std::int64_t start = 0;
  std::int64_t end = 0;
  if (!c.integer(2, start) || !c.integer(3, end)) return;
  std::string* value = nullptr;
  if (!c.open(c.record(c.arg(1)), value)) return;
  const std::int64_t size = value == nullptr ? 0 : static_cast<std::int64_t>(value->size());
  if (start < 0 && end < 0 && start > end) return write_bulk(c.out, "");
  start = std::max<std::int64_t>(start < 0 ? size + start : start, 0);
  end = std::min(std::max<std::int64_t>(end < 0 ? size + end : end, 0), size - 1);
  if (size == 0 || start > end) return write_bulk(c.out, "");
  write_bulk(c.out, std::string_view(*value).substr(static_cast<std::size_t>(start),
                                                    static_cast<std::size_t>(end - start + 1)));
}

void setrange(Context& c) {
  std::int64_t offset = 0;
  if (!c.integer(2, offset)) return;
  if (offset < 0) return c.error("ERR offset is out of range");
  const std::string_view patch = c.arg(3);
  Record& record = c.record(c.arg(1));
  std::string* value = nullptr;
  if (!c.open(record, value)) return;
  const bool existed = value != nullptr;
  if (patch.empty()) {
    return write_integer(c.out, existed ? static_cast<std::int64_t>(value->size()) : 0);
  }
  if (!length_allowed(c, offset, patch.size())) return;
  if (!existed) value = &record.value.emplace<std::string>();
  const auto at = static_cast<std::size_t>(offset);
  if (value->size() < at + patch.size()) value->resize(at + patch.size(), '\0');
  value->replace(at, patch.size(), patch);
  reply_length(c, record, existed);
}

void mget(Context& c) {
  write_array(c.out, c.argc() - 1);
  for (std::size_t i = 1; i < c.argc(); ++i) {
    const auto* value = std::get_if<std::string>(&c.record(c.arg(i)).value);
    if (value == nullptr) {
      write_null(c.out);
    } else {
      write_bulk(c.out, *value);
    }
  }
}

// A key named twice gets its last value, in one mutation.
void set_pairs(Context& c) {
  std::unordered_set<std::string_view> done;
  for (std::size_t i = c.argc() - 2; i >= 1 && i < c.argc(); i -= 2) {
    if (c.argc() > 3 && !done.insert(c.arg(i)).second) continue;
    replace(c, c.arg(i), c.record(c.arg(i)), c.arg(i + 1), 0);
  }
}

void mset(Context& c) {
  if (c.argc() % 2 == 0) return c.error_arity();
  set_pairs(c);
  write_simple(c.out, "OK");
}

void msetnx(Context& c) {
  if (c.argc() % 2 == 0) return c.error_arity();
  for (std::size_t i = 1; i < c.argc(); i += 2) {
    if (c.record(c.arg(i)).exists()) return write_integer(c.out, 0);
  }
  set_pairs(c);
  write_integer(c.out, 1);
}

constexpr Command kCommands[] = {
    {"get", get},           {"set", set},
    {"setex", setex},       {"psetex", psetex},
    {"setnx", setnx},       {"getset", getset},
    {"getdel", getdel},     {"getex", getex},
    {"append", append},     {"strlen", strlen_command},
    {"getrange", getrange}, {"substr", getrange},
    {"setrange", setrange}, {"mget", mget},
    {"mset", mset},         {"msetnx", msetnx},
};

}  // namespace

std::span<const Command> string_commands() {
  return kCommands;
}

}  // namespace stayd::standin
