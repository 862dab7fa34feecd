#include "bench/load/sessions.h"

#include <gtest/gtest.h>

#include "bench/load/histogram.h"

namespace stayd::load {
namespace {

struct World {
  Random random{7};
  Sessions sessions{64, random};
  Request login;

  World() {
    login = sessions.login();
    answer(login, "+OK\r\n");
  }
  Judgement answer(const Request& request, std::string_view frame) {
    return sessions.judge(request, ReplyView(frame));
  }
  // The next request of this kind; others of the mix are answered as they should be.
  Request until(Op op) {
    for (;;) {
      const Request request = sessions.next();
      if (request.op == op) return request;
      answer(request, right(request));
    }
  }
  std::string right(const Request& request) const {
    if (request.op == Op::logout) return ":1\r\n";
    if (request.op == Op::read_gone) return "$-1\r\n";
    if (request.op != Op::read) return "+OK\r\n";
    return value(request.session, request.version);
  }
  static std::string value(std::uint32_t session, std::uint32_t version) {
    std::string out;
    write_bulk(out, std::to_string(session) + ":" + std::to_string(version) + ":xxx");
    return out;
  }
};

TEST(Sessions, right_answers_are_right) {
  World world;
  for (int i = 0; i < 10'000; ++i) {
    const Request request = world.sessions.next();
    ASSERT_EQ(world.answer(request, world.right(request)).verdict, Verdict::right);
  }
}

TEST(Sessions, a_read_is_judged_by_what_was_acknowledged) {
  World world;
  const Request read = world.sessions.read(0);
  EXPECT_EQ(world.answer(read, "$-1\r\n").why, "nil for a live session");
  EXPECT_EQ(world.answer(read, World::value(0, 0)).why, "older than acknowledged");
  EXPECT_EQ(world.answer(read, World::value(0, 9)).why, "a version that nobody wrote");
  EXPECT_EQ(world.answer(read, World::value(1, 1)).why, "another session's value");
  EXPECT_EQ(world.answer(read, "$3\r\nabc\r\n").why, "not a session's value");
  EXPECT_EQ(world.answer(read, "-LOADING x\r\n").verdict, Verdict::error);
}

TEST(Sessions, both_values_are_right_while_a_write_is_under_way) {
  World world;
  Request write = world.until(Op::write);
  const Request read = world.sessions.read(write.session);
  EXPECT_EQ(world.answer(read, World::value(write.session, write.version)).why, "");
  EXPECT_EQ(world.answer(read, World::value(write.session, write.version - 1)).why, "");
  world.answer(write, "+OK\r\n");
  const Request later = world.sessions.read(write.session);
  EXPECT_EQ(world.answer(later, World::value(write.session, write.version - 1)).why,
            "older than acknowledged");
}

TEST(Sessions, a_logout_holds) {
  World world;
  const Request logout = world.until(Op::logout);
  const Request before = world.sessions.read(logout.session);
  EXPECT_EQ(world.answer(before, "$-1\r\n").why, "") << "a logout is under way";
  EXPECT_EQ(world.answer(logout, ":1\r\n").why, "");
  const Request after = world.sessions.next();
  EXPECT_EQ(after.op, Op::read_gone);
  EXPECT_EQ(after.session, logout.session);
  EXPECT_EQ(world.answer(after, World::value(logout.session, 1)).why, "a value after logout");
}

TEST(Sessions, nothing_is_claimed_of_a_logout_without_an_answer) {
  World world;
  const Request logout = world.until(Op::logout);
  world.sessions.lost(logout);
  const Request read = world.sessions.read(logout.session);
  EXPECT_EQ(world.answer(read, "$-1\r\n").why, "");
  EXPECT_EQ(world.answer(read, World::value(logout.session, read.version)).why, "");
}

TEST(Histogram, percentiles_are_upper_bounds_of_narrow_buckets) {
  Histogram histogram;
  for (int us = 1; us <= 10'000; ++us) histogram.add(us);
  EXPECT_EQ(histogram.count(), 10'000u);
  EXPECT_EQ(histogram.max_us(), 10'000u);
  EXPECT_NEAR(static_cast<double>(histogram.percentile_us(0.5)), 5'000, 5'000 * 0.016);
  EXPECT_NEAR(static_cast<double>(histogram.percentile_us(0.99)), 9'900, 9'900 * 0.016);
  EXPECT_EQ(histogram.percentile_us(1), 10'000u);
}

}  // namespace
}  // namespace stayd::load
