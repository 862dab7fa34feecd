// Whether two worlds are the same: one hash over everything that can be reached from the world's
// root, with each pointer replaced by the order in which its block was found. Worlds that came
// about by different interleavings are the same when they hold the same, wherever it lies.
//
// What a container has allocated and does not hold is left out: bytes behind the end of a string,
// a vector or a deque (known by libstdc++'s layout). Two different worlds never count as the same,
// but for a collision of 64-bit hashes. What is not recognised only makes equal worlds differ.
#pragma once

#include <cstdint>

namespace stayd::sim::model {

// Requires: `root` lies in the arena.
std::uint64_t identity(const void* root);
// The same over the arena's raw bytes: finds fewer equal worlds and assumes nothing. For the test
// that both explore the same.
std::uint64_t raw_identity();

}  // namespace stayd::sim::model
