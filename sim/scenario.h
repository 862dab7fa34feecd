// What directed scenarios share: a world without users of its own, and questions that wait for
// their answers. For tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "sim/world.h"

namespace stayd::sim {

inline Operation one(Words words) {
  return {.commands = {std::move(words)}};
}

class Scenario : public ::testing::Test {
 protected:
  explicit Scenario(WorldOptions given = options()) : world(std::move(given)) { world.settle(); }
  ~Scenario() override { EXPECT_FALSE(world.users.failed()) << world.report(); }

  static WorldOptions options() {
    WorldOptions options;
    options.fill_redis = false;
    options.only_faults.emplace();  // none but the scenario's own
    options.users.sessions = 0;
    return options;
  }
  static FullKey key(const std::string& name) { return full_key(0, name); }
  // Asks, and waits for the answer.
  std::string ask(Words words) {
    const FullKey full = key(words[0] == "EVAL" ? words[3] : words[1]);
    world.users.ask(full, one(std::move(words)));
    wait();
    return world.users.last_reply();
  }
  void wait() {
    for (int i = 0; i < 200 && world.users.under_way() > 0; ++i) world.pass(5 * kMs);
    EXPECT_EQ(world.users.under_way(), 0U);
  }
  void restart_redis(std::size_t lost) {
    world.redis.kill();
    world.pass(50 * kMs);
    world.redis.start(lost);
  }

  World world;
};

}  // namespace stayd::sim
