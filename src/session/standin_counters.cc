// Strings as numbers: INCR and its kin.
#include <cmath>
#include <limits>
#include <string>

#include "session/numbers.h"
#include "session/standin_context.h"

namespace stayd::standin {
namespace {

void write_back(Context& c, Record& record, std::string_view text) {
  const bool existed = record.exists();
  record.value.emplace<std::string>(text);
  if (existed) {
    c.set_value(c.arg(1), text);
  } else {
    c.put(c.arg(1), record);
  }
}

void add_integer(Context& c, std::int64_t step) {
  Record& record = c.record(c.arg(1));
  std::string* text = nullptr;
  if (!c.open(record, text)) return;
  std::int64_t value = 0;
  if (text != nullptr && !parse_integer(*text, value)) return c.error(kNotInteger);
  if (__builtin_add_overflow(value, step, &value)) return c.error(kIncrOverflow);
  write_back(c, record, std::to_string(value));
  write_integer(c.out, value);
}

void incr(Context& c) {
  add_integer(c, 1);
}
void decr(Context& c) {
  add_integer(c, -1);
}

void incrby(Context& c) {
  std::int64_t step = 0;
  if (c.integer(2, step)) add_integer(c, step);
}

void decrby(Context& c) {
  std::int64_t step = 0;
  if (!c.integer(2, step)) return;
  if (step == std::numeric_limits<std::int64_t>::min()) {
    return c.error("ERR decrement would overflow");
  }
  add_integer(c, -step);
}

void incrbyfloat(Context& c) {
  Record& record = c.record(c.arg(1));
  std::string* text = nullptr;
  if (!c.open(record, text)) return;
  long double value = 0;
  long double step = 0;
  if ((text != nullptr && !parse_long_double(*text, value)) || !parse_long_double(c.arg(2), step)) {
    return c.error(kNotFloat);
  }
  value += step;
  if (std::isnan(value) || std::isinf(value)) return c.error(kNanOrInfinity);
  const std::string result = format_long_double(value);
  write_back(c, record, result);
  write_bulk(c.out, result);
}

constexpr Command kCommands[] = {
    {"incr", incr},
    {"decr", decr},
    {"incrby", incrby},
    {"decrby", decrby},
    {"incrbyfloat", incrbyfloat},
};

}  // namespace

std::span<const Command> counter_commands() {
  return kCommands;
}

}  // namespace stayd::standin
