#include "session/numbers.h"

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace stayd {
namespace {

// Redis reads floats through a buffer of this size (MAX_LONG_DOUBLE_CHARS of util.h).
constexpr std::size_t kMaxFloatChars = 5 * 1024;

template <class T, class Convert>
bool parse_whole(std::string_view text, T& value, Convert convert) {
  if (text.empty() || text.size() >= kMaxFloatChars) return false;
  if (std::isspace(static_cast<unsigned char>(text[0])) != 0) return false;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const T number = convert(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(number)) return false;
  if (errno == ERANGE && (std::isinf(number) || std::fpclassify(number) == FP_ZERO)) return false;
  value = number;
  return true;
}

}  // namespace

bool parse_double(std::string_view text, double& value) {
  std::int64_t integer = 0;
  if (text.size() <= 15 && parse_integer(text, integer)) {
    value = static_cast<double>(integer);
    return true;
  }
  return parse_whole(text, value, [](const char* s, char** end) { return std::strtod(s, end); });
}

bool parse_long_double(std::string_view text, long double& value) {
  return parse_whole(text, value, [](const char* s, char** end) { return std::strtold(s, end); });
}

std::string format_long_double(long double value) {
  char buffer[kMaxFloatChars];
  const int size = std::snprintf(buffer, sizeof buffer, "%.17Lf", value);
  std::string_view text(buffer, static_cast<std::size_t>(size));
  if (text.find('.') != std::string_view::npos) {
    while (text.back() == '0') text.remove_suffix(1);
    if (text.back() == '.') text.remove_suffix(1);
  }
  if (text == "-0") text = "0";
  return std::string(text);
}

}  // namespace stayd
