// What a seed draws before its run begins, unless it was given: which faults, how often, how many
// users of which habits. A random part of everything at a time ("swarm"), because faults that never
// come alone hide what each of them does. Pure; the same options give the same draw.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"

namespace stayd::sim {

struct WorldOptions;

// A generator for one purpose: taking one purpose out of a run leaves the others' numbers alone.
Random stream(std::uint64_t seed, std::string_view purpose);

WorldOptions draw(WorldOptions options);
// For people: what was drawn.
std::string describe(const WorldOptions& drawn);
// The command that repeats the run; from the options as they were given.
std::string command_line(const WorldOptions& given);

}  // namespace stayd::sim
