// The near cache: rows in memory, by least recent use, within a budget of bytes. Filled and
// consulted while Redis is SUSPECT or OUT, and for keys with a debt; empty otherwise, because a
// TRUSTED Redis is asked itself (R2). Loop thread only.
#pragma once

#include <cstdint>
#include <list>
#include <string_view>

#include "core/key_table.h"
#include "session/record.h"

namespace stayd {

class RecordCache {
 public:
  explicit RecordCache(std::size_t budget_bytes) : budget_(budget_bytes) {}

  // The row, now most recently used; nullptr: not here. Valid until the next put or clear.
  Row* find(std::string_view key);
  Row& put(const FullKey& key, Row row);
  // After a row found here was changed in place: accounts for its new size and makes room. May
  // evict any row but `key`'s.
  void resized(std::string_view key);
  void erase(std::string_view key);
  void clear();

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Node {
    FullKey key;
    Row row;
    std::size_t bytes = 0;
  };
  void shrink();
  std::size_t budget_;
  std::size_t bytes_ = 0;
  std::list<Node> order_;  // front: most recent
  KeyMap<std::list<Node>::iterator> index_;
};

}  // namespace stayd
