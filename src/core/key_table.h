// Which keys have something going on: locks, writes in flight to Redis, calls that wait, debts.
// Idle keys have no entry; with Redis healthy and no writes under way the table is empty.
// Loop thread only.
//
// Order: a call that must wait stands in the queues of all its keys at once, and starts when it is
// at the front of each of them; so calls on one key start in the order they came, and nothing
// deadlocks.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "core/call.h"

namespace stayd {

struct BytesHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
struct BytesEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};
template <class V>
using KeyMap = boost::unordered_flat_map<FullKey, V, BytesHash, BytesEqual>;

// Takes the entries out for whose key `wanted` is true; `took` hears of each.
template <class V, class Wanted, class Took>
void extract_if(KeyMap<V>& map, const Wanted& wanted, const Took& took) {
  for (const auto& [key, value] : map) {
    if (wanted(key)) took(key, value);
  }
  boost::unordered::erase_if(map, [&](const auto& entry) { return wanted(entry.first); });
}

class KeyTable {
 public:
  bool empty() const { return entries_.empty(); }

  bool locked(std::string_view key) const;
  std::uint32_t in_flight(std::string_view key) const;

  // True when `call` may start now as far as locks and queues go: none of its keys is locked and no
  // other call stands before it. `alone`: nor is any write of its keys in flight.
  bool may_start(const Call& call, bool alone) const;

  void lock(Call& call);    // requires may_start
  void unlock(Call& call);  // no effect when it holds no locks
  void add_in_flight(Call& call);
  void remove_in_flight(Call& call);  // no effect when not counted

  void enqueue(Call& call);        // at the end of its keys' queues
  void enqueue_front(Call& call);  // before everyone: a call whose connection was lost
  void dequeue(Call& call);        // when it starts

  // Calls at the front of a queue of one of `keys`, to be tried again after something changed
  // there.
  void fronts(const std::vector<FullKey>& keys, std::vector<Call*>& out) const;
  // Every call at the front of some queue.
  void all_fronts(std::vector<Call*>& out) const;

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Call* lock_holder = nullptr;
    std::uint32_t in_flight = 0;
    std::list<Call*> queue;  // a deque takes 600 bytes while it is empty
    bool idle() const { return lock_holder == nullptr && in_flight == 0 && queue.empty(); }
  };
  void drop_if_idle(std::string_view key);
  // Entries are boxed: most live for one round trip.
  KeyMap<std::unique_ptr<Entry>> entries_;
  std::vector<std::unique_ptr<Entry>> spare_;
  Entry& entry(const FullKey& key);
};

}  // namespace stayd
