#include "tests/differential/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace stayd::differential {
namespace {

constexpr std::size_t kLongest = 300;
constexpr std::size_t kCommandsBefore = 15;

// Printable, in quotes, as redis-cli takes it.
std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += fmt::format("\\{}", c);
    } else if (byte < 0x20 || byte > 0x7e) {
      out += c == '\r' ? "\\r" : c == '\n' ? "\\n" : fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
  return bytes.size() > kLongest ? fmt::format("{}... ({} bytes)", out, bytes.size()) : out;
}

std::string line(const Step& step) {
  std::string out;
  for (const Words& words : step.unanswered) out += line({words}) + " ; ";
  for (const std::string& word : step.words) {
    const bool plain =
        !word.empty() && word.size() < 40 &&
        std::all_of(
            word.begin(), word.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
    out += (out.empty() ? "" : " ") + (plain ? word : quoted(word));
  }
  return out;
}

bool share_a_word(const Step& a, const Step& b) {
  for (const Words& words : a.unanswered) {
    if (share_a_word({words}, b)) return true;
  }
  for (std::size_t i = 1; i < a.words.size(); ++i) {
    if (std::find(b.words.begin() + 1, b.words.end(), a.words[i]) != b.words.end()) return true;
  }
  return a.words[0] == "EXEC" || a.words[0] == "MULTI" || a.words[0] == "SELECT";
}

void print_replies(const Report& report, const Step& step) {
  const Difference& difference = report.difference;
  fmt::print("  command   {}\n", line(step));
  for (std::size_t i = 0; i < difference.replies.size(); ++i) {
    fmt::print("  {:9} {}\n", report.options.servers[i].name, quoted(difference.replies[i]));
  }
  fmt::print("  {}: {}\n", report.options.servers[difference.server].name, difference.what);
}

}  // namespace

void print(const Report& report) {
  const std::size_t at = report.difference.at;
  fmt::print("difference: seed of the lane {}, databases {} and {}, command {} of the episode\n",
             report.options.script.seed, report.options.script.first_db,
             report.options.script.first_db + 1, at);
  print_replies(report, report.episode[at]);
  std::vector<std::string> before;
  for (std::size_t i = at; i > 0 && before.size() < kCommandsBefore; --i) {
    const Step& step = report.episode[i - 1];
    if (!share_a_word(step, report.episode[at])) continue;
    before.push_back(fmt::format("  {:6}  {}\n", i - 1, line(step)));
  }
  fmt::print("before it, on its keys:\n");
  for (auto one = before.rbegin(); one != before.rend(); ++one) fmt::print("{}", *one);
  std::fflush(stdout);
}

void print_shrunk(const Report& report, const Group& prologue) {
  if (report.shrunk.empty()) {
    fmt::print("it did not happen again with the episode alone\n");
    return;
  }
  fmt::print("the shortest script that does it (after {}):\n", line(prologue[0]));
  Step last;
  std::size_t at = prologue.size();
  for (const Group& group : report.shrunk) {
    for (const Step& step : group) {
      if (at++ > report.difference.at) continue;
      fmt::print("  {}\n", line(step));
      last = step;
    }
  }
  print_replies(report, last);
  std::fflush(stdout);
}

}  // namespace stayd::differential
