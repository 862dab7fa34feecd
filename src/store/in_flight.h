// The in-flight table: keys of writes that are on their way to Redis, in memory that outlives the
// process. What a kill -9 leaves in it may have been executed by Redis without having been
// recorded.
//
//   begin(keys) ─▶ the write goes to Redis ─▶ reply ─▶ the ledger has recorded it ─▶ end(slot)
//
// Engine loop only. The memory is the store's (a mapped file, or a vector in tests and simulator)
// and outlives the table. Slots come in three sizes, a few thousand in all; when none fits, begin()
// says so. Nothing is allocated after construction. Format: docs/formats/ledger.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/types.h"

namespace stayd {

class InFlightTable {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot kNone = 0;

  struct SizeClass {
    std::size_t slot_bytes;
    std::size_t slots;
  };
  // More than can be under way within a command's deadline at full load; many keys, or long ones,
  // are rare.
  using Classes = std::array<SizeClass, 3>;
  static constexpr Classes kClasses = {{{256, 8192}, {1024, 1024}, {16'384, 64}}};
  static constexpr std::size_t kHeaderBytes = 4096;
  static constexpr std::size_t kBytes = kHeaderBytes + (std::size_t{4} << 20);

  // `memory`: kBytes, aligned to 8; zeros, or what an earlier life left there. Anything else is
  // overwritten, see ignored(). Other classes need bytes_of(classes).
  explicit InFlightTable(std::span<std::byte> memory, const Classes& classes = kClasses);
  static std::size_t bytes_of(const Classes& classes);

  // As after a kill -9: what is in use becomes leftovers. For stores that model one.
  void reopen();

  // The keys, at least one, of a call before its writes go to Redis. kNone: there is no room;
  // nothing was noted.
  Slot begin(const std::vector<FullKey>& keys);
  // The ledger knows what became of it, or nothing did. Requires a slot of begin() or of a
  // leftover.
  void end(Slot slot);

  struct Leftover {
    Slot slot = kNone;
    std::vector<FullKey> keys;
  };
  // What the last life left. Each keeps its slot until end().
  const std::vector<Leftover>& leftovers() const { return leftovers_; }
  // Hands out those for which `wanted` is true, once.
  std::vector<Leftover> take_leftovers(const std::function<bool(const Leftover&)>& wanted);
  // Slots, or the whole memory, that did not read and were cleared; 0: all was well.
  std::size_t ignored() const { return ignored_; }

 private:
  std::byte* address(Slot slot) const;
  std::size_t class_of(Slot slot) const;
  bool read_keys(const std::byte* slot, std::size_t slot_bytes, std::vector<FullKey>& keys) const;

  std::span<std::byte> memory_;
  Classes classes_;
  std::array<std::vector<Slot>, kClasses.size()> free_;  // the last one freed is taken first
  std::vector<Leftover> leftovers_;
  std::size_t ignored_ = 0;
};

}  // namespace stayd
