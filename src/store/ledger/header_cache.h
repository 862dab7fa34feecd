// The headers of rows written or looked up lately, so that a change need not ask RocksDB what it
// builds on: a lookup there costs more than the write itself.
//
// Holds what the database holds: the owner puts an entry after the write that made it succeeded,
// and clears everything when it does not know what was written. Whole keys are kept and compared; a
// hash alone never answers. A key without a row is remembered as such (state absent).
//
//   ring   [entry][entry][gone][entry] ...  a position only grows; its place is position % size
//          ^ tail_: oldest            ^ head_: next
//   index  open addressing, linear probing: where in the ring
//
// The oldest entry goes first; one that was found since it came in goes round once more (CLOCK).
// Bounded: ring and index together take `max_bytes`, allocated once, touched as it fills. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "store/ledger/row_codec.h"

namespace stayd {

class HeaderCache {
 public:
  // Less than 4 KB: keeps nothing. At most 1 GB.
  explicit HeaderCache(std::size_t max_bytes);

  // The row without its payload; nullopt: not known here.
  std::optional<StoredRow> find(std::string_view row_key);
  // Remembers `row` without its payload. A key longer than kMaxKeyBytes is not kept.
  void put(std::string_view row_key, const StoredRow& row);
  void clear();

  std::size_t size() const { return entries_; }

  static constexpr std::size_t kMaxKeyBytes = 512;

 private:
  struct Entry;

  std::size_t home(std::uint32_t hash) const { return hash & (index_.size() - 1); }
  std::size_t next(std::size_t slot) const { return home(static_cast<std::uint32_t>(slot + 1)); }
  char* entry_of(std::size_t slot) const;
  // The slot that holds the key, or the free one where it belongs.
  std::size_t slot_of(std::string_view row_key, std::uint32_t hash) const;
  void free_slot(std::size_t slot);
  std::uint64_t free_bytes() const { return ring_bytes_ - (head_ - tail_); }
  // Bytes up to the ring's end when `bytes` do not fit there in one piece, otherwise 0.
  std::uint64_t gap_before(std::size_t bytes) const;
  // Room for `bytes` in one piece at the head, by letting the oldest go.
  void make_room(std::size_t bytes);
  void evict_oldest(bool second_chance);
  void append(const Entry& entry, std::string_view row_key);

  std::size_t ring_bytes_ = 0;
  std::unique_ptr<char[]> ring_;
  std::vector<std::uint32_t> index_;  // place / kAlign + 1; 0: free
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  std::size_t entries_ = 0;
};

}  // namespace stayd
