// Where a command's keys stand, as data: the key specifications of Redis 7.0. Internal to resp/.
// Source: https://redis.io/docs/reference/key-specs/
#pragma once

#include <string_view>

#include "resp/command_table.h"

namespace stayd {

struct KeySpec {
  enum Find : unsigned char {
    none,        // ends the list
    range,       // a: last key relative to the first, or from the end when negative; c: limit
    keynum,      // a: where the count stands, c: the first key, both relative to the start
    incomplete,  // the specification does not find every key: SORT, SORT_RO, MIGRATE
  };
  std::string_view keyword;  // lower case; empty: `start` is a position
  int start = 0;             // with a keyword: where the search begins, from the end when negative
  Find find = none;
  int a = 0, step = 0, c = 0;
};

inline constexpr int kMaxKeySpecs = 3;

// The kMaxKeySpecs specifications of a row of the command table.
const KeySpec* key_specs(const CommandSpec& spec);

}  // namespace stayd
