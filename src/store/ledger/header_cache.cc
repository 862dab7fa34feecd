#include "store/ledger/header_cache.h"

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace stayd {
namespace {

constexpr std::size_t kAlign = 4;
constexpr std::size_t kMinBytes = 4'096;
constexpr std::size_t kMaxBytes = std::size_t{1} << 30;
// Bytes per index slot: less than any entry takes, so that the index never fills.
constexpr std::size_t kBytesPerSlot = 64;
// Entries sent round again for one that comes in, so that no insertion walks the whole ring.
constexpr int kSecondChances = 16;

std::uint32_t hash_of(std::string_view row_key) {
  return static_cast<std::uint32_t>(XXH3_64bits(row_key.data(), row_key.size()));
}

}  // namespace

// Followed by the key.
struct HeaderCache::Entry {
  std::uint32_t hash = 0;
  std::uint16_t key_bytes = 0;
  bool found = false;
  bool gap = false;  // nothing: the ring goes on at its start
  RowHeader header{};

  static Entry load(const char* at) {
    Entry out;
    std::memcpy(&out, at, sizeof(Entry));
    return out;
  }
  std::string_view key(const char* at) const { return {at + sizeof(Entry), key_bytes}; }
  static std::size_t bytes(std::size_t key_bytes) {
    return (sizeof(Entry) + key_bytes + kAlign - 1) / kAlign * kAlign;
  }
};

HeaderCache::HeaderCache(std::size_t max_bytes) {
  static_assert(std::is_trivially_copyable_v<Entry>);
  static_assert(sizeof(Entry) > kBytesPerSlot && sizeof(Entry) % kAlign == 0);
  static_assert(sizeof(Entry) + kMaxKeyBytes < kMinBytes / 2);
  if (max_bytes < kMinBytes) return;
  max_bytes = std::min(max_bytes, kMaxBytes);
  index_.resize(std::bit_ceil(max_bytes / kBytesPerSlot));
  ring_bytes_ = (max_bytes - index_.size() * sizeof(std::uint32_t)) / kAlign * kAlign;
  ring_ = std::make_unique_for_overwrite<char[]>(ring_bytes_);
}

void HeaderCache::clear() {
  if (entries_ != 0) std::fill(index_.begin(), index_.end(), 0);
  head_ = tail_ = entries_ = 0;
}

char* HeaderCache::entry_of(std::size_t slot) const {
  return ring_.get() + (index_[slot] - 1) * kAlign;
}

std::size_t HeaderCache::slot_of(std::string_view row_key, std::uint32_t hash) const {
  std::size_t slot = home(hash);
  for (; index_[slot] != 0; slot = next(slot)) {
    const char* at = entry_of(slot);
    std::uint32_t other = 0;
    std::memcpy(&other, at, sizeof(other));
    if (other == hash && Entry::load(at).key(at) == row_key) break;
  }
  return slot;
}

// Entries behind it move up, so that every probe ends at the first free slot.
void HeaderCache::free_slot(std::size_t slot) {
  std::size_t hole = slot;
  for (std::size_t i = next(hole); index_[i] != 0; i = next(i)) {
    const std::size_t wanted = home(Entry::load(entry_of(i)).hash);
    const std::size_t mask = index_.size() - 1;
    const bool may_move = ((i - wanted) & mask) >= ((i - hole) & mask);
    if (!may_move) continue;
    index_[hole] = index_[i];
    hole = i;
  }
  index_[hole] = 0;
}

std::optional<StoredRow> HeaderCache::find(std::string_view row_key) {
  if (entries_ == 0) return std::nullopt;
  const std::size_t slot = slot_of(row_key, hash_of(row_key));
  if (index_[slot] == 0) return std::nullopt;
  char* at = entry_of(slot);
  at[offsetof(Entry, found)] = 1;
  const Entry entry = Entry::load(at);
  Result<StoredRow> row = decode_row_header(entry.header.text());
  STAYD_ASSERT(row);
  return std::move(*row);
}

void HeaderCache::put(std::string_view row_key, const StoredRow& row) {
  if (ring_bytes_ == 0 || row_key.size() > kMaxKeyBytes) return;
  Entry entry;
  entry.hash = hash_of(row_key);
  entry.header = encode_row_header(row);
  const std::size_t slot = slot_of(row_key, entry.hash);
  if (index_[slot] != 0) {
    std::memcpy(entry_of(slot) + offsetof(Entry, header), &entry.header, sizeof(RowHeader));
    return;
  }
  entry.key_bytes = static_cast<std::uint16_t>(row_key.size());
  make_room(Entry::bytes(row_key.size()));
  append(entry, row_key);
}

std::uint64_t HeaderCache::gap_before(std::size_t bytes) const {
  const std::uint64_t to_end = ring_bytes_ - head_ % ring_bytes_;
  return to_end < bytes ? to_end : 0;
}

void HeaderCache::make_room(std::size_t bytes) {
  for (int i = 0; free_bytes() < gap_before(bytes) + bytes; ++i) evict_oldest(i < kSecondChances);
}

void HeaderCache::evict_oldest(bool second_chance) {
  const std::size_t place = tail_ % ring_bytes_;
  const char* at = ring_.get() + place;
  const std::size_t to_end = ring_bytes_ - place;
  if (to_end < sizeof(Entry) || Entry::load(at).gap) {
    tail_ += to_end;
    return;
  }
  Entry entry = Entry::load(at);
  char key[kMaxKeyBytes];
  std::memcpy(key, entry.key(at).data(), entry.key_bytes);
  const std::string_view row_key(key, entry.key_bytes);
  free_slot(slot_of(row_key, entry.hash));
  --entries_;
  const std::size_t bytes = Entry::bytes(entry.key_bytes);
  tail_ += bytes;
  if (!second_chance || !entry.found || free_bytes() < gap_before(bytes) + bytes) return;
  entry.found = false;
  append(entry, row_key);
}

void HeaderCache::append(const Entry& entry, std::string_view row_key) {
  const std::size_t bytes = Entry::bytes(row_key.size());
  const std::uint64_t gap = gap_before(bytes);
  if (gap >= sizeof(Entry)) {
    Entry nothing;
    nothing.gap = true;
    std::memcpy(ring_.get() + head_ % ring_bytes_, &nothing, sizeof(Entry));
  }
  head_ += gap;
  const std::size_t place = head_ % ring_bytes_;
  std::memcpy(ring_.get() + place, &entry, sizeof(Entry));
  std::memcpy(ring_.get() + place + sizeof(Entry), row_key.data(), row_key.size());
  // Looked for only now: making room moves slots.
  index_[slot_of(row_key, entry.hash)] = static_cast<std::uint32_t>(place / kAlign + 1);
  head_ += bytes;
  ++entries_;
}

}  // namespace stayd
