// Floating-point numbers as Redis 7.0 reads and writes them (string2d, string2ld of util.c,
// getDoubleFromObject of object.c, ld2string). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "resp/numbers.h"

namespace stayd {

// A whole-text double: "inf" and hexadecimal are good, spaces in front, NaN and overflow are not.
bool parse_double(std::string_view text, double& value);
bool parse_long_double(std::string_view text, long double& value);

// The human form of INCRBYFLOAT and HINCRBYFLOAT: 17 decimals, trailing zeroes removed.
std::string format_long_double(long double value);

}  // namespace stayd
