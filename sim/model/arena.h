// All memory of a small world, at one fixed address: so a world is copied with one memcpy, pointers
// and all, and two worlds can be compared by what they hold.
//
// Inside a Scope every `new` of the program comes from the arena; outside, from malloc as always.
// `delete` knows whose a block is. One arena per process, one thread. Function-local statics must
// have been initialised before the first Scope (run a world outside first): their memory is not
// the world's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace stayd::sim::model::arena {

inline constexpr std::uintptr_t kBase = 0x5a17'd000'0000;  // nothing else looks like this
inline constexpr std::size_t kMaxBytes = std::size_t{4} << 20;

class Scope {
 public:
  Scope();
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  bool before_;
};
// The world's code reports to the outside: what is made here is not the world's.
class Outside {
 public:
  Outside();
  ~Outside();
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

 private:
  bool before_;
};

// Empties the arena. Whatever lived there is gone, without destructors.
void reset();

// What was saved. Its memory is used again by the next save into it.
class Snapshot {
 public:
  std::byte* make(std::size_t size) {
    if (size > room_) {
      room_ = size;
      bytes_.reset(new std::byte[room_]);  // not zeroed: all of it is written
    }
    size_ = size;
    return bytes_.get();
  }
  const std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0, room_ = 0;
};
void save(Snapshot& out);
void restore(const Snapshot& from);

// One allocation. Its bytes beyond what has been written are zero.
struct Block {
  std::uint32_t size;    // as asked for; 0: free
  std::uint32_t number;  // identity.cc: order of discovery
  std::uint64_t pass;    // identity.cc: in which it was discovered
  std::byte* begin() { return reinterpret_cast<std::byte*>(this) + sizeof(Block); }
  std::byte* end() { return begin() + size; }
};
static_assert(sizeof(Block) == 16);

// The block that `address` points into or to the end of; nullptr: none that is in use.
Block* find(std::uintptr_t address);
std::size_t used_bytes();
// True when a static variable of the program points into the arena: it was initialised too late.
bool leaks_into_statics();

}  // namespace stayd::sim::model::arena
