// Three engines behind a ShardRouter that a test answers for, and the calls of its clients.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/shard_router.h"
#include "resp/command_table.h"

namespace stayd::testing {

using Words = std::vector<std::string>;

inline constexpr int kEngines = 3;

// Says what it was asked, and answers when it is told to.
struct FakeEngine final : CallHandler {
  bool answers = true;
  std::deque<Call*> calls;
  std::string seen;
  std::string at_once;  // not empty: the reply to whatever comes
  std::vector<std::uint64_t> gone;

  void submit(Call& call) override {
    std::string text;
    for (const auto arg : call.args) text.append(text.empty() ? "" : " ").append(arg);
    seen.append(seen.empty() ? "" : ", ").append(text);
    if (!at_once.empty()) return call.sink->on_reply(call, at_once);
    calls.push_back(&call);
  }
  bool redis_answers() const override { return answers; }
  void client_gone(std::uint64_t client) override { gone.push_back(client); }

  std::string take_seen() { return std::exchange(seen, ""); }
  void answer(std::string_view reply) {
    ASSERT_FALSE(calls.empty()) << reply;
    Call& call = *calls.front();
    calls.pop_front();
    call.sink->on_reply(call, reply);
  }
};

// A third of the slots each.
inline ShardRouter::Owners thirds() {
  ShardRouter::Owners owners{};
  for (int slot = 0; slot < kSlots; ++slot) owners[slot] = slot * kEngines / kSlots;
  return owners;
}

// The n-th key of this engine; no two have the same slot.
inline std::string key(int engine, int n = 0) {
  SlotSet taken;
  for (int i = 0;; ++i) {
    const std::string one = "k" + std::to_string(i);
    const Slot slot = slot_of(one);
    if (thirds()[slot] != engine || taken[slot]) continue;
    taken.set(slot);
    if (n-- == 0) return one;
  }
}

class ShardRouterTest : public ::testing::Test, public CallSink {
 protected:
  ShardRouterTest() { router.set_owners(handlers(), thirds()); }

  std::vector<CallHandler*> handlers() { return {&engines[0], &engines[1], &engines[2]}; }

  std::unique_ptr<Call> make(const Words& words, std::uint64_t client = 1) {
    auto call = std::make_unique<Call>();
    for (const auto& word : words) call->args.push_back(words_.emplace_back(word));
    append_request(call->raw, call->args);
    call->spec = find_command(call->args);
    call->client_id = client;
    call->sink = this;
    EXPECT_NE(call->spec, nullptr);
    return call;
  }
  // Its number; `reply(number)` is what has come.
  std::size_t submit(std::unique_ptr<Call> call) {
    replies.emplace_back();
    calls.push_back(std::move(call));
    router.submit(*calls.back());
    return calls.size() - 1;
  }
  std::size_t submit(const Words& words, std::uint64_t client = 1) {
    return submit(make(words, client));
  }
  std::size_t exec(const std::vector<Words>& block, bool watches = false,
                   std::uint64_t client = 1) {
    auto call = make({"exec"}, client);
    for (const Words& words : block) call->block.push_back(make(words, client));
    call->pinned = watches;
    return submit(std::move(call));
  }
  void on_reply(Call& call, std::string_view reply) override {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].get() != &call) continue;
      EXPECT_EQ(replies[i], "") << "answered twice";
      replies[i] = reply;
      if (on_answer) std::exchange(on_answer, nullptr)();
      return;
    }
    ADD_FAILURE() << "a reply to a call that nobody has made";
  }
  // As when the slots of engines 0 and 1 change.
  void hold() { router.hold({true, true, false}); }
  void move_slots() {
    auto owners = thirds();
    std::ranges::replace(owners, std::uint16_t{0}, std::uint16_t{1});
    router.set_owners(handlers(), owners);
  }

  FakeEngine engines[kEngines];
  ShardRouter router;
  std::deque<std::string> words_;
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::string> replies;  // empty: none yet
  std::function<void()> on_answer;
};

}  // namespace stayd::testing
