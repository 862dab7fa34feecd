// The checker against itself: right histories pass; each way to be wrong is put into thousands of
// them, and whenever no order of the operations can explain the result, the checker must say so.
#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "sim/drawn_history.h"
#include "sim/history_file.h"

namespace stayd::sim {
namespace {

constexpr DrawnKind kKinds[] = {DrawnKind::string, DrawnKind::brief, DrawnKind::hash,
                                DrawnKind::lock, DrawnKind::counter};
constexpr int kShort = 9;  // operations: every order can be tried

bool is_read(const Drawn& one) {
  return !one.doubtful && (one.name() == "GET" || one.name() == "HGETALL");
}
bool is_absent(const std::string& text) {
  return text == "nil" || text == "{}";
}
std::string absent_for(const Drawn& one) {
  return one.name() == "HGETALL" ? "{}" : "nil";
}

// What a read of operation i's write would be told; empty: it wrote no whole value.
std::string value_of(const Drawn& one) {
  const Words& c = one.operation.commands[0];
  if (c[0] == "SET") return "\"" + c[2] + "\"";
  if (c[0] == "HSET") return "{absexp=" + c[3] + " data=" + c[5] + " user=" + c[7] + " }";
  return "";
}

// Changes operation `i` of a history, or says that this cannot be put in there.
using Mutate = bool (*)(DrawnHistory&, std::size_t i, Random&);

// Some value that was asked to be written before operation i.
std::string earlier_value(const DrawnHistory& history, std::size_t i, Random& random) {
  std::vector<std::string> values;
  for (std::size_t j = 0; j < i; ++j) {
    if (auto value = value_of(history.operations[j]); !value.empty()) values.push_back(value);
  }
  return values.empty() ? "" : values[random.below(values.size())];
}

bool resurrected_read(DrawnHistory& history, std::size_t i, Random& random) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || one.unknown || !is_absent(one.told)) return false;
  return !(one.told = earlier_value(history, i, random)).empty();
}

// The last save before a logout is still there after it.
bool late_save_that_lives(DrawnHistory& history, std::size_t i, Random&) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || one.unknown || !is_absent(one.told)) return false;
  bool logged_out = false;
  for (std::size_t j = i; j-- > 0;) {
    const Drawn& before = history.operations[j];
    logged_out |= before.name() == "DEL" && before.told == ":1";
    if (!logged_out || value_of(before).empty()) continue;
    one.told = value_of(before);
    return true;
  }
  return false;
}

bool lost_write(DrawnHistory& history, std::size_t i, Random& random) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || one.unknown || is_absent(one.told)) return false;
  const auto value = earlier_value(history, i, random);
  if (value.empty() || value == one.told) return false;
  one.told = value;
  return true;
}

bool swapped_value(DrawnHistory& history, std::size_t i, Random&) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || one.unknown) return false;
  one.told = one.name() == "GET" ? "\"other\"" : "{absexp=other data=other user=other }";
  return true;
}

bool nil_for_unknown(DrawnHistory& history, std::size_t i, Random&) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || !one.unknown) return false;
  one.unknown = false;
  one.told = absent_for(one);
  return true;
}

bool false_logout(DrawnHistory& history, std::size_t i, Random&) {
  Drawn& one = history.operations[i];
  if (!is_read(one) || one.unknown || is_absent(one.told)) return false;
  one.told = absent_for(one);
  return true;
}

bool early_expiry(DrawnHistory& history, std::size_t i, Random& random) {
  return history.kind == DrawnKind::brief && false_logout(history, i, random);
}

bool late_expiry(DrawnHistory& history, std::size_t i, Random& random) {
  return history.kind == DrawnKind::brief && resurrected_read(history, i, random);
}

// From here on everybody sees a count that is off by one.
bool shifted_count(DrawnHistory& history, std::size_t i, int by) {
  if (history.operations[i].name() != "INCR") return false;
  for (std::size_t j = i; j < history.operations.size(); ++j) {
    std::string& told = history.operations[j].told;
    if (told.empty() || told == "nil") continue;
    const bool quoted = told[0] == '"';
    const int count = std::stoi(told.substr(1)) + by;
    told = quoted ? "\"" + std::to_string(count) + "\"" : ":" + std::to_string(count);
  }
  return !history.operations[i].told.empty();
}

