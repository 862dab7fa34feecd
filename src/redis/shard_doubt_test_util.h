// A Cluster whose ledger loses its end, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/canary.h"
#include "redis/shard_set_test_util.h"

namespace stayd::testing {

class DoubtTest : public DividedTest {
 protected:
  using DividedTest::DividedTest;
  // x holds "b" under this key, which its heartbeat tells of and a power cut would take from the
  // ledger; then all are out.
  void write_what_is_not_synced(const std::string& of_x) {
    reply_to({"set", of_x, "a"});
    run(1'000);
    lose_node("y");
    store.sync();
    reply_to({"set", of_x, "b"});
    run(1'000);
    lose_node("x");
  }
  // A power cut takes what was written since sync(). Those that were told to do so do not listen.
  void cut_power() {
    set.reset();
    store.lose_power(0);
    start();
  }
  void find_node(const std::string& name) {
    node(name).listens = true;
    until([&] { return trust_of(name) == Trust::trusted; });
  }
  // As the ledger has it, x being out.
  std::string row_of_x(const std::string& key) {
    EXPECT_TRUE(settled());
    EXPECT_TRUE(until([this] { return set->status().adoption_complete; }));
    lose_node("x");
    return reply_to({"get", key});
  }
  Hlc position_of(const std::string& name) {
    Hlc position = 0;
    for (const auto& [key, value] : node(name).data) {
      if (key.find(":canary:") != std::string::npos) position = Canary::parse(value)->position;
    }
    return position;
  }
  void set_position(const std::string& name, Hlc position, Hlc top) {
    for (auto& [key, value] : node(name).data) {
      if (key.find(":canary:") == std::string::npos) continue;
      auto canary = *Canary::parse(value);
      canary.position = position;
      canary.top = std::min(canary.top, top);
      value = canary.text();
    }
  }
  void lose_node(const std::string& name) {
    node(name).listens = false;
    until([&] { return trust_of(name) == Trust::out; });
  }
};

}  // namespace stayd::testing
