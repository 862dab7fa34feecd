#include "sim/model/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"

extern const char __data_start;  // from the linker: where the program's statics begin, and end
extern const char _end;

namespace stayd::sim::model::arena {

namespace {

constexpr std::size_t kGrain = 16;
constexpr std::size_t kExact =
    128;  // sizes up to 2 KB have a free list each, larger ones share one

// Stands at the arena's beginning: part of what is saved.
struct Head {
  std::size_t used;                               // bytes, this head included
  Block* free[kExact + 1];                        // by size in grains; [0]: larger ones
  std::uint64_t starts[kMaxBytes / kGrain / 64];  // a bit where a block begins
};

bool inside = false;

Head& head() {
  return *reinterpret_cast<Head*>(kBase);
}

// Where blocks begin; the head's bitmap is saved only as far as it is used.
constexpr std::size_t kFirst = (sizeof(Head) + kGrain - 1) / kGrain * kGrain;

void map_once() {
  static const bool mapped = [] {
    void* const at = mmap(reinterpret_cast<void*>(kBase), kMaxBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    STAYD_ASSERT(at == reinterpret_cast<void*>(kBase));
    head().used = kFirst;
    return true;
  }();
  STAYD_ASSERT(mapped);
}

std::size_t bitmap_words() {
  return head().used / kGrain / 64 + 1;
}

// One byte more than asked for, so that a pointer to the end still belongs to the block.
std::size_t grains(std::size_t size) {
  return (sizeof(Block) + size + 1 + kGrain - 1) / kGrain;
}

Block*& next_free(Block* block) {
  return *reinterpret_cast<Block**>(block->begin());
}

Block* take(std::size_t size) {
  const std::size_t wanted = grains(size);
  Block** list = &head().free[wanted <= kExact ? wanted : 0];
  for (; *list != nullptr; list = &next_free(*list)) {
    if (wanted > kExact && (*list)->number != wanted) continue;
    Block* const block = *list;
    *list = next_free(block);
    next_free(block) = nullptr;  // the rest is zero since it was freed
    return block;
  }
  const std::size_t at = head().used;
  STAYD_ASSERT(at + wanted * kGrain <= kMaxBytes);
  head().used += wanted * kGrain;
  head().starts[at / kGrain / 64] |= std::uint64_t{1} << (at / kGrain % 64);
  // A world that has been left may have used it.
  std::memset(reinterpret_cast<void*>(kBase + at), 0, wanted * kGrain);
  return reinterpret_cast<Block*>(kBase + at);
}

void* allocate(std::size_t size) {
  size = size == 0 ? 1 : size;
  Block* const block = take(size);
  block->number = 0;
  block->size = static_cast<std::uint32_t>(size);
  return block->begin();
}

void release(void* memory) {
  Block* const block = reinterpret_cast<Block*>(static_cast<std::byte*>(memory) - sizeof(Block));
  STAYD_ASSERT(block->size != 0);
  const std::size_t size = grains(block->size);
  std::memset(static_cast<void*>(block), 0, size * kGrain);
  block->number = static_cast<std::uint32_t>(size);
  Block*& list = head().free[size <= kExact ? size : 0];
  next_free(block) = list;
  list = block;
}

bool owns(const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  return address >= kBase && address < kBase + kMaxBytes;
}

}  // namespace

void* route_new(std::size_t size) {
  void* const memory = inside ? allocate(size) : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

void route_delete(void* memory) {
  if (owns(memory)) {
    release(memory);
  } else {
    std::free(memory);
  }
}

Scope::Scope() : before_(inside) {
  map_once();
  inside = true;
}
Scope::~Scope() {
  inside = before_;
}
Outside::Outside() : before_(inside) {
  inside = false;
}
Outside::~Outside() {
  inside = before_;
}

void reset() {
  map_once();
  std::memset(reinterpret_cast<void*>(kBase), 0, head().used);
  head().used = kFirst;
}

// The head without the rest of its bitmap, then the blocks.
void save(Snapshot& out) {
  const std::size_t lists = offsetof(Head, starts) + bitmap_words() * sizeof(std::uint64_t);
  const std::size_t blocks = head().used - kFirst;
  std::byte* const to = out.make(lists + blocks);
  std::memcpy(to, reinterpret_cast<const void*>(kBase), lists);
  std::memcpy(to + lists, reinterpret_cast<const void*>(kBase + kFirst), blocks);
}

void restore(const Snapshot& from) {
  const std::size_t before = bitmap_words();
  std::memcpy(reinterpret_cast<void*>(kBase), from.data(), offsetof(Head, starts));
  const std::size_t words = bitmap_words();
  const std::size_t lists = offsetof(Head, starts) + words * sizeof(std::uint64_t);
  std::memcpy(head().starts, from.data() + offsetof(Head, starts), words * sizeof(std::uint64_t));
  for (std::size_t i = words; i < before; ++i) head().starts[i] = 0;
  std::memcpy(reinterpret_cast<void*>(kBase + kFirst), from.data() + lists, from.size() - lists);
}

Block* find(std::uintptr_t address) {
  if (address < kBase + kFirst || address >= kBase + head().used) return nullptr;
  const std::size_t grain = (address - kBase) / kGrain;
  const std::size_t before = grain - 1;  // most pointers point to the beginning of something
  if ((head().starts[before / 64] >> (before % 64) & 1) != 0 && address % kGrain == 0) {
    Block* const block = reinterpret_cast<Block*>(address - sizeof(Block));
    if (block->size != 0) return block;
  }
  std::size_t word = grain / 64;
  std::uint64_t bits = head().starts[word] & (~std::uint64_t{0} >> (63 - grain % 64));
  while (bits == 0) bits = head().starts[--word];
  const std::size_t start = word * 64 + 63 - static_cast<std::size_t>(__builtin_clzll(bits));
  Block* const block = reinterpret_cast<Block*>(kBase + start * kGrain);
  return block->size == 0 || address < reinterpret_cast<std::uintptr_t>(block->begin()) ? nullptr
                                                                                        : block;
}

std::size_t used_bytes() {
  return head().used - kFirst;
}

// Reads what lies between the statics too.
__attribute__((no_sanitize("address"))) bool leaks_into_statics() {
  for (const char* at = &__data_start; at + sizeof(std::uintptr_t) <= &_end;
       at += sizeof(std::uintptr_t)) {
    const auto word = *reinterpret_cast<const std::uintptr_t*>(at);
    if (word - kBase < kMaxBytes) return true;
  }
  return false;
}

}  // namespace stayd::sim::model::arena

namespace {
using stayd::sim::model::arena::route_delete;
using stayd::sim::model::arena::route_new;
}  // namespace

void* operator new(std::size_t size) {
  return route_new(size);
}
void* operator new[](std::size_t size) {
  return route_new(size);
}
void operator delete(void* memory) noexcept {
  route_delete(memory);
}
void operator delete[](void* memory) noexcept {
  route_delete(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  route_delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  route_delete(memory);
}
