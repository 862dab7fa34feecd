#include "resp/reply.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace stayd {
namespace {

using Status = FrameScanner::Status;

// The size of the first frame, scanned whole, split at every byte, and one byte at a time.
std::size_t scanned(const std::string& bytes, const FrameLimits& limits = {}) {
  FrameScanner scanner;
  const auto whole = scanner.scan(bytes, limits);
  EXPECT_EQ(whole.status, Status::ready) << bytes << ": " << whole.error;
  for (std::size_t at = 0; at < whole.size; ++at) {
    EXPECT_EQ(scanner.scan(bytes.substr(0, at), limits).status, Status::need_more) << bytes << at;
    EXPECT_EQ(scanner.scan(bytes, limits).size, whole.size) << bytes << at;
  }
  for (std::size_t size = 0; size < whole.size; ++size) {
    EXPECT_EQ(scanner.scan(bytes.substr(0, size), limits).status, Status::need_more);
  }
  EXPECT_EQ(scanner.scan(bytes, limits).size, whole.size);
  return whole.size;
}

std::string scan_error(const std::string& bytes, const FrameLimits& limits = {}) {
  FrameScanner whole;
  const auto outcome = whole.scan(bytes, limits);
  EXPECT_EQ(outcome.status, Status::error) << bytes;
  FrameScanner slow;
  Status last = Status::need_more;
  for (std::size_t size = 0; size <= bytes.size() && last == Status::need_more; ++size) {
    last = slow.scan(bytes.substr(0, size), limits).status;
  }
  EXPECT_EQ(last, Status::error) << bytes;
  return std::string(outcome.error);
}

const std::vector<std::string>& complete_frames() {
  static const std::vector<std::string> frames{
      "+OK\r\n",
      "+\r\n",
      "-ERR no\r\n",
      ":1\r\n",
      ":-9223372036854775808\r\n",
      ":+5\r\n",
      "$0\r\n\r\n",
      "$5\r\na\r\nbc\r\n",
      "$-1\r\n",
      "*-1\r\n",
      "*0\r\n",
      "*2\r\n:1\r\n$1\r\nx\r\n",
      "_\r\n",
      "#t\r\n",
      "#f\r\n",
      ",1.5\r\n",
      ",inf\r\n",
      ",-nan\r\n",
      "(123456789012345678901\r\n",
      "!5\r\nERR x\r\n",
      "=7\r\ntxt:abc\r\n",
      "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
      "~1\r\n+a\r\n",
      ">2\r\n+message\r\n+x\r\n",
      "*3\r\n*0\r\n%0\r\n~0\r\n",
      "|1\r\n+ttl\r\n:3\r\n+OK\r\n",
      "*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n:2\r\n",
      "|0\r\n:1\r\n",
      "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
      "$?\r\n;0\r\n",
      "*?\r\n:1\r\n*?\r\n.\r\n.\r\n",
      "%?\r\n+a\r\n:1\r\n.\r\n",
      "*2\r\n$?\r\n;1\r\na\r\n;0\r\n:1\r\n",
      "|?\r\n+a\r\n:1\r\n.\r\n+OK\r\n",
  };
  return frames;
}

TEST(FrameScanner, FindsTheEndOfEveryType) {
  for (const std::string& frame : complete_frames()) {
    EXPECT_EQ(scanned(frame), frame.size());
    EXPECT_EQ(scanned(frame + "+next\r\n"), frame.size());
  }
}

TEST(FrameScanner, RefusesWhatIsNoReply) {
  for (const char* bytes : {"hello\r\n",
                            "\r\n",
                            ":x\r\n",
                            ":\r\n",
                            "$x\r\n",
                            "$-2\r\n",
                            "%-1\r\n",
                            "*-2\r\n",
                            "#x\r\n",
                            "_x\r\n",
                            "(1.5\r\n",
                            "$1\r\nabc",
                            "+a\rb\r\n",
                            "=3\r\ntxt\r\n",
                            "=5\r\ntxtab\r\n",
                            ".\r\n",
                            ";1\r\na\r\n",
                            "*1\r\n.\r\n",
                            "$?\r\n+a\r\n",
                            "*01\r\n",
                            "!?\r\n",
                            "%?\r\n+a\r\n.\r\n",
                            "*?\r\n|1\r\n+a\r\n+b\r\n.\r\n",
                            "*?\r\n|0\r\n.\r\n",
                            "*4294967296\r\n",
                            "$99999999999999999999\r\n"}) {
    scan_error(bytes);
  }
  EXPECT_EQ(scan_error("*2\r\n:1\r\n?\r\n"), "not a RESP reply at byte 8");
}

TEST(FrameScanner, KeepsItsLimits) {
  EXPECT_EQ(scan_error("$100\r\n", {.max_frame_bytes = 100}), "the reply is too large at byte 0");
  EXPECT_EQ(scan_error("*2\r\n+a\r\n+b\r\n", {.max_frame_bytes = 8}),
            "the reply is too large at byte 8");
  EXPECT_EQ(scan_error("*1\r\n*1\r\n*1\r\n", {.max_depth = 2}), "nested too deeply at byte 12");
  std::string deep;
  for (int i = 0; i < 32; ++i) deep += "*1\r\n";
  scanned(deep + ":1\r\n");
  scan_error(deep + "*1\r\n:1\r\n");
  FrameScanner scanner;
  EXPECT_EQ(scanner.scan(std::string(70'000, '+')).status, Status::error);
}

TEST(FrameScanner, ErrorStaysUntilReset) {
  FrameScanner scanner;
  EXPECT_EQ(scanner.scan("?\r\n").status, Status::error);
  EXPECT_EQ(scanner.scan("+OK\r\n").status, Status::error);
  scanner.reset();
  EXPECT_EQ(scanner.scan("+OK\r\n").status, Status::ready);
}

TEST(ReplyView, SeesEveryType) {
  EXPECT_EQ(ReplyView("+OK\r\n").text(), "OK");
  EXPECT_TRUE(ReplyView("-ERR no\r\n").is_error());
  EXPECT_EQ(ReplyView("!5\r\nERR x\r\n").text(), "ERR x");
  EXPECT_TRUE(ReplyView("!5\r\nERR x\r\n").is_error());
  EXPECT_EQ(ReplyView(":-12\r\n").integer(), -12);
  EXPECT_EQ(ReplyView(":+12\r\n").integer(), 12);
  EXPECT_EQ(ReplyView("#t\r\n").integer(), 1);
  EXPECT_EQ(ReplyView("#f\r\n").integer(), 0);
  EXPECT_EQ(ReplyView("+12\r\n").integer(), std::nullopt);
  EXPECT_EQ(ReplyView("$4\r\na\r\nb\r\n").text(), "a\r\nb");
  EXPECT_EQ(ReplyView(",1.5\r\n").text(), "1.5");
  EXPECT_EQ(ReplyView(",1.5\r\n").type(), ReplyType::real);
  EXPECT_EQ(ReplyView("=7\r\ntxt:abc\r\n").text(), "abc");
  EXPECT_EQ(ReplyView("(12\r\n").text(), "12");
  for (const char* null : {"_\r\n", "$-1\r\n", "*-1\r\n"}) {
    EXPECT_TRUE(ReplyView(null).is_null()) << null;
    EXPECT_EQ(ReplyView(null).size(), 0u);
  }
}

std::string spelled(const ReplyView& view) {
  std::string out(1, static_cast<char>(view.type()));
  out += std::string(view.text());
  if (view.size() == 0) return out;
  out += '[';
  ReplyView element;
  for (auto rest = view.elements(); rest.next(element);) out += spelled(element) + ' ';
  out.back() = ']';
  return out;
}

TEST(ReplyView, WalksAggregates) {
  EXPECT_EQ(spelled(ReplyView("*3\r\n:1\r\n%1\r\n+a\r\n~2\r\n+b\r\n_\r\n$1\r\nz\r\n")),
            "*[:1 %[+a ~[+b _]] $z]");
  EXPECT_EQ(spelled(ReplyView("*2\r\n|1\r\n+k\r\n*1\r\n:9\r\n:1\r\n:2\r\n")), "*[:1 :2]");
  EXPECT_EQ(spelled(ReplyView("|1\r\n+k\r\n:1\r\n+OK\r\n")), "+OK");
  EXPECT_EQ(spelled(ReplyView("*?\r\n:1\r\n%?\r\n+a\r\n:2\r\n.\r\n.\r\n")), "*[:1 %[+a :2]]");
  EXPECT_EQ(spelled(ReplyView("|?\r\n+a\r\n:1\r\n.\r\n+OK\r\n")), "+OK");
}

TEST(ReplyView, StreamedStrings) {
  EXPECT_EQ(ReplyView("$?\r\n;4\r\nHell\r\n;0\r\n").text(), "Hell");
  EXPECT_EQ(ReplyView("$?\r\n;0\r\n").text(), "");
  // In pieces there is nothing to view; an error is never taken for a value.
  EXPECT_TRUE(ReplyView("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n").is_error());
}

TEST(Writers, ExactBytes) {
  std::string out;
  write_simple(out, "OK");
  write_error(out, "ERR a\r\nb");
  write_integer(out, std::numeric_limits<std::int64_t>::min());
  write_bulk(out, "a\nb");
  write_null(out);
  write_bool(out, true);
  write_bool(out, false);
  write_double(out, 1.5);
  write_verbatim(out, "hi");
  write_array(out, 2);
  write_map(out, 1);
  write_set(out, 0);
  write_push(out, 10);
  EXPECT_EQ(out,
            "+OK\r\n-ERR a  b\r\n:-9223372036854775808\r\n$3\r\na\nb\r\n_\r\n#t\r\n#f\r\n,1.5\r\n"
            "=6\r\ntxt:hi\r\n*2\r\n%1\r\n~0\r\n>10\r\n");
}

TEST(FormatDouble, AsRedis) {
  EXPECT_EQ(format_double(3), "3");
  EXPECT_EQ(format_double(-0.0), "-0");
  EXPECT_EQ(format_double(0.1), "0.10000000000000001");
  EXPECT_EQ(format_double(1e15), "1000000000000000");
  EXPECT_EQ(format_double(1e17), "1e+17");
  EXPECT_EQ(format_double(9007199254740993.0 * 4), "36028797018963968");
  EXPECT_EQ(format_double(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(format_double(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(TimeReply, SecondsAndMicroseconds) {
  const auto ms = [](std::string_view frame) { return time_reply_ms(ReplyView(frame)); };
  EXPECT_EQ(ms("*2\r\n$10\r\n1700000000\r\n$6\r\n123999\r\n"), 1'700'000'000'123);
  EXPECT_EQ(ms("-NOPERM no\r\n"), std::nullopt);
  EXPECT_EQ(ms("*1\r\n$1\r\n1\r\n"), std::nullopt);
  EXPECT_EQ(ms("*2\r\n$1\r\n1\r\n$1\r\nx\r\n"), std::nullopt);
  EXPECT_EQ(ms("*2\r\n$19\r\n9223372036854775807\r\n$1\r\n0\r\n"), std::nullopt);
}

}  // namespace
}  // namespace stayd
