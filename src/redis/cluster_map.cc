#include "redis/cluster_map.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace stayd {

// The answers of one moment, and what comes out of them.
class ClusterMap::Merge {
 public:
  Merge(const Fresh& answers, const Topology* followed) : answers_(answers), followed_(followed) {
    if (followed_ != nullptr) {
      for (const ClusterShard& shard : followed_->shards) {
        const int owner = intern(shard.primary_id);
        owners_[owner].followed_epoch = shard.config_epoch;
        for (int slot = 0; slot < kSlots; ++slot) {
          if (shard.slots.test(slot)) kept_[slot] = owner;
        }
      }
    }
    for (const auto& [id, node] : answers_) claim_all(node->answer);
    tally_addresses();
  }

  bool covers_all() const {
    return std::ranges::all_of(best_, [](const Claim& claim) { return claim.owner >= 0; });
  }

  Topology topology(bool set_up_anew) const {
    std::vector<ClusterShard> shards(owners_.size());
    std::vector<std::size_t> order;  // by the lowest slot
    for (int slot = 0; slot < kSlots; ++slot) {
      const auto [owner, epoch, ok] = choice(slot, set_up_anew);
      if (owner < 0) continue;
      ClusterShard& shard = shards[owner];
      if (shard.slots.none()) order.push_back(owner);
      shard.slots.set(slot);
      shard.config_epoch = std::max(shard.config_epoch, epoch);
    }
    const auto replicas = working_replicas();
    Topology out;
    for (const std::size_t owner : order) {
      ClusterShard& shard = out.shards.emplace_back(std::move(shards[owner]));
      shard.primary_id = owners_[owner].id;
      shard.primary = address_of(owners_[owner]);
      const auto own = replicas.find(shard.primary_id);
      if (own != replicas.end()) shard.replicas = own->second;
    }
    return out;
  }

 private:
  struct Claim {
    int owner = -1;
    std::uint64_t epoch = 0;
    bool ok = false;
  };
  struct Owner {
    std::string id;
    std::uint64_t followed_epoch = 0;
    const ClusterNode* own_word = nullptr;                      // nullptr: it does not answer
    SlotSet own_slots;                                          // in it
    std::map<std::string, std::pair<Endpoint, int>> addresses;  // with their votes
    // At an epoch that it answers at, what it does not claim is not its.
    bool denies(int slot, std::uint64_t epoch) const {
      return own_word != nullptr && own_word->config_epoch >= epoch && !own_slots.test(slot);
    }
  };

  int intern(const std::string& id) {
    const auto [it, is_new] = index_.emplace(id, static_cast<int>(owners_.size()));
    if (!is_new) return it->second;
    Owner& owner = owners_.emplace_back();
    owner.id = id;
    if (const auto answer = answers_.find(id); answer != answers_.end()) {
      owner.own_word = &answer->second->answer.view.self();
      for (const SlotRange& range : owner.own_word->slots) {
        for (int slot = range.first; slot <= range.last; ++slot) owner.own_slots.set(slot);
      }
    }
    return it->second;
  }

  void claim_all(const Answer& answer) {
    for (const ClusterNode& node : answer.view.nodes) {
      if (node.slots.empty()) continue;
      const Claim claim{intern(node.id), node.config_epoch, answer.state_ok};
      for (const SlotRange& range : node.slots) {
        for (int slot = range.first; slot <= range.last; ++slot) weigh(claim, slot);
      }
    }
  }

  void weigh(const Claim& claim, int slot) {
    if (owners_[claim.owner].denies(slot, claim.epoch)) return;
    const auto rank = [&](const Claim& c) {
      return std::tuple(c.owner >= 0, c.epoch, c.owner == kept_[slot], c.ok);
    };
    if (rank(claim) > rank(best_[slot])) best_[slot] = claim;
  }

  Claim choice(int slot, bool set_up_anew) const {
    const Claim& best = best_[slot];
    const int kept = kept_[slot];
    if (kept < 0) return best;
    const Owner& owner = owners_[kept];
    const bool newer = best.epoch > owner.followed_epoch ||
                       (best.owner == kept && best.epoch == owner.followed_epoch);
    if (newer || set_up_anew || owner.denies(slot, owner.followed_epoch)) return best;
    return {kept, owner.followed_epoch, false};
  }

  // Where each node is said to be, and by how many answers.
  void tally_addresses() {
    for (const auto& [teller, node] : answers_) {
      for (const ClusterNode& told : node->answer.view.nodes) {
        const auto owner = index_.find(told.id);
        if (owner == index_.end() || !told.address.known()) continue;
        auto& named = owners_[owner->second].addresses;
        ++named.try_emplace(told.address.text(), told.address, 0).first->second.second;
      }
    }
  }

