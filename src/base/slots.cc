#include "base/slots.h"

#include <array>
#include <charconv>
#include <vector>

namespace stayd {

namespace {

constexpr std::array<std::uint16_t, 256> make_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr auto kTable = make_table();

std::uint16_t crc16(std::string_view bytes) {
  std::uint16_t crc = 0;
  for (const char c : bytes) {
    crc = static_cast<std::uint16_t>(crc << 8 ^ kTable[(crc >> 8 ^ static_cast<unsigned char>(c))]);
  }
  return crc;
}

std::string_view hashed_part(std::string_view key) {
  const auto open = key.find('{');
  if (open == std::string_view::npos) return key;
  const auto close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

// The shortest, and of these the first, for each slot. All have one with three characters.
std::vector<std::string> make_tags() {
  constexpr std::string_view kDigits =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::vector<std::string> tags(kSlots);
  const auto offer = [&](const std::string& tag) {
    std::string& place = tags[crc16(tag) % kSlots];
    if (place.empty()) place = tag;
  };
  for (const char a : kDigits) offer({a});
  for (const char a : kDigits) {
    for (const char b : kDigits) offer({a, b});
  }
  for (const char a : kDigits) {
    for (const char b : kDigits) {
      for (const char c : kDigits) offer({a, b, c});
    }
  }
  return tags;
}

}  // namespace

Slot slot_of(std::string_view key) {
  return crc16(hashed_part(key)) % kSlots;
}

std::string_view tag_of(Slot slot) {
  static const std::vector<std::string> kTags = make_tags();
  return kTags[slot];
}

std::string slot_ranges(const SlotSet& slots) {
  std::string out;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (!slots[static_cast<std::size_t>(slot)]) continue;
    int last = slot;
    while (last + 1 < kSlots && slots[static_cast<std::size_t>(last + 1)]) ++last;
    if (!out.empty()) out.push_back(' ');
    out += std::to_string(slot);
    if (last != slot) out += "-" + std::to_string(last);
    slot = last;
  }
  return out;
}

std::optional<SlotSet> parse_slot_ranges(std::string_view text) {
  SlotSet slots;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int first = 0;
    auto [next, failed] = std::from_chars(at, end, first);
    if (failed != std::errc{}) return std::nullopt;
    int last = first;
    if (next != end && *next == '-') {
      const auto range = std::from_chars(next + 1, end, last);
      if (range.ec != std::errc{}) return std::nullopt;
      next = range.ptr;
    }
    if (first < 0 || last < first || last >= kSlots) return std::nullopt;
    for (int slot = first; slot <= last; ++slot) slots.set(static_cast<std::size_t>(slot));
    if (next != end && *next != ' ') return std::nullopt;
    at = next == end ? end : next + 1;
  }
  return slots;
}

}  // namespace stayd
