#include "session/record.h"

namespace stayd {
namespace {

constexpr std::size_t kElementOverhead = 64;

struct SizeOf {
  std::size_t operator()(std::monostate) const { return 0; }
  std::size_t operator()(const std::string& bytes) const { return bytes.size(); }
  std::size_t operator()(const HashValue& hash) const {
    std::size_t total = 0;
    for (const auto& [field, value] : hash) {
      total += field.size() + value.size() + kElementOverhead;
    }
    return total;
  }
  std::size_t operator()(const SetValue& set) const {
    std::size_t total = 0;
    for (const auto& member : set) total += member.size() + kElementOverhead;
    return total;
  }
  std::size_t operator()(const SortedSetValue& zset) const {
    std::size_t total = 0;
    for (const auto& [score, member] : zset.ordered()) {
      total += 2 * (member.size() + kElementOverhead);  // both indexes keep the member
    }
    return total;
  }
  std::size_t operator()(const OpaqueValue& opaque) const { return opaque.dump.size(); }
};

}  // namespace

bool SortedSetValue::set(std::string_view member, double score) {
  score += 0.0;  // -0 becomes 0, as in Redis' compact encoding
  const auto found = scores_.find(member);
  if (found == scores_.end()) {
    scores_.emplace(member, score);
    ordered_.emplace(score, std::string(member));
    return true;
  }
  if (found->second != score) {
    auto node = ordered_.extract({found->second, found->first});
    node.value().first = score;
    ordered_.insert(std::move(node));
    found->second = score;
  }
  return false;
}

bool SortedSetValue::erase(std::string_view member) {
  const auto found = scores_.find(member);
  if (found == scores_.end()) return false;
  ordered_.erase({found->second, found->first});
  scores_.erase(found);
  return true;
}

std::optional<double> SortedSetValue::score(std::string_view member) const {
  const auto found = scores_.find(member);
  if (found == scores_.end()) return std::nullopt;
  return found->second;
}

std::size_t Record::memory_bytes() const {
  return std::visit(SizeOf{}, value) + sizeof(Record);
}

}  // namespace stayd