  // Where it answers itself, before where most say that it is.
  Endpoint address_of(const Owner& owner) const {
    const ClusterShard* before = followed_ == nullptr ? nullptr : followed_->find(owner.id);
    const auto self = answers_.find(owner.id);
    const auto rank = [&](const auto& entry) {
      const auto& [text, votes] = entry;
      return std::tuple(self != answers_.end() && self->second->address.text() == text,
                        votes.second, before != nullptr && before->primary.text() == text);
    };
    const auto best = std::ranges::max_element(owner.addresses, {}, rank);
    if (best != owner.addresses.end()) return best->second.first;
    return before == nullptr ? Endpoint{"", 0, ""} : before->primary;
  }

  // By their primaries' ids. A node's own word counts, then that of one whose state is ok.
  std::map<std::string, std::vector<Endpoint>> working_replicas() const {
    std::map<std::string, std::pair<int, const ClusterNode*>> told;
    for (const auto& [teller, node] : answers_) {
      for (const ClusterNode& other : node->answer.view.nodes) {
        const int weight = other.id == teller ? 3 : node->answer.state_ok ? 2 : 1;
        auto& [heaviest, best] = told[other.id];
        if (weight > heaviest) std::tie(heaviest, best) = std::pair(weight, &other);
      }
    }
    std::map<std::string, std::vector<Endpoint>> out;
    for (const auto& [id, weighed] : told) {
      const ClusterNode& node = *weighed.second;
      if (node.primary || node.failing || !node.address.known()) continue;
      out[node.primary_id].push_back(node.address);
    }
    for (auto& [id, replicas] : out) std::ranges::sort(replicas, {}, &Endpoint::text);
    return out;
  }

  const Fresh& answers_;
  const Topology* followed_;  // nullptr: none yet
  std::map<std::string, int> index_;
  std::vector<Owner> owners_;
  std::vector<int> kept_ = std::vector<int>(kSlots, -1);  // by slot: the followed owner
  std::vector<Claim> best_ = std::vector<Claim>(kSlots);
};

void ClusterMap::add_seed(const Endpoint& address) {
  Node& node = nodes_[address.text()];
  node.address = address;
  node.seed = true;
}

void ClusterMap::resume(Topology topology, std::int64_t now_us) {
  STAYD_ASSERT(!followed_);
  for (const ClusterShard& shard : topology.shards) {
    learn(shard.primary, true, now_us);
    for (const Endpoint& replica : shard.replicas) learn(replica, false, now_us);
  }
  followed_ = std::move(topology);
}

void ClusterMap::learn(const Endpoint& address, bool primary, std::int64_t now_us) {
  if (!address.known()) return;
  const auto it = nodes_.find(address.text());
  if (it == nodes_.end() && nodes_.size() >= kMaxNodes) return;
  Node& node = it == nodes_.end() ? nodes_[address.text()] : it->second;
  node.address = address;
  node.primary = primary;
  node.named_us = now_us;
}

void ClusterMap::on_answer(const Endpoint& asked, Answer answer, std::int64_t now_us) {
  const auto it = nodes_.find(asked.text());
  if (it == nodes_.end()) return;  // forgotten meanwhile
  Node& node = it->second;
  const bool same = is_fresh(node, now_us) && node.answer.state_ok == answer.state_ok &&
                    node.answer.view == answer.view;
  changed_ = changed_ || !same;
  for (const ClusterNode& told : answer.view.nodes) {
    learn(told.address, !told.slots.empty(), now_us);
    if (!told.slots.empty() && first_claim_us_ < 0) first_claim_us_ = now_us;
  }
  node.at_us = now_us;
  if (!same) node.answer = std::move(answer);
}

void ClusterMap::forget(std::int64_t now_us) {
  const auto answers = fresh(now_us);
  const auto ok = [](const auto& entry) { return entry.second->answer.state_ok; };
  if (std::ranges::none_of(answers, ok)) return;
  const auto gone = std::erase_if(nodes_, [&](const auto& entry) {
    const Node& node = entry.second;
    return !node.seed && now_us - std::max(node.named_us, node.at_us) > kForgetUs;
  });
  changed_ = changed_ || gone > 0;
}

bool ClusterMap::is_fresh(const Node& node, std::int64_t now_us) const {
  return node.at_us >= 0 && now_us - node.at_us <= kAnswerValidUs;
}

// The newest answer of each node.
ClusterMap::Fresh ClusterMap::fresh(std::int64_t now_us) const {
  Fresh out;
  for (const auto& [address, node] : nodes_) {
    if (!is_fresh(node, now_us)) continue;
    const Node*& newest = out[node.answer.view.self().id];
    if (newest == nullptr || node.at_us > newest->at_us) newest = &node;
  }
  return out;
}