bool duplicate_increment(DrawnHistory& history, std::size_t i, Random&) {
  return shifted_count(history, i, 1);
}
bool lost_increment(DrawnHistory& history, std::size_t i, Random&) {
  return shifted_count(history, i, -1);
}

bool half_a_hash(DrawnHistory& history, std::size_t i, Random& random) {
  std::string& told = history.operations[i].told;
  const auto field = told.find("data=");
  if (history.operations[i].name() != "HGETALL" || field == std::string::npos) return false;
  const auto end = told.find(' ', field) + 1;
  const auto older = earlier_value(history, i, random);
  const auto from = older.find("data=");
  const bool mixed = from != std::string::npos && random.chance(50);
  told.replace(field, end - field,
               mixed ? older.substr(from, older.find(' ', from) + 1 - from) : std::string());
  return true;
}

// A yes for a no, or the other way round.
bool flipped(DrawnHistory& history, std::size_t i, const char* name, const char* yes,
             const char* no) {
  Drawn& one = history.operations[i];
  if (one.name() != name || (one.told != yes && one.told != no)) return false;
  one.told = one.told == yes ? no : yes;
  return true;
}

bool wrong_count_of_logouts(DrawnHistory& history, std::size_t i, Random&) {
  return flipped(history, i, "DEL", ":1", ":0");
}
bool wrong_touch(DrawnHistory& history, std::size_t i, Random&) {
  return flipped(history, i, "EXPIRE", ":1", ":0");
}
bool lock_given_twice(DrawnHistory& history, std::size_t i, Random&) {
  return history.kind == DrawnKind::lock && flipped(history, i, "SET", "+OK", "nil");
}
bool lock_freed_by_another(DrawnHistory& history, std::size_t i, Random&) {
  return flipped(history, i, "EVAL", ":1", ":0");
}

struct Mutation {
  const char* name;
  Mutate apply;
  int certain = 0;
  int caught = 0;
};

std::vector<Mutation> mutations() {
  return {{"resurrected read", resurrected_read},
          {"late save that lives", late_save_that_lives},
          {"lost write", lost_write},
          {"swapped value", swapped_value},
          {"nil for UNKNOWN", nil_for_unknown},
          {"false logout", false_logout},
          {"early expiry", early_expiry},
          {"late expiry", late_expiry},
          {"duplicate increment", duplicate_increment},
          {"lost increment", lost_increment},
          {"half a hash", half_a_hash},
          {"wrong count of logouts", wrong_count_of_logouts},
          {"wrong touch", wrong_touch},
          {"lock given twice", lock_given_twice},
          {"lock freed by another", lock_freed_by_another}};
}

// Puts the mutation into the first operation, from a drawn one on, that takes it.
bool put_in(const Mutation& mutation, DrawnHistory& history, Random& random) {
  const auto size = history.operations.size();
  const auto first = random.below(size);
  for (std::size_t step = 0; step < size; ++step) {
    if (mutation.apply(history, (first + step) % size, random)) return true;
  }
  return false;
}

TEST(DrawnHistory, RightOnesPass) {
  int given_up = 0;
  for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
    Random random(seed);
    const auto length = seed % 2 == 0 ? kShort : 25;
    const auto history = draw_history(random, kKinds[seed % std::size(kKinds)], length);
    KeyHistory checker;
    ASSERT_TRUE(accepts(checker, history)) << "seed " << seed << "\n" << checker.text();
    given_up += checker.given_up();
    if (length == kShort) {
      ASSERT_FALSE(checker.given_up());
      ASSERT_TRUE(some_order_explains(history)) << "seed " << seed << "\n" << checker.text();
    }
  }
  EXPECT_LT(given_up, 1'000) << "too few were checked";
}

