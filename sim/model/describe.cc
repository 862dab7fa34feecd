// World: a step in words.
#include <array>

#include "core/lua.h"
#include "resp/request_parser.h"
#include "session/scripts.h"
#include "sim/model/world.h"

namespace stayd::sim::model {

namespace {

constexpr std::size_t kMaxWord = 40;
constexpr std::size_t kMaxText = 240;

std::string shortened(std::string text, std::size_t limit) {
  for (char& c : text) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  if (text.size() > limit) text = text.substr(0, limit - 3) + "...";
  return text;
}

std::vector<Words> requests(std::string_view bytes) {
  std::vector<Words> out;
  RequestParser parser;
  Args args;
  while (!bytes.empty()) {
    const auto outcome = parser.parse(bytes, RequestLimits{}, args);
    if (outcome.status != RequestParser::Status::ready) break;
    out.emplace_back(args.begin(), args.end());
    bytes.remove_prefix(outcome.consumed);
  }
  return out;
}

// stayd's scripts by the order in which it loads them.
std::string script_name(std::string_view sha1) {
  static constexpr std::array<const char*, 4> kNames = {"guard", "heartbeat", "repair",
                                                        "read back"};
  std::string loads;
  append_script_loads(loads);
  const auto all = requests(loads);
  for (std::size_t i = 0; i < all.size() && i < kNames.size(); ++i) {
    if (sha1_hex(all[i][2]) == sha1) return std::string("<") + kNames[i] + ">";
  }
  return "<script>";
}

std::string text_of(const Piece& piece) {
  if (piece.what == Piece::What::open) return "a connection";
  if (piece.what == Piece::What::end) return "the end of the connection";
  std::string out;
  for (const Words& words : requests(piece.bytes)) {
    if (!out.empty()) out += "; ";
    if (words[0] == "SCRIPT") {
      out += "SCRIPT LOAD";
      continue;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (i == 2 && words[0] == "EVALSHA") continue;  // the number of keys
      if (i != 0) out += " ";
      out +=
          i == 1 && words[0] == "EVALSHA" ? script_name(words[1]) : shortened(words[i], kMaxWord);
    }
  }
  return shortened(out, kMaxText);
}

std::string name_of(const Step& step, std::size_t changes) {
  switch (step.fault) {
    case Fault::lose:
      return "the connection is lost, and what was on its way";
    case Fault::lose_late:
      return "the connection is lost; what was on its way to Redis may still arrive";
    case Fault::restart:
      return "Redis is killed and starts without its last " + std::to_string(step.n) + " of " +
             std::to_string(changes) + " changes";
    case Fault::empty:
      return "Redis is killed and starts empty";
    case Fault::split:
      return "a replica without the last " + std::to_string(step.n) + " of " +
             std::to_string(changes) + " changes is promoted; the old primary goes on";
    case Fault::flush:
      return "somebody else sends FLUSHALL";
    case Fault::evict:
      return "Redis evicts the key";
    case Fault::freeze:
      return "Redis freezes";
    case Fault::kill:
      return "stayd is killed and starts again";
    case Fault::pause:
      return "stayd stands still for four seconds";
    case Fault::delay:
      return "time passes while everything is on its way";
  }
  return "";
}

}  // namespace

std::string World::describe(const Step& step) const {
  const std::string stayd =
      instances_.size() == 1 ? "stayd" : "stayd " + std::to_string(step.who + 1);
  switch (step.kind) {
    case Kind::ask: {
      const Tab& tab = story_->tabs[step.who];
      return "tab " + std::to_string(step.who + 1) + " asks " +
             tab.program[clients_[step.who].next].text();
    }
    case Kind::redis_takes: {
      const int node = wire(step)->node >= 0 ? wire(step)->node : primary_;
      const std::string who = node == 0 ? "Redis A" : "Redis B";
      return who + " takes " + (wire(step)->client == nullptr ? "late " : "") +
             text_of(wire(step)->to_redis.front());
    }
    case Kind::stayd_takes: {
      const Piece& piece = wire(step)->to_stayd.front();
      return stayd + " takes " +
             (piece.what == Piece::What::bytes ? shortened(piece.bytes, 100) : text_of(piece));
    }
    case Kind::write:
      return stayd + "'s ledger writes";
    case Kind::report:
      return stayd + "'s ledger reports";
    case Kind::sync:
      return stayd + "'s ledger is synced";
    case Kind::wait:
      return "time passes";
    case Kind::fault:
      return "FAULT: " + name_of(step, redis().journal_size());
    case Kind::thaw:
      return "Redis thaws";
    case Kind::demote:
      return "the old primary ends its connections";
    case Kind::heal:
      return "(undisturbed)";
  }
  return "";
}

}  // namespace stayd::sim::model
