#include "sim/model/identity.h"

#include <cstring>
#include <vector>

#include "base/error.h"
#include "core/key_table.h"
#include "sim/model/arena.h"

namespace stayd::sim::model {

namespace {

using arena::Block;
using Word = std::uint64_t;

// What stands in the hash in place of what it stands for.
enum Mark : Word { kString = 0x51, kDeque, kPointer, kDead, kNoEntries };

// An empty boost::unordered_flat_map that has never held anything points here.
Word no_groups() {
  const KeyMap<int> map;
  Word words[4];
  static_assert(sizeof map >= sizeof words);
  std::memcpy(words, static_cast<const void*>(&map), sizeof words);
  return words[3];
}

class Walk {
 public:
  explicit Walk(Word pass) : pass_(pass) {}

  Word run(Block* root) {
    discover(root, root->size);
    for (std::size_t next = 0; next < found_.size(); ++next) {
      mix(found_[next].bytes);
      content(found_[next].block->begin(), found_[next].bytes);
    }
    return hash_;
  }
  void reuse(Word pass) {
    pass_ = pass;
    hash_ = 0;
    found_.clear();
  }

 private:
  struct Found {
    Block* block;
    std::size_t bytes;  // of it that count
  };

  static bool in_arena(Word word) { return word - arena::kBase < arena::kMaxBytes; }
  static Word load(const std::byte* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  void mix(Word word) {
    hash_ = (hash_ ^ word) * 0x9fb21c651e98df25ULL;
    hash_ ^= hash_ >> 35;
  }
  void bytes(const std::byte* at, std::size_t size) {
    for (; size >= sizeof(Word); at += sizeof(Word), size -= sizeof(Word)) mix(load(at));
    if (size == 0) return;
    Word last = 0;
    std::memcpy(&last, at, size);
    mix(last);
  }
  Word discover(Block* block, std::size_t size) {
    if (block->pass != pass_) {
      block->pass = pass_;
      block->number = static_cast<std::uint32_t>(found_.size());
      found_.push_back({block, size});
    }
    return block->number;
  }

  void content(const std::byte* at, std::size_t size) {
    const std::byte* const begin = at;
    const std::byte* const end = at + size / sizeof(Word) * sizeof(Word);
    while (at < end) {
      const Word word = load(at);
      if (word == kNoGroups) {
        mix(kNoEntries);
        at += 3 * sizeof(Word);
        continue;
      }
      if (!in_arena(word)) {
        mix(word);
        at += sizeof(Word);
        continue;
      }
      const auto words = static_cast<std::size_t>(end - at) / sizeof(Word);
      std::size_t used = words >= 4 ? string(at) : 0;
      if (used == 0 && words >= 10) used = deque(at);
      if (used == 0 && words >= 3) used = vector(at);
      if (used == 0 && words >= 3) used = emptied_map(at, begin);
      if (used == 0) used = pointer(word);
      at += used * sizeof(Word);
    }
    if (size % sizeof(Word) != 0) bytes(end, size % sizeof(Word));
  }

  std::size_t pointer(Word word) {
    Block* const block = arena::find(word);
    if (block == nullptr) {
      mix(kDead);
      return 1;
    }
    mix(kPointer);
    mix(discover(block, block->size));
    mix(word - reinterpret_cast<Word>(block->begin()));
    return 1;
  }

  // std::string: begin, size, then capacity or the characters themselves.
  std::size_t string(const std::byte* at) {
    const Word begin = load(at);
    const Word size = load(at + 8);
    if (begin == reinterpret_cast<Word>(at + 16)) {
      if (size > 15) return 0;
      mix(kString);
      mix(size);
      bytes(at + 16, size);
      return 4;
    }
    const Word capacity = load(at + 16);
    if (capacity < 16 || size > capacity || capacity > arena::kMaxBytes) return 0;
    Block* const block = arena::find(begin);
    if (block == nullptr || block->size != capacity + 1) return 0;
    if (begin != reinterpret_cast<Word>(block->begin())) return 0;
    mix(kString);
    mix(size);
    bytes(block->begin(), size);
    return 4;
  }

  // std::vector: begin, end, end of what is allocated.
  std::size_t vector(const std::byte* at) {
    const Word begin = load(at);
    const Word end = load(at + 8);
    const Word last = load(at + 16);
    if (end < begin || last < end || !in_arena(last)) return 0;
    Block* const block = arena::find(begin);
    if (block == nullptr || begin != reinterpret_cast<Word>(block->begin())) return 0;
    if (last != reinterpret_cast<Word>(block->end())) return 0;
    mix(end - begin);
    mix(end == begin ? 0 : 1 + discover(block, end - begin));
    mix(0);
    return 3;
  }

  // boost::unordered_flat_map: size, index, mask, then groups, elements, maximal load.
  std::size_t emptied_map(const std::byte* at, const std::byte* begin) {
    if (at - begin < 24 || load(at - 24) != 0 || load(at - 16) - 1 > 62) return 0;
    const Word mask = load(at - 8);
    if ((mask & (mask + 1)) != 0 || arena::find(load(at)) != arena::find(load(at + 8))) return 0;
    mix(kNoEntries);
    return 3;
  }

  // std::deque: map of nodes, its size, and two iterators of (current, first, last, node).
  std::size_t deque(const std::byte* at) {
    const Word map = load(at);
    const Word slots = load(at + 8);
    Block* const nodes = arena::find(map);
    if (nodes == nullptr || map != reinterpret_cast<Word>(nodes->begin())) return 0;
    if (slots < 8 || nodes->size != slots * sizeof(Word)) return 0;
    Word start[4];
    Word finish[4];
    std::memcpy(start, at + 16, sizeof start);
    std::memcpy(finish, at + 48, sizeof finish);
    if (!iterator_fits(start, *nodes) || !iterator_fits(finish, *nodes)) return 0;
    if (start[3] > finish[3]) return 0;
    mix(kDeque);
    if (start[3] == finish[3]) {
      part(start[0], finish[0]);
    } else {
      part(start[0], start[2]);
      for (Word node = start[3] + sizeof(Word); node < finish[3]; node += sizeof(Word)) {
        const Word first = load(reinterpret_cast<const std::byte*>(node));
        part(first, first + (start[2] - start[1]));
      }
      part(finish[1], finish[0]);
    }
    mix(kDeque);
    return 10;
  }
  static bool iterator_fits(const Word (&it)[4], Block& nodes) {
    const auto begin = reinterpret_cast<Word>(nodes.begin());
    if (it[3] < begin || it[3] >= begin + nodes.size || (it[3] - begin) % sizeof(Word) != 0) {
      return false;
    }
    if (load(reinterpret_cast<const std::byte*>(it[3])) != it[1]) return false;
    const Block* const node = arena::find(it[1]);
    return node != nullptr && it[2] - it[1] == node->size && it[0] >= it[1] && it[0] < it[2];
  }
  void part(Word begin, Word end) {
    content(reinterpret_cast<const std::byte*>(begin), end - begin);
  }

  const Word kNoGroups = no_groups();
  Word pass_;
  Word hash_ = 0;
  std::vector<Found> found_;
};

}  // namespace

std::uint64_t identity(const void* root) {
  const arena::Outside outside;
  static Word pass = 0;
  static Walk walk(0);
  Block* const block = arena::find(reinterpret_cast<Word>(root));
  STAYD_ASSERT(block != nullptr);
  walk.reuse(++pass);
  return walk.run(block);
}

std::uint64_t raw_identity() {
  arena::Snapshot all;
  arena::save(all);
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i + 8 <= all.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, all.data() + i, sizeof word);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    hash ^= hash >> 35;
  }
  return hash;
}

}  // namespace stayd::sim::model
