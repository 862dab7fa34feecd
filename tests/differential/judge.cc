#include "tests/differential/judge.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "resp/compare_replies_test.h"

namespace stayd::differential {
namespace {

using testing::canonical;
using Verdict = std::optional<std::string>;

constexpr std::int64_t kFarAwayMs = std::int64_t{1} << 52;  // from here on stayd may round

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Verdict unless(bool right, const char* what) {
  return right ? Verdict{} : Verdict{what};
}

// Elements that have no order, this many together; 0: they have one.
std::size_t grouping(std::string_view name, bool hashes_in_order) {
  if (name == "keys" || name == "smembers" || name == "sunion" || name == "sinter" ||
      name == "sdiff" || name == "scan" || name == "sscan") {
    return 1;
  }
  if (name == "zscan") return 2;
  if (hashes_in_order) return 0;
  if (name == "hkeys" || name == "hvals") return 1;
  return name == "hgetall" || name == "hscan" ? 2 : 0;
}

void leaves(const ReplyView& reply, std::multiset<std::string>& out) {
  if (reply.size() == 0) {
    out.emplace(reply.text());
    return;
  }
  ReplyView element;
  for (auto elements = reply.elements(); elements.next(element);) leaves(element, out);
}

// A reply of one SCAN step: [cursor, elements].
struct Page {
  std::string_view cursor;
  std::multiset<std::string> elements;
};

Page page_of(const ReplyView& reply, std::size_t group) {
  Page page;
  auto parts = reply.elements();
  ReplyView part;
  if (parts.next(part)) page.cursor = part.text();
  if (!parts.next(part)) return page;
  std::string together;
  std::size_t i = 0;
  ReplyView element;
  for (auto all = part.elements(); all.next(element);) {
    together += element.frame();
    if (++i % group != 0) continue;
    page.elements.insert(std::move(together));
    together.clear();
  }
  return page;
}

// Whole collections must be equal. Where one of the two gives the rest later, and each may give
// what it likes first, only the form can be looked at.
Verdict compare_pages(const std::vector<std::string>& words, std::string_view name,
                      const ReplyView& reference, const ReplyView& reply, std::size_t group) {
  if (reply.size() != 2) return "not a cursor and elements";
  const Page a = page_of(reference, group);
  const Page b = page_of(reply, group);
  const std::string& from = words[name == "scan" ? 1 : 2];
  if (from != "0" || a.cursor != "0" || b.cursor != "0") {
    const bool digits =
        !b.cursor.empty() && std::all_of(b.cursor.begin(), b.cursor.end(), [](char c) {
          return std::isdigit(static_cast<unsigned char>(c)) != 0;
        });
    return unless(digits, "no cursor");
  }
  return unless(a.elements == b.elements, "other elements");
}

// `before`: the reply that shows what there was to choose from.
Verdict compare_picks(const ReplyView& reference, const ReplyView& reply, std::string_view before) {
  if (reply.type() != reference.type() || reply.size() != reference.size()) return "another form";
  if (reply.is_null() || before.empty()) return {};
  std::multiset<std::string> from;
  std::multiset<std::string> picked;
  leaves(ReplyView(before), from);
  if (reply.size() > 0 || reply.type() == ReplyType::bulk) leaves(reply, picked);
  for (const std::string& one : picked) {
    if (!from.contains(one)) return "picked what is not there";
  }
  return {};
}

}  // namespace

Verdict Judge::check(const Words& words, std::string_view reference, std::string_view reply) {
  if (options_.may_not_know && reference != reply &&
      (reply.starts_with("-TRYAGAIN stayd:") || reply.starts_with("-ERR stayd:"))) {
    return kUnknown;
  }
  Verdict verdict;
  const std::string name = lower(words[0]);
  if (name == "exec" && !queued_.empty()) {
    verdict = check_exec(reference, reply);
  } else {
    verdict = compare(words, reference, reply, before_);
  }
  if (reference == "+QUEUED\r\n") {
    queued_.push_back(&words);
  } else if (name == "exec" || name == "discard" || name == "multi") {
    if (name != "multi" || reference.front() == '+') queued_.clear();
  }
  before_ = reply;
  return verdict;
}

Verdict Judge::check_exec(std::string_view reference, std::string_view reply) const {
  const ReplyView a(reference);
  const ReplyView b(reply);
  if (a.is_error() || a.is_null() || b.is_error() || b.is_null()) {
    return unless(reference == reply, "another reply");
  }
  if (a.size() != queued_.size() || b.size() != queued_.size()) return "another number of replies";
  auto as = a.elements();
  auto bs = b.elements();
  ReplyView x;
  ReplyView y;
  std::string_view before;
  for (std::size_t i = 0; as.next(x) && bs.next(y); ++i) {
    if (auto verdict = compare(*queued_[i], x.frame(), y.frame(), before)) {
      return "in the block, " + (*queued_[i])[0] + " (reply " + std::to_string(i + 1) +
             "): " + *verdict;
    }
    before = y.frame();
  }
  return {};
}

Verdict Judge::compare(const Words& words, std::string_view reference, std::string_view reply,
                       std::string_view before) const {
  if (reference == reply) return {};
  const ReplyView a(reference);
  const ReplyView b(reply);
  if (a.is_error() || b.is_error() || a.type() == ReplyType::simple) return "another reply";
  const std::string name = lower(words[0]);
  if (name == "hello") return unless(a.type() == b.type() && a.size() == b.size(), "another form");
  if (testing::picks_at_random(name)) return compare_picks(a, b, before);
  if (name == "randomkey") {
    // Redis may have picked one of stayd's own keys, which stayd does not show.
    return b.is_null() ? Verdict{} : compare_picks(a, b, before);
  }
  if (testing::tells_time(name) && a.integer() && b.integer()) {
    const bool seconds = name.front() != 'p';
    if (std::min(*a.integer(), *b.integer()) >= kFarAwayMs / (seconds ? 1000 : 1)) return {};
    const std::int64_t tolerance = options_.clock_tolerance_ms / (seconds ? 1000 : 1);
    return unless(testing::near(*a.integer(), *b.integer(), tolerance), "another time");
  }
  const std::size_t group = grouping(name, options_.hashes_in_order);
  if (group == 0) return "another reply";
  if (name.ends_with("scan")) return compare_pages(words, name, a, b, group);
  return unless(canonical(a, group) == canonical(b, group), "other elements");
}

}  // namespace stayd::differential
