// The simulated network delays, and reorders nothing of one connection.
#include "sim/network.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "resp/request_parser.h"
#include "sim/redis_model.h"

namespace stayd::sim {
namespace {

struct Silent final : TransportEvents {
  void on_connected() override { connected = true; }
  void on_bytes(std::string_view) override {}
  void on_closed(CloseReason, std::string_view) override { connected = false; }
  bool connected = false;
};

// Late twice, and less so the second time, later bytes arrived first (--shards 3, seed 159).
TEST(Network, WhatIsLateTwiceArrivesInOrder) {
  Scheduler scheduler;
  Random random(1);
  RedisModel redis(scheduler, random);
  redis.start(0);
  Network network(
      scheduler, random, [&](const Endpoint&) { return &redis; }, [](const auto& act) { act(); });
  Silent client;
  const auto never = [] { return false; };
  const auto wire = network.dial({"redis", 7000}, 1000, client);
  scheduler.run_until(scheduler.now_us() + kSecond, [&] { return client.connected; });
  ASSERT_TRUE(client.connected);
  for (const std::string value : {"first", "second"}) {
    ASSERT_TRUE(network.delay_one(0, value == "first" ? kSecond : kMs));
    std::string request;
    append_request(request, {"SET", "k", value});
    wire->write(request);
    scheduler.run_until(scheduler.now_us() + kMs, never);
  }
  scheduler.run_until(scheduler.now_us() + 2 * kSecond, never);
  const auto& held = redis.data().at(full_key(0, "k"));
  EXPECT_EQ(std::get<std::string>(held.value), "second");
}

}  // namespace
}  // namespace stayd::sim