bool ClusterMap::most_followed_places_are_ok(const Fresh& answers, std::int64_t now_us) const {
  const auto asked = to_ask();
  std::size_t known = 0, ok = 0;
  for (const ClusterShard& shard : followed_->shards) {
    if (std::ranges::find(asked, shard.primary) == asked.end()) continue;
    const Node& node = nodes_.at(shard.primary.text());
    ++known;
    if (is_fresh(node, now_us) && node.answer.state_ok) ++ok;
  }
  if (known > 0) return ok * 2 > known;
  return std::ranges::any_of(answers, [](const auto& a) { return a.second->answer.state_ok; });
}

// Slots that are not on their way any more, and not where they were to go.
SlotSet ClusterMap::note_moving(const Fresh& answers, const Topology& next, std::int64_t now_us) {
  std::map<std::uint16_t, std::string> now;
  for (const auto& [id, node] : answers) {
    const auto& moving = node->answer.view.moving;
    now.insert(moving.begin(), moving.end());
  }
  SlotSet returned;
  for (const auto& [slot, id] : std::exchange(moving_, std::move(now))) {
    const ClusterShard* shard = next.shard_of(slot);
    if (shard == nullptr) moving_.emplace(slot, id);  // not all have heard of its end
    if (moving_.contains(slot) || shard->primary_id == id) continue;
    returned.set(slot);
    returns_at_us_[slot] = now_us + kAnswerValidUs;
  }
  std::erase_if(returns_at_us_, [&](const auto& entry) {
    if (now_us >= entry.second) returned.set(entry.first);
    weigh_at_us_ = std::min(weigh_at_us_, entry.second);
    return now_us >= entry.second;
  });
  return returned;
}

bool ClusterMap::settled(const Topology& first, const Fresh& answers, std::int64_t now_us) const {
  if (first.shards.empty()) return false;
  if (now_us - first_claim_us_ >= kPatienceUs) return true;
  const auto ok = std::ranges::count_if(first.shards, [&](const ClusterShard& shard) {
    const auto answer = answers.find(shard.primary_id);
    return answer != answers.end() && answer->second->answer.state_ok;
  });
  return static_cast<std::size_t>(ok) * 2 > first.shards.size();
}

bool ClusterMap::elect(std::int64_t now_us) {
  if (followed_) followed_->returned.reset();  // told once
  if (!changed_ && now_us < weigh_at_us_) return false;
  const auto answers = fresh(now_us);
  changed_ = false;
  weigh_at_us_ = INT64_MAX;
  for (const auto& [id, node] : answers) {
    weigh_at_us_ = std::min(weigh_at_us_, node->at_us + kAnswerValidUs + 1);
  }
  const std::int64_t patient_until_us = first_claim_us_ + kPatienceUs;
  if (!followed_ && now_us < patient_until_us) {
    weigh_at_us_ = std::min(weigh_at_us_, patient_until_us);
  }
  if (answers.empty()) return false;
  const Merge merge(answers, followed_ ? &*followed_ : nullptr);
  const bool anew = followed_ && merge.covers_all() && most_followed_places_are_ok(answers, now_us);
  Topology next = merge.topology(anew);
  if (followed_ ? next.shards.empty() : !settled(next, answers, now_us)) return false;
  next.returned = note_moving(answers, next, now_us);
  const bool another = !followed_ || !followed_->same_primaries(next) ||
                       !followed_->same_epochs(next) || next.returned.any();
  followed_ = std::move(next);
  return another;
}

bool ClusterMap::confirmed(std::int64_t now_us) const {
  const auto answers = fresh(now_us);
  return followed_ && !answers.empty() && settled(*followed_, answers, now_us);
}

SlotSet ClusterMap::uncovered() const {
  return followed_ ? ~followed_->covered() : ~SlotSet{};
}

std::optional<Endpoint> ClusterMap::address_of(std::string_view place) const {
  for (const auto& [address, node] : nodes_) {
    for (const ClusterNode& told : node.answer.view.nodes) {
      const Endpoint other{told.other_host, told.address.port, ""};
      if (told.address.text() == place || other.text() == place) return told.address;
    }
  }
  return std::nullopt;
}

std::vector<Endpoint> ClusterMap::to_ask() const {
  std::set<std::string> followed;
  if (followed_) {
    for (const ClusterShard& shard : followed_->shards) followed.insert(shard.primary.text());
  }
  std::multimap<int, const Node*> order;
  for (const auto& [address, node] : nodes_) {
    const int rank = node.seed ? 0 : followed.contains(address) ? 1 : node.primary ? 2 : 3;
    order.emplace(rank, &node);
  }
  std::vector<Endpoint> out;
  for (const auto& [rank, node] : order) {
    if (out.size() == kMaxAsked) break;
    out.push_back(node->address);
  }
  return out;
}

}  // namespace stayd
