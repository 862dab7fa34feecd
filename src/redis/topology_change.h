// What is between two topologies, for people and for the count of failovers. Pure.
#pragma once

#include <string>

#include "redis/topology.h"

namespace stayd {

// "0-5460 moved from a:6379 to d:6379 (epoch 7), 100 ..."; of many changes the first ones.
std::string change_text(const Topology& before, const Topology& after);

// Shards whose primary has given way to a node that had no slots: failovers.
std::size_t switches_between(const Topology& before, const Topology& after);

// At most so much of a list for people, and that there is more.
std::string shortened(std::string text);

}  // namespace stayd
