#include "core/record_cache.h"

namespace stayd {

namespace {
constexpr std::size_t kNodeBytes = 256;  // list node, index entry, key, metadata: rounded up
}

Row* RecordCache::find(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, it->second);
  return &it->second->row;
}

Row& RecordCache::put(const FullKey& key, Row row) {
  erase(key);
  order_.push_front(Node{key, std::move(row), 0});
  index_.emplace(key, order_.begin());
  resized(key);
  return order_.front().row;
}

void RecordCache::resized(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return;
  Node& node = *it->second;
  order_.splice(order_.begin(), order_, it->second);
  bytes_ -= node.bytes;
  node.bytes = kNodeBytes + node.key.size() + node.row.record.memory_bytes();
  bytes_ += node.bytes;
  shrink();
}

void RecordCache::shrink() {
  while (bytes_ > budget_ && order_.size() > 1) {
    bytes_ -= order_.back().bytes;
    index_.erase(order_.back().key);
    order_.pop_back();
  }
}

void RecordCache::erase(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return;
  bytes_ -= it->second->bytes;
  order_.erase(it->second);
  index_.erase(it);
}

void RecordCache::clear() {
  order_.clear();
  index_.clear();
  bytes_ = 0;
}

}  // namespace stayd
