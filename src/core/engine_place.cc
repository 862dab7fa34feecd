// Engine: its place in a Redis Cluster changes (docs/adr/0012).
#include <utility>

#include "base/error.h"
#include "core/engine.h"
#include "resp/request_parser.h"

namespace stayd {

Handover Handover::of(const ShardPlace& place) {
  const auto ours = [&](std::string_view key) { return place.owns(key_of(key)); };
  Handover out;
  out.adoption_complete = adoption_complete;
  out.doubts = doubts;
  extract_if(tombs, ours, [&](const FullKey& key, Hlc hlc) { out.tombs.emplace(key, hlc); });
  const auto split = [](auto& from, auto& to, const auto& moves) {
    for (auto& one : from) {
      if (moves(one)) to.push_back(one);
    }
    std::erase_if(from, moves);
  };
  split(unrecorded, out.unrecorded, [&](const auto& one) { return ours(one.key); });
  split(placed, out.placed, ours);
  split(leftovers, out.leftovers, ours);
  split(wanted, out.wanted, [&](const auto& one) { return ours(one.key); });
  split(told_absent, out.told_absent, [&](const auto& one) { return ours(one.second); });
  return out;
}

void Engine::note_elsewhere(std::string_view frame) {
  if (c_.place.everything() || classify_reply(frame) != ReplyClass::elsewhere) return;
  shard_.note_refusal(ReplyClass::elsewhere, frame.substr(1));
}

// On the connections that clients share. Once.
bool Engine::may_follow(const Call& call) const {
  return !c_.place.everything() && slot_events_ != nullptr && !call.redirected &&
         static_cast<Stage>(call.stage) != Stage::blocking;
}

void Engine::submit_redirected(Call& call, bool asking) {
  ++under_way_;
  call.redirected = true;
  const auto handling = call.spec->handling;
  const bool slow = handling != Handling::read && handling != Handling::write;
  Upstream& upstream = slow ? *aux_ : *c_.upstream;
  if (!upstream.up()) return fail_unavailable(call);
  request_.clear();
  if (asking) append_request(request_, {"ASKING"});
  request_.append(call.raw);
  call.stage = static_cast<std::uint8_t>(Stage::passthrough);
  upstream.send(request_, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                slow ? slow_deadline_us() : command_deadline_us(), asking ? 2 : 1);
}

void Engine::settle() {
  for (Call* call : std::exchange(holding_, {})) reply_unknown(*call, UnknownPolicy::error);
  if (!paying_.empty()) retry_paying();
  run_ready();
}

Handover Engine::move(ShardPlace place, const SlotSet& gained) {
  STAYD_ASSERT(under_way_ == 0 && !c_.up());
  shard_.move(std::move(place), gained);
  const auto lost = [this](const FullKey& key) { return !c_.place.owns(key_of(key)); };
  Handover out;
  out.adoption_complete = adopter_.settled();
  out.doubts = shard_.doubts();
  extract_if(c_.unwritten_tombs, lost,
             [&](const FullKey& key, Hlc hlc) { out.tombs.emplace(key, hlc); });
  extract_if(c_.placed, lost, [&](const FullKey& key, bool) { out.placed.push_back(key); });
  out.unrecorded = c_.unrecorded.extract(lost);
  out.leftovers = shard_.leftovers().give_up();
  out.wanted = adopter_.give_up();
  for (const auto& told : told_absent_) {
    if (lost(told.second)) out.told_absent.push_back(told);
  }
  std::erase_if(told_absent_, [&](const auto& told) { return lost(told.second); });
  c_.debts.forget_if(lost);
  c_.cache.clear();
  absences_.clear();
  c_.redirected.clear();
  cursors_.clear();
  for (auto& [client, watch] : watches_) watch.in_doubt = true;
  return out;
}

void Engine::take_over(Handover from) {
  for (const auto& [key, hlc] : from.tombs) c_.unwritten_tombs.insert_or_assign(key, hlc);
  for (const auto& one : from.unrecorded) c_.unrecorded.add(one.key, one.hlc, one.removal);
  for (const FullKey& key : from.placed) c_.placed.insert_or_assign(key, true);
  for (const FullKey& key : from.leftovers) shard_.leave(c_.in_flight.begin({key}), {key});
  for (const auto& one : from.wanted) adopter_.want(one.key, one.force);
  told_absent_.insert(told_absent_.end(), from.told_absent.begin(), from.told_absent.end());
  shard_.take_doubts(from.doubts);
  if (!from.adoption_complete && adopter_.ended()) adopter_.restart();
}

}  // namespace stayd
