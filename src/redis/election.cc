#include "redis/election.h"

#include <algorithm>
#include <set>
#include <utility>

namespace stayd {

namespace {

// What counts as one Sentinel.
std::string identity(const std::string& id, const Endpoint& address) {
  return id.empty() ? address.text() : id;
}

}  // namespace

std::optional<std::size_t> PrimaryElection::learn(const Endpoint& address, const std::string& id,
                                                  std::optional<std::int64_t> named_us) {
  bool known = false;
  for (auto& [index, s] : sentinels_) {
    const bool same_address = s.address.text() == address.text();
    // Not by its id alone: one that has moved is not where it was.
    if (same_address && s.named_us) s.named_us = named_us;
    known = known || same_address || (!id.empty() && s.id == id);
  }
  if (known || sentinels_.size() >= kMaxSentinels) return std::nullopt;
  sentinels_.emplace(next_index_, Sentinel{address, id, named_us, {}, -1});
  return next_index_++;
}

std::vector<std::size_t> PrimaryElection::forget(std::int64_t now_us) {
  std::vector<std::size_t> gone;
  if (answering(now_us) * 2 < known()) return gone;
  for (const auto& [index, s] : sentinels_) {
    if (s.named_us && now_us - std::max(*s.named_us, s.at_us) > kForgetUs) gone.push_back(index);
  }
  for (const auto index : gone) sentinels_.erase(index);
  return gone;
}

void PrimaryElection::identify(std::size_t sentinel, const std::string& id) {
  sentinels_.at(sentinel).id = id;
}

void PrimaryElection::on_answer(std::size_t sentinel, Answer answer, std::int64_t now_us) {
  if (first_answer_us_ < 0) first_answer_us_ = now_us;
  if (!epochs_count_) answer.epoch = 0;
  Sentinel& s = sentinels_.at(sentinel);
  s.answer = std::move(answer);
  s.at_us = now_us;
}

std::size_t PrimaryElection::known() const {
  std::set<std::string> identities;
  for (const auto& [index, s] : sentinels_) identities.insert(identity(s.id, s.address));
  return identities.size();
}

// The newest answer of each Sentinel that is not too old.
std::vector<const PrimaryElection::Sentinel*> PrimaryElection::fresh(std::int64_t now_us) const {
  std::vector<const Sentinel*> out;
  for (const auto& [index, s] : sentinels_) {
    if (s.at_us < 0 || now_us - s.at_us > kAnswerValidUs) continue;
    const auto twin = std::ranges::find_if(
        out, [&](const Sentinel* other) { return !s.id.empty() && other->id == s.id; });
    if (twin == out.end()) {
      out.push_back(&s);
    } else if (s.at_us > (*twin)->at_us) {
      *twin = &s;
    }
  }
  return out;
}

std::size_t PrimaryElection::answering(std::int64_t now_us) const {
  return fresh(now_us).size();
}

std::size_t PrimaryElection::votes(const Endpoint& primary, std::int64_t now_us) const {
  const auto answers = fresh(now_us);
  return static_cast<std::size_t>(std::ranges::count_if(
      answers, [&](const Sentinel* s) { return s->answer.primary.text() == primary.text(); }));
}

// nullptr: all stays as it is.
const PrimaryElection::Answer* PrimaryElection::choice(const std::vector<const Sentinel*>& fresh,
                                                       std::int64_t now_us) const {
  const auto most = [&](std::size_t n) { return n * 2 > known(); };
  if (!followed_ && !most(fresh.size()) && now_us - first_answer_us_ < kPatienceUs) return nullptr;
  const Answer* newest = nullptr;
  for (const Sentinel* s : fresh) {
    const Answer& answer = s->answer;
    if (newest == nullptr || answer.epoch > newest->epoch ||
        (answer.epoch == newest->epoch &&
         votes(answer.primary, now_us) > votes(newest->primary, now_us))) {
      newest = &answer;
    }
  }
  if (newest == nullptr || !followed_ || newest->epoch > followed_->epoch) return newest;
  const Answer* most_named = nullptr;
  for (const Sentinel* s : fresh) {
    const Answer& answer = s->answer;
    const bool same = answer.primary.text() == followed_->primary.text();
    if (same && answer.epoch == followed_->epoch) return nullptr;
    if (!most(votes(answer.primary, now_us))) continue;
    if (most_named == nullptr || answer.epoch > most_named->epoch) most_named = &answer;
  }
  return most_named;
}

bool PrimaryElection::elect(std::int64_t now_us) {
  const Answer* chosen = choice(fresh(now_us), now_us);
  if (chosen == nullptr) return false;
  const bool another = !followed_ || followed_->primary.text() != chosen->primary.text();
  followed_ = *chosen;
  return another;
}

}  // namespace stayd
