#include "daemon/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace stayd {
namespace {

constexpr std::int64_t kNow = 1'767'323'045'678;  // 2026-01-02T03:04:05.678Z

struct Lines : LogSink {
  void write(Severity, std::string_view line) override { all.emplace_back(line); }
  void flush() override {}
  std::vector<std::string> all;
};

TEST(Log, JsonIsOneObjectALine) {
  Event event{Severity::warning, "shard_out", "Redis \"a\" is out\nnow", {{"cause", "x\\y\x01"}}};
  EXPECT_EQ(format_event(LogFormat::json, event, kNow),
            R"({"ts":"2026-01-02T03:04:05.678Z","level":"warning","event":"shard_out",)"
            R"("message":"Redis \"a\" is out\nnow","fields":{"cause":"x\\y\u0001"}})");
  event.fields.clear();
  EXPECT_TRUE(format_event(LogFormat::json, event, kNow).ends_with("now\"}"));
}

TEST(Log, TextIsOneLine) {
  const Event event{
      Severity::info, "shard_trusted", "all\nis well\x1b[2J", {{"rows", "3"}, {"ms", "7"}}};
  EXPECT_EQ(format_event(LogFormat::text, event, kNow),
            "03:04:05.678 info    shard_trusted: all is well [2J (rows=3 ms=7)");
}

TEST(Log, JsonQuotesBytesThatAreNotUtf8) {
  EXPECT_EQ(json_quoted("h\xc3\xa9 \xf0\x9f\x98\x80"), "\"h\xc3\xa9 \xf0\x9f\x98\x80\"");
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf0\x80\x80\x80"}) {
    const std::string quoted = json_quoted(bad);
    EXPECT_TRUE(quoted.starts_with("\"\\ufffd")) << quoted;
    for (const char c : quoted) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }
}

class LoggerTest : public testing::Test {
 protected:
  std::int64_t now_ = kNow;
  Lines lines_;
  Logger logger_{LogFormat::text, Severity::info, lines_, [this] { return now_; }};
};

TEST_F(LoggerTest, LevelIsALowerBound) {
  logger_.on_event({Severity::debug, "x", "no", {}});
  EXPECT_TRUE(lines_.all.empty());
  logger_.set_level(Severity::debug);
  logger_.on_event({Severity::debug, "x", "yes", {}});
  EXPECT_EQ(lines_.all.size(), 1u);
}

TEST_F(LoggerTest, TenLinesASecondOfOneName) {
  for (int i = 0; i < 25; ++i) logger_.warning("noisy", "line");
  logger_.info("other", "is not held back");
  ASSERT_EQ(lines_.all.size(), 11u);
  logger_.tick();
  EXPECT_EQ(lines_.all.size(), 11u);
  now_ += 1'000;
  logger_.tick();
  ASSERT_EQ(lines_.all.size(), 12u);
  EXPECT_NE(lines_.all[11].find("suppressed 15 lines of noisy"), std::string::npos);
  logger_.tick();
  EXPECT_EQ(lines_.all.size(), 12u);
  logger_.warning("noisy", "again");
  EXPECT_EQ(lines_.all.size(), 13u);
}

TEST_F(LoggerTest, TheNextEventTellsWhatWasSuppressedWhenNoTickDid) {
  for (int i = 0; i < 12; ++i) logger_.warning("noisy", "line");
  now_ += 5'000;
  logger_.warning("noisy", "later");
  ASSERT_EQ(lines_.all.size(), 12u);
  EXPECT_NE(lines_.all[10].find("suppressed 2 lines"), std::string::npos);
}

TEST_F(LoggerTest, AClockSetBackDoesNotSilenceAName) {
  for (int i = 0; i < 10; ++i) logger_.warning("noisy", "line");
  now_ -= 3'600'000;
  logger_.warning("noisy", "later");
  EXPECT_EQ(lines_.all.size(), 11u);
}

TEST_F(LoggerTest, NamesAreBounded) {
  for (int i = 0; i < 2'000; ++i) logger_.info("name" + std::to_string(i), "x");
  EXPECT_EQ(lines_.all.size(), 2'000u);
}

TEST(Severities, Names) {
  EXPECT_EQ(parse_severity("warning"), Severity::warning);
  EXPECT_FALSE(parse_severity("loud"));
  EXPECT_EQ(severity_name(Severity::error), "error");
  EXPECT_EQ(choose_log_format("json"), LogFormat::json);
  EXPECT_EQ(choose_log_format("text"), LogFormat::text);
}

}  // namespace
}  // namespace stayd
