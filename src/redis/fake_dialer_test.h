// A connection that is a script: what was dialled and sent is looked at, what comes back is given
// by the test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "redis/transport.h"
#include "resp/request_parser.h"

namespace stayd {

struct Wire {
  TransportEvents* events = nullptr;  // of the last connection
  std::string sent;
  bool closed = false;
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Wire& wire) : wire_(wire) {}
  void write(std::string_view bytes) override { wire_.sent += bytes; }
  std::size_t unsent_bytes() const override { return 0; }
  void close(bool) override { wire_.closed = true; }

 private:
  Wire& wire_;
};

struct FakeDialer final : Dialer {
  std::unique_ptr<Transport> dial(const Endpoint& to, std::int64_t,
                                  TransportEvents& events) override {
    dialled += to.text() + " ";
    wire.events = &events;
    wire.closed = false;
    return std::make_unique<FakeTransport>(wire);
  }
  Wire wire;
  std::string dialled;
};

// The commands in these bytes, with a space between any two words.
inline std::string words_of(std::string bytes) {
  std::string out;
  for (Args args; !bytes.empty();) {
    RequestParser parser;
    const auto outcome = parser.parse(bytes, RequestLimits{}, args);
    EXPECT_EQ(outcome.status, RequestParser::Status::ready);
    for (const auto word : args) out += (out.empty() ? "" : " ") + std::string(word);
    bytes.erase(0, outcome.consumed);
  }
  return out;
}

}  // namespace stayd
