// Shard: has the ledger lost its end, so that Redis is the truth (W6)?
#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "core/lua.h"
#include "core/shard.h"
#include "core/shard_tags.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
// Durable, of a shard of a Cluster: "TOP", the ledger's when the first life began that has not
// compared it with this shard's heartbeat, or 0; then " ID TOP" for each doubt.
constexpr std::string_view kFact = "ledger_top";
constexpr std::size_t kMaxDoubts = 16;
constexpr std::int64_t kWrittenUs = 1'000'000;  // by then the ledger has a fact, or is out of order
}  // namespace

// While this shard is out, or is killed before it has acted on what it found, others write: the
// ledger's top passes the heartbeat that tells what was lost.
void Shard::find_ledger_top() {
  ledger_top_ = last_top_ = c_.store.highest_hlc();
  if (c_.ledger_end == nullptr) return;
  std::istringstream in(c_.store.fact(kFact));
  Hlc unjudged = 0;
  in >> unjudged;
  for (LedgerDoubt doubt; in >> doubt.id >> doubt.top;) doubts_.push_back(doubt);
  if (unjudged != 0) ledger_top_ = std::min(ledger_top_, unjudged);
  c_.ledger_end->set_top(c_.place.id(), ledger_top_);
  save_judgement();
}

void Shard::save_judgement() {
  std::string text = std::to_string(first_contact_ ? ledger_top_ : 0);
  for (const auto& [id, top] : doubts_) text.append(" ").append(id + " " + std::to_string(top));
  c_.store.put_fact(std::string(kFact), std::move(text));
}

// Heartbeats of the last life that stand in slots of this shard now.
void Shard::ask_for_heartbeats_left(std::int64_t deadline_us) {
  asked_for_.clear();
  if (c_.ledger_end == nullptr) return;
  std::string request;
  for (const auto& left : c_.ledger_end->expected()) {
    if (!c_.place.owns(left.name) || left.name == canary_name()) continue;
    request.clear();
    append_request(request, {"GET", left.name});
    const auto number = static_cast<int>(asked_for_.size());
    c_.upstream->send(request, 0, *this, make_tag(kTagLeft, generation_, number), deadline_us);
    asked_for_.push_back(left);
  }
}

void Shard::on_heartbeat_left(int number, std::string_view text) {
  const auto canary = Canary::parse(text);
  if (canary) c_.ledger_end->note_left(asked_for_[static_cast<std::size_t>(number)], *canary);
}

bool Shard::ledger_is_in_doubt() const {
  if (c_.ledger_end == nullptr) return false;
  const auto lost = [this](const LedgerDoubt& doubt) { return c_.ledger_end->is_lost(doubt); };
  const std::string& id = c_.place.id();
  return (first_contact_ && (lost({id, ledger_top_}) || lost({id, last_top_}))) ||
         std::ranges::any_of(doubts_, lost);
}

// `ahead`: the highest position that this shard's heartbeats tell of. Empty: it is not.
std::string_view Shard::why_redis_is_truth(Hlc ahead) {
  constexpr std::string_view kLost = "the ledger lost its last writes";
  if (c_.fleet != nullptr) return {};  // the backup brings what it has lost (B13)
  void_top_ = ledger_top_;
  if (first_contact_ && away_too_long_ && ahead != 0) {
    return "stayd was away for longer than max_island";
  }
  if (!c_.rules.lost_tail_means_redis_wins) return {};
  if (first_contact_ && ahead > ledger_top_) {
    if (c_.ledger_end != nullptr) c_.ledger_end->lose(ledger_top_);
    if (c_.ledger_end != nullptr && ahead > last_top_) c_.ledger_end->lose(last_top_);
    if (ahead > last_top_) void_top_ = last_top_;
    return kLost;
  }
  if (!ledger_is_in_doubt()) return {};
  void_top_ = 0;
  for (const LedgerDoubt& doubt : doubts()) {
    if (c_.ledger_end->is_lost(doubt)) void_top_ = std::max(void_top_, doubt.top);
  }
  return kLost;
}

// Believed, with the reservation that another shard may show the loss yet.
void Shard::note_judged(bool redis_is_truth) {
  if (c_.ledger_end == nullptr) return;
  c_.ledger_end->forget(canary_name());
  const std::size_t before = doubts_.size();
  const std::string& id = c_.place.id();
  if (redis_is_truth) {
    doubts_.clear();
  } else if (first_contact_) {
    for (const Hlc top : {ledger_top_, last_top_}) {
      const bool reserved = !c_.ledger_end->saw(id) || c_.ledger_end->outlived(id, top);
      if (top != 0 && reserved) add_doubt({id, top});
    }
  }
  if (first_contact_) judged_us_ = c_.now.mono_us;
  const bool changed = std::exchange(first_contact_, false) || doubts_.size() != before;
  if (changed) save_judgement();
}

// For the heartbeat; 0: not of a Cluster. Killed before it is written that this one has judged,
// stayd would compare it with the top that it has just passed.
Hlc Shard::told_top() const {
  if (c_.ledger_end == nullptr) return 0;
  const Hlc top = c_.store.highest_hlc();
  return c_.now.mono_us - judged_us_ > kWrittenUs ? top : std::min(top, ledger_top_);
}

std::vector<LedgerDoubt> Shard::doubts() const {
  std::vector<LedgerDoubt> out = doubts_;
  if (!first_contact_) return out;
  if (ledger_top_ != 0) out.push_back({c_.place.id(), ledger_top_});
  if (last_top_ != ledger_top_) out.push_back({c_.place.id(), last_top_});
  return out;
}

void Shard::take_doubts(const std::vector<LedgerDoubt>& doubts) {
  for (const LedgerDoubt& doubt : doubts) add_doubt(doubt);
  if (!doubts.empty()) save_judgement();
}

void Shard::add_doubt(const LedgerDoubt& doubt) {
  const auto same = [&](const LedgerDoubt& one) {
    return one.id == doubt.id && one.top == doubt.top;
  };
  const bool known = std::ranges::any_of(doubts_, same);
  if (!known && doubts_.size() < kMaxDoubts) doubts_.push_back(doubt);
}

// Another region's Redis tells nothing of this ledger's end. Killed before that is written, stayd
// would compare its heartbeats with the top of before.
void Shard::drop_judgement() {
  away_too_long_ = false;
  if (std::exchange(first_contact_, false)) judged_us_ = c_.now.mono_us;
  doubts_.clear();
  if (c_.ledger_end != nullptr) save_judgement();
}

void Shard::end_doubts() {
  if (doubts_.empty()) return;
  doubts_.clear();
  save_judgement();
}

}  // namespace stayd
