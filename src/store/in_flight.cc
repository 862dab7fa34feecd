#include "store/in_flight.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace stayd {

namespace {

constexpr std::string_view kMagic = "stayd-inflight 1";
constexpr std::size_t kPrefixBytes = sizeof(std::uint32_t);  // of a slot, and of each key in it

constexpr std::size_t class_bytes(const InFlightTable::Classes& classes) {
  std::size_t bytes = 0;
  for (const auto& size : classes) bytes += size.slot_bytes * size.slots;
  return bytes;
}
static_assert(InFlightTable::kHeaderBytes + class_bytes(InFlightTable::kClasses) ==
              InFlightTable::kBytes);

std::uint32_t read_u32(const std::byte* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// A slot's first word: bytes in use, 0 when free. Written last, so that a process that is killed
// half-way leaves the slot free.
void publish(std::byte* slot, std::uint32_t used) {
  std::atomic_ref(*reinterpret_cast<std::uint32_t*>(slot)).store(used, std::memory_order_release);
}

}  // namespace

std::size_t InFlightTable::bytes_of(const Classes& classes) {
  return kHeaderBytes + class_bytes(classes);
}

InFlightTable::InFlightTable(std::span<std::byte> memory, const Classes& classes)
    : memory_(memory), classes_(classes) {
  STAYD_ASSERT(memory.size() == bytes_of(classes));
  for (std::size_t i = 0; i < classes_.size(); ++i) free_[i].reserve(classes_[i].slots);
  reopen();
}

void InFlightTable::reopen() {
  leftovers_.clear();
  ignored_ = 0;
  const auto header = memory_.first(kMagic.size());
  if (std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    const bool fresh =
        std::all_of(header.begin(), header.end(), [](std::byte one) { return one == std::byte{}; });
    ignored_ = fresh ? 0 : 1;
    std::fill(memory_.begin(), memory_.end(), std::byte{});
    std::memcpy(header.data(), kMagic.data(), kMagic.size());
  }
  Slot slot = 1;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    free_[i].clear();
    for (std::size_t n = 0; n < classes_[i].slots; ++n, ++slot) {
      std::byte* const at = address(slot);
      Leftover leftover{slot, {}};
      if (read_u32(at) == 0) {
        free_[i].push_back(slot);
      } else if (read_keys(at, classes_[i].slot_bytes, leftover.keys)) {
        leftovers_.push_back(std::move(leftover));
      } else {
        ++ignored_;
        publish(at, 0);
        free_[i].push_back(slot);
      }
    }
    std::reverse(free_[i].begin(), free_[i].end());  // the first pages first
  }
}

InFlightTable::Slot InFlightTable::begin(const std::vector<FullKey>& keys) {
  STAYD_ASSERT(!keys.empty());
  std::size_t bytes = kPrefixBytes;
  for (const FullKey& key : keys) bytes += kPrefixBytes + key.size();
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (bytes > classes_[i].slot_bytes || free_[i].empty()) continue;
    const Slot slot = free_[i].back();
    free_[i].pop_back();
    std::byte* const start = address(slot);
    std::byte* at = start + kPrefixBytes;
    for (const FullKey& key : keys) {
      const auto size = static_cast<std::uint32_t>(key.size());
      std::memcpy(at, &size, sizeof size);
      std::memcpy(at + kPrefixBytes, key.data(), size);
      at += kPrefixBytes + size;
    }
    publish(start, static_cast<std::uint32_t>(bytes - kPrefixBytes));
    return slot;
  }
  return kNone;
}

void InFlightTable::end(Slot slot) {
  std::byte* const at = address(slot);
  STAYD_ASSERT(read_u32(at) != 0);
  publish(at, 0);
  free_[class_of(slot)].push_back(slot);
}

std::size_t InFlightTable::class_of(Slot slot) const {
  std::size_t index = slot - 1;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (index < classes_[i].slots) return i;
    index -= classes_[i].slots;
  }
  STAYD_ASSERT(false);
  return 0;
}

std::byte* InFlightTable::address(Slot slot) const {
  std::size_t index = slot - 1;
  std::byte* start = memory_.data() + kHeaderBytes;
  for (const SizeClass& size : classes_) {
    if (index < size.slots) return start + index * size.slot_bytes;
    index -= size.slots;
    start += size.slots * size.slot_bytes;
  }
  STAYD_ASSERT(false);
  return nullptr;
}

bool InFlightTable::read_keys(const std::byte* slot, std::size_t slot_bytes,
                              std::vector<FullKey>& keys) const {
  std::size_t left = read_u32(slot);
  if (left > slot_bytes - kPrefixBytes) return false;
  const std::byte* at = slot + kPrefixBytes;
  while (left > 0) {
    if (left < kPrefixBytes) return false;
    const std::size_t size = read_u32(at);
    left -= kPrefixBytes;
    if (size == 0 || size > left) return false;
    FullKey key(reinterpret_cast<const char*>(at + kPrefixBytes), size);
    if (db_of(key) >= kDatabases) return false;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
    at += kPrefixBytes + size;
    left -= size;
  }
  return !keys.empty();
}

std::vector<InFlightTable::Leftover> InFlightTable::take_leftovers(
    const std::function<bool(const Leftover&)>& wanted) {
  std::vector<Leftover> taken;
  for (const Leftover& leftover : leftovers_) {
    if (wanted(leftover)) taken.push_back(leftover);
  }
  std::erase_if(leftovers_, wanted);
  return taken;
}

}  // namespace stayd
