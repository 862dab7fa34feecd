#include "core/gains.h"

#include <charconv>
#include <string>
#include <string_view>

namespace stayd {

namespace {
constexpr std::string_view kFact = "gained_slots";  // "VERSION RANGES;VERSION RANGES"
}

void Gains::start() {
  gains_.clear();
  const std::string text = store_.fact(kFact);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    std::uint64_t version = 0;
    const auto at = std::from_chars(one.data(), one.data() + one.size(), version).ptr;
    const auto ranges =
        one.substr(std::min(one.size(), static_cast<std::size_t>(at - one.data()) + 1));
    if (const auto slots = parse_slot_ranges(ranges)) gains_.push_back({version, *slots});
  }
}

void Gains::add(std::uint64_t version, const SlotSet& slots) {
  gains_.push_back({version, slots});
  if (gains_.size() > kMax) {
    gains_[1].slots |= gains_[0].slots;
    gains_.pop_front();
  }
  std::string text;
  for (const Gain& gain : gains_) {
    if (!text.empty()) text.push_back(';');
    text.append(std::to_string(gain.version)).append(" ").append(slot_ranges(gain.slots));
  }
  store_.put_fact(std::string(kFact), std::move(text));
}

SlotSet Gains::since(std::uint64_t version) const {
  SlotSet slots;
  for (const Gain& gain : gains_) {
    if (gain.version > version) slots |= gain.slots;
  }
  return slots;
}

}  // namespace stayd
