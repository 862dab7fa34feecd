// What tests of names and of connections by name share: a resolver that is a script, and ears for
// what is told.
#pragma once

#include <cstddef>
#include <deque>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "observe/events.h"
#include "redis/name_resolver.h"
#include "redis/transport.h"

namespace stayd {

// "10.0.0.1 ::1"
inline Addresses addresses(const std::string& text) {
  Addresses out;
  std::istringstream words(text);
  for (std::string word; words >> word;) out.push_back(Address::numeric(word));
  return out;
}

struct ScriptedResolver final : NameResolver {
  void ask(const std::string& host, Done done) override {
    ++asked;
    under_way.emplace_back(host, std::move(done));
  }
  // To the question that waits longest; no words: "unknown". False: nobody asks.
  bool answer(const std::string& words) {
    if (under_way.empty()) return false;
    const Done done = std::move(under_way.front().second);
    under_way.pop_front();
    done({addresses(words), words.empty() ? "unknown" : ""});
    return true;
  }
  void answer_all(const std::string& words) {
    for (std::size_t left = under_way.size(); left > 0; --left) answer(words);
  }
  int asked = 0;
  std::deque<std::pair<std::string, Done>> under_way;
};

struct EventNames final : EventSink {
  void on_event(const Event& event) override { text += std::string(event.name) + " "; }
  std::string text;
};

// What a connection tells.
struct Recorder final : TransportEvents {
  void on_connected() override { note("connected "); }
  void on_bytes(std::string_view bytes) override { in += bytes; }
  void on_closed(CloseReason why, std::string_view because) override {
    reason = why;
    detail = because;
    note(why == CloseReason::moved ? "moved " : "closed ");
  }
  void note(const std::string& what) {
    text += what;
    if (all != nullptr) *all += name + what;
  }
  std::string text, in, detail;
  CloseReason reason = CloseReason::other;
  std::string* all = nullptr;  // what several tell, in its order
  std::string name;            // that stands there before this one's
};

}  // namespace stayd
