// A connection to Redis that is a script: what was sent is looked at, replies are given by the
// test.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>

#include "core/upstream.h"
#include "resp/request_parser.h"

namespace stayd::testing {

template <class Seam>
struct FakeConnection : Seam {
  struct Asked {
    ReplyHandler* handler;
    std::uint64_t tag;
    std::int64_t deadline_us;
  };
  bool is_up = true;
  std::deque<Asked> asked;
  std::string sent;
  std::string condemned;

  bool up() const override { return is_up; }
  void send(std::string_view request, int, ReplyHandler& handler, std::uint64_t tag,
            std::int64_t deadline_us, std::uint32_t, Order) override {
    EXPECT_TRUE(is_up);
    std::string bytes(request);
    for (Args args; !bytes.empty();) {
      RequestParser parser;
      const auto outcome = parser.parse(bytes, RequestLimits{}, args);
      ASSERT_EQ(outcome.status, RequestParser::Status::ready);
      if (!sent.empty()) sent += ", ";
      for (std::size_t i = 0; i < args.size(); ++i) sent.append(i == 0 ? "" : " ").append(args[i]);
      bytes.erase(0, outcome.consumed);
    }
    asked.push_back({&handler, tag, deadline_us});
  }
  void condemn(std::string_view cause) override {
    condemned = cause;
    lose();
  }
  std::size_t pending() const override { return asked.size(); }

  std::string take_sent() { return std::exchange(sent, ""); }
  void answer(std::string_view reply) {
    ASSERT_FALSE(asked.empty()) << reply;
    const Asked front = asked.front();
    asked.pop_front();
    front.handler->on_upstream_reply(front.tag, reply);
  }
  void lose() {
    is_up = false;
    for (const Asked& one : std::exchange(asked, {})) one.handler->on_upstream_lost(one.tag);
  }
};

using FakeUpstream = FakeConnection<Upstream>;

}  // namespace stayd::testing
