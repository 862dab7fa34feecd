// One command as several: what a client of a Redis Cluster asks for keys in different slots, where
// the answers can be put together to what one Redis would say (docs/compatibility.md: not as one
// moment's picture). Pure; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/call.h"

namespace stayd {

// How the replies of the parts become one.
enum class Join : std::uint8_t {
  none,      // cannot be split
  sum,       // DEL UNLINK EXISTS TOUCH DBSIZE: integers
  in_place,  // MGET: elements, each where its key stood
  all_ok,    // MSET FLUSHALL SCRIPT LOAD: the first reply, unless one is an error
  append,    // KEYS: elements
  found,     // RANDOMKEY: the first that is not null
};

struct Part {
  std::unique_ptr<Call> call;           // complete, but for its sink
  std::vector<std::uint32_t> elements;  // in_place: where its elements stand in the whole
};

// How a command on these keys may be split by them; none: CROSSSLOT.
Join join_of_keys(const CommandSpec& spec);
// How a command without keys, which concerns every shard, is put together; none: it concerns one.
Join join_of_all(const CommandSpec& spec);

// One part for each slot of its keys. Requires join_of_keys(*call.spec) != none, and `positions`
// as find_keys() gives them.
std::vector<Part> split_by_slot(const Call& call, const std::vector<std::uint32_t>& positions);
// The same command once more.
std::unique_ptr<Call> copy_of(const Call& call);
// With other arguments.
std::unique_ptr<Call> copy_of(const Call& call, const Args& args);

// What the replies to all parts amount to. `replies` as many as parts. An error among them is the
// reply; what other parts have done stands.
std::string join(Join how, const std::vector<Part>& parts, const std::vector<std::string>& replies);

}  // namespace stayd
