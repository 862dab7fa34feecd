// stayd_history: checks recorded histories of real clients (sim/history_file.h) with the
// simulator's checker.
//
//   stayd_history FILE...
//
// Prints each violation with the key's whole history, and at last one JSON line:
//   {"operations":N,"keys":N,"in_doubt":N,"given_up":N,
//    "violations":[{"kind":"false_logout","key":"sess:1","at_us":N},...]}
// Exit code 0: no violation, 1: violations, 2: a file cannot be read.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <fstream>

#include "sim/history_file.h"

namespace {

using namespace stayd::sim;

void print(const FileVerdict& verdict) {
  std::string list;
  for (const KeyVerdict& one : verdict.violations) {
    boost::json::object object{
        {"kind", name_of(one.wrong)}, {"key", one.key}, {"at_us", one.at_us}};
    list += (list.empty() ? "" : ",") + boost::json::serialize(object);
    fmt::print("{}: {}: {}\n{}\n", name_of(one.wrong), one.key, one.why, one.history);
  }
  fmt::print(R"({{"operations":{},"keys":{},"in_doubt":{},"given_up":{},"violations":[{}]}})",
             verdict.operations, verdict.keys, verdict.in_doubt, verdict.given_up, list);
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<RecordedOperation> all;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i]);
    std::string error = "cannot be read";
    const auto operations = file ? read_history(file, error) : std::nullopt;
    if (!operations) {
      fmt::print(stderr, "stayd_history: {}: {}\n", argv[i], error);
      return 2;
    }
    all.insert(all.end(), operations->begin(), operations->end());
  }
  if (argc < 2) {
    fmt::print(stderr, "usage: stayd_history FILE...\n");
    return 2;
  }
  const FileVerdict verdict = check_history(all);
  print(verdict);
  return verdict.violations.empty() ? 0 : 1;
}