TEST(DrawnHistory, EveryMutationThatCannotBeRightIsCaught) {
  auto all = mutations();
  for (std::uint64_t seed = 0; seed < 60'000; ++seed) {
    Random random(seed);
    auto history = draw_history(random, kKinds[seed % std::size(kKinds)], kShort);
    Mutation& mutation = all[random.below(all.size())];
    if (!put_in(mutation, history, random)) continue;
    const bool possible = some_order_explains(history);
    KeyHistory checker;
    const bool accepted = accepts(checker, history);
    const std::string what = std::string(mutation.name) + ", seed " + std::to_string(seed);
    if (possible) {
      // Where no expiry is near, both must agree.
      ASSERT_TRUE(accepted || history.kind == DrawnKind::brief) << what << "\n" << checker.text();
      continue;
    }
    ++mutation.certain;
    mutation.caught += !accepted;
    ASSERT_FALSE(accepted) << what << " was not caught\n" << checker.text();
  }
  for (const Mutation& one : all) {
    std::printf("%-24s %5d of %d caught\n", one.name, one.caught, one.certain);
    EXPECT_GE(one.certain, 50) << one.name << " was hardly tried";
  }
}

// --- histories in files ------------------------------------------------------------------------

constexpr const char* kLogin =
    R"({"key":"s","client":1,"ask_us":1000,"end_us":2000,"outcome":"told","reply":"+OK",)"
    R"("commands":[["SET","s","v1"]]})"
    "\n";
constexpr const char* kNil =
    R"({"key":"s","client":2,"ask_us":3000,"end_us":4000,"outcome":"told","reply":"nil",)"
    R"("commands":[["GET","s"]]})"
    "\n";

FileVerdict verdict_of(const std::string& text) {
  std::istringstream in(text);
  std::string error;
  const auto operations = read_history(in, error);
  EXPECT_TRUE(operations) << error;
  return check_history(*operations);
}

TEST(HistoryFile, AFalseLogoutIsFoundInAnyOrderOfLines) {
  for (const std::string& text : {std::string(kLogin) + kNil, std::string(kNil) + kLogin}) {
    const auto verdict = verdict_of(text);
    ASSERT_EQ(verdict.violations.size(), 1u);
    EXPECT_EQ(verdict.violations[0].key, "s");
    EXPECT_EQ(verdict.violations[0].wrong, Wrong::false_logout);
    EXPECT_EQ(verdict.operations, 2u);
  }
  EXPECT_TRUE(verdict_of(kLogin).violations.empty());
}

TEST(HistoryFile, OverlappingAndDoubtfulOperationsAllowMore) {
  std::string early = kNil;
  early.replace(early.find("3000"), 4, "2000");  // asked while the login is under way
  EXPECT_TRUE(verdict_of(kLogin + early).violations.empty());
  std::string logout = kNil;
  logout.replace(logout.find("GET"), 3, "DEL");
  logout.replace(logout.find("told"), 4, "doubt");
  std::string later = kNil;
  later.replace(later.find("3000"), 4, "4500").replace(later.find("4000"), 4, "5000");
  const auto verdict = verdict_of(kLogin + logout + later);
  EXPECT_TRUE(verdict.violations.empty());
  EXPECT_EQ(verdict.in_doubt, 1u);
}

TEST(HistoryFile, LinesThatAreNotAHistoryAreNamed) {
  for (const char* line :
       {"x", "[]", R"({"key":"s","commands":[["GET","s"]],"outcome":"maybe"})",
        R"({"key":"s","commands":[],"outcome":"done"})",
        R"({"key":"s","commands":[["GET","s"]],"outcome":"done","ask_us":2,"end_us":1})",
        R"({"key":"s","commands":[["GET","s"]],"outcome":"told"})"}) {
    std::istringstream in(std::string(kLogin) + line);
    std::string error;
    EXPECT_FALSE(read_history(in, error)) << line;
    EXPECT_EQ(error.substr(0, 8), "line 2: ");
  }
}

}  // namespace
}  // namespace stayd::sim
