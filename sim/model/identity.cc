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

// What stands in the hash in place of what it stands for: no values that a field is likely to have.
enum Mark : Word {
  kString = 0x6a09e667f3bcc908,   // and its size
  kZeros = 0xbb67ae8584caa73b,    // and how many bytes of them
  kPointer = 0x3c6ef372fe94f82b,  // and the number of its block
  kDeque = 0xa54ff53a5f1d36f1,
  kDead,
  kNoEntries,
};

// Four lanes, so that a multiplication need not wait for the one before.
Word hash_of(const Word* at, const Word* end) {
  constexpr Word kOdd = 0x9fb21c651e98df25ULL;
  const auto mix = [](Word hash, Word word) {
    hash = (hash ^ word) * kOdd;
    return hash ^ (hash >> 35);
  };
  Word lanes[4] = {1, 2, 3, static_cast<Word>(end - at)};
  for (; end - at >= 4; at += 4) {
    for (int i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], at[i]);
  }
  Word hash = 0;
  for (const Word lane : lanes) hash = mix(hash, lane);
  for (; at < end; ++at) hash = mix(hash, *at);
  return mix(hash, 0);
}

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
    return hash_of(form_.data(), to_);
  }
  void reuse(Word pass) {
    pass_ = pass;
    to_ = form_.data();
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
  // Written down first and hashed in the end: words do not wait for each other.
  void mix(Word word) {
    if (to_ == form_.data() + form_.size()) grow();
    *to_++ = word;
  }
  __attribute__((noinline)) void grow() {
    const auto used = static_cast<std::size_t>(to_ - form_.data());
    form_.resize(2 * used + 4096);
    to_ = form_.data() + used;
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

  static const std::byte* behind_zeros(const std::byte* at, const std::byte* end) {
    constexpr std::size_t kLine = 8 * sizeof(Word);
    for (Word line[8]; end - at >= static_cast<std::ptrdiff_t>(kLine); at += kLine) {
      std::memcpy(line, at, sizeof line);
      Word any = 0;
      for (const Word word : line) any |= word;
      if (any != 0) break;
    }
    while (at < end && load(at) == 0) at += sizeof(Word);
    return at;
  }

  void content(const std::byte* at, std::size_t size) {
    const std::byte* const begin = at;
    const std::byte* const end = at + size / sizeof(Word) * sizeof(Word);
    while (at < end) {
      const Word word = load(at);
      if (word == 0) {  // four words of five
        const std::byte* const after = behind_zeros(at + sizeof(Word), end);
        mix(kZeros + static_cast<Word>(after - at));
        at = after;
        continue;
      }
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
      std::size_t used = words >= 4 ? short_string(at) : 0;
      if (used == 0) used = pointer_of_some_kind(at, words, at - begin >= 24);
      at += used * sizeof(Word);
    }
    if (size % sizeof(Word) != 0) bytes(end, size % sizeof(Word));
  }

  std::size_t pointer_of_some_kind(const std::byte* at, std::size_t words, bool behind_a_size) {
    Block* const block = arena::find(load(at));
    const bool at_begin = block != nullptr && load(at) == reinterpret_cast<Word>(block->begin());
    std::size_t used = 0;
    if (at_begin && words >= 4) used = string(at, *block);
    if (used == 0 && at_begin && words >= 10) used = deque(at, *block);
    if (used == 0 && at_begin && words >= 3) used = vector(at, *block);
    if (used == 0 && behind_a_size && words >= 3) used = emptied_map(at, block);
    return used == 0 ? pointer(load(at), block) : used;
  }

  std::size_t pointer(Word word, Block* block) {
    if (block == nullptr) {
      mix(kDead);
      return 1;
    }
    mix(kPointer + (discover(block, block->size) << 32));
    mix(word - reinterpret_cast<Word>(block->begin()));
    return 1;
  }

  // std::string: begin, size, then capacity or the characters themselves.
  std::size_t short_string(const std::byte* at) {
    const Word size = load(at + 8);
    if (load(at) != reinterpret_cast<Word>(at + 16) || size > 15) return 0;
    mix(kString + size);
    bytes(at + 16, size);
    return 4;
  }
  std::size_t string(const std::byte* at, Block& block) {
    const Word size = load(at + 8);
    const Word capacity = load(at + 16);
    if (capacity < 16 || size > capacity || block.size != capacity + 1) return 0;
    mix(kString + size);
    bytes(block.begin(), size);
    return 4;
  }

  // std::vector: begin, end, end of what is allocated.
  std::size_t vector(const std::byte* at, Block& block) {
    const Word begin = load(at);
    const Word end = load(at + 8);
    const Word last = load(at + 16);
    if (end < begin || last < end || last != reinterpret_cast<Word>(block.end())) return 0;
    mix(end - begin);
    mix(end == begin ? 0 : 1 + discover(&block, end - begin));
    mix(0);
    return 3;
  }

  // boost::unordered_flat_map: size, index, mask, then groups, elements, maximal load.
  std::size_t emptied_map(const std::byte* at, const Block* groups) {
    if (load(at - 24) != 0 || load(at - 16) - 1 > 62) return 0;
    const Word mask = load(at - 8);
    if ((mask & (mask + 1)) != 0 || groups != arena::find(load(at + 8))) return 0;
    mix(kNoEntries);
    return 3;
  }

  // std::deque: map of nodes, its size, and two iterators of (current, first, last, node).
  std::size_t deque(const std::byte* at, Block& nodes) {
    const Word slots = load(at + 8);
    if (slots < 8 || nodes.size != slots * sizeof(Word)) return 0;
    Word start[4];
    Word finish[4];
    std::memcpy(start, at + 16, sizeof start);
    std::memcpy(finish, at + 48, sizeof finish);
    if (!iterator_fits(start, nodes) || !iterator_fits(finish, nodes)) return 0;
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
  std::vector<Found> found_;
  std::vector<Word> form_;  // what is the same for equal worlds, up to `to_`
  Word* to_ = nullptr;
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
  std::vector<Word> words(all.size() / sizeof(Word));
  std::memcpy(words.data(), all.data(), words.size() * sizeof(Word));
  return hash_of(words.data(), words.data() + words.size());
}

}  // namespace stayd::sim::model
