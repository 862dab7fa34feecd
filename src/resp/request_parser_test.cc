#include "resp/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "resp/real_redis_test.h"

namespace stayd {
namespace {

using Status = RequestParser::Status;
using Words = std::vector<std::string>;

struct Parsed {
  Status status = Status::need_more;
  Words args;
  std::string frame;
  std::string error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

// Everything the parser makes of `stream` when it arrives in the given pieces: what a connection
// does.
std::vector<Parsed> run(const std::vector<std::string>& pieces, const RequestLimits& limits) {
  RequestParser parser;
  std::vector<Parsed> all;
  std::string buffer;
  Args args;
  for (const std::string& piece : pieces) {
    buffer += piece;
    while (!buffer.empty()) {
      const std::string moved(buffer.begin(), buffer.end());  // offsets, not pointers, survive
      const auto outcome = parser.parse(moved, limits, args);
      if (outcome.status == Status::need_more) {
        EXPECT_EQ(outcome.consumed, 0u);
        break;
      }
      all.push_back({outcome.status, Words(args.begin(), args.end()), std::string(outcome.frame),
                     std::string(outcome.error)});
      if (outcome.status == Status::error) return all;
      buffer.erase(0, outcome.consumed);
    }
  }
  return all;
}

std::vector<std::string> one_by_one(const std::string& stream) {
  std::vector<std::string> pieces;
  for (const char c : stream) pieces.emplace_back(1, c);
  return pieces;
}

// Whole, split at every byte, and one byte at a time: all must agree.
std::vector<Parsed> parse_all(const std::string& stream, const RequestLimits& limits = {}) {
  const auto whole = run({stream}, limits);
  EXPECT_EQ(run(one_by_one(stream), limits), whole) << stream;
  for (std::size_t at = 1; at < stream.size(); ++at) {
    EXPECT_EQ(run({stream.substr(0, at), stream.substr(at)}, limits), whole) << stream << at;
  }
  return whole;
}

Parsed ready(Words args, std::string frame) {
  return {Status::ready, std::move(args), std::move(frame), ""};
}
Parsed refused(std::string text) {
  return {Status::error, {}, "", std::move(text)};
}

std::vector<Parsed> just(Parsed parsed) {
  return {std::move(parsed)};
}

TEST(RequestParser, ReadsPipelinedCommands) {
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  const std::string set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
  const auto all = parse_all(get + set + get);
  const std::vector<Parsed> expected{ready({"GET", "k"}, get), ready({"SET", "k", ""}, set),
                                     ready({"GET", "k"}, get)};
  EXPECT_EQ(all, expected);
}

TEST(RequestParser, BulksAreBinary) {
  const std::string value("\r\n\0$3\xff*", 7);
  std::string request;
  append_request(request, {"SET", value});
  EXPECT_EQ(parse_all(request), just(ready({"SET", value}, request)));
}

TEST(RequestParser, EmptyRequestsAreSwallowed) {
  const std::vector<Parsed> empty{{Status::empty, {}, "", ""}, ready({"PING"}, "")};
  for (const char* start : {"*0\r\n", "*-1\r\n", "*-7\r\n", "\r\n", "\n", "  \t \r\n"}) {
    EXPECT_EQ(parse_all(std::string(start) + "PING\r\n"), empty) << start;
  }
}

TEST(RequestParser, ProtocolErrorsAsRedisWordsThem) {
  const std::string at = "ERR Protocol error: ";
  EXPECT_EQ(parse_all("*x\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*+1\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*01\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*2147483648\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*99999999999999999999\r\n"), just(refused(at + "invalid multibulk length")));
  EXPECT_EQ(parse_all("*1\r\nx3\r\n"), just(refused(at + "expected '$', got 'x'")));
  EXPECT_EQ(parse_all("*1\r\n\r\n"), just(refused(at + "expected '$', got ' '")));
  EXPECT_EQ(parse_all("*1\r\n$-1\r\n"), just(refused(at + "invalid bulk length")));
  EXPECT_EQ(parse_all("*1\r\n$a\r\n"), just(refused(at + "invalid bulk length")));
  EXPECT_EQ(parse_all("*1\r\n$ 3\r\n"), just(refused(at + "invalid bulk length")));
  EXPECT_EQ(parse_all("GET \"k\r\n"), just(refused(at + "unbalanced quotes in request")));
  EXPECT_EQ(parse_all("GET 'k'x\r\n"), just(refused(at + "unbalanced quotes in request")));
}

TEST(RequestParser, AnErrorHidesNothingBeforeIt) {
  const auto all = parse_all("PING\r\n*1\r\n:\r\n");
  const std::vector<Parsed> expected{ready({"PING"}, ""),
                                     refused("ERR Protocol error: expected '$', got ':'")};
  EXPECT_EQ(all, expected);
}

TEST(RequestParser, LimitsEndTheConnection) {
  RequestLimits limits;
  limits.max_bulk_bytes = 8;
  limits.max_elements = 3;
  limits.max_inline_bytes = 6;
  limits.max_request_bytes = 40;
  EXPECT_EQ(parse_all("*4\r\n", limits),
            just(refused("ERR Protocol error: invalid multibulk length")));
  EXPECT_EQ(parse_all("*1\r\n$9\r\n", limits),
            just(refused("ERR Protocol error: invalid bulk length")));
  EXPECT_EQ(parse_all("*3\r\n$8\r\n12345678\r\n$8\r\n12345678\r\n$8\r\n", limits),
            just(refused("ERR Protocol error: invalid bulk length")));
  EXPECT_EQ(parse_all("GET keys\r\n", limits),
            just(refused("ERR Protocol error: too big inline request")));
  EXPECT_EQ(parse_all("GET k\r\n", limits), just(ready({"GET", "k"}, "")));
}

TEST(RequestParser, StricterBeforeAuthentication) {
  EXPECT_EQ(parse_all("*11\r\n", kUnauthenticatedLimits),
            just(refused("ERR Protocol error: unauthenticated multibulk length")));
  EXPECT_EQ(parse_all("*1\r\n$16385\r\n", kUnauthenticatedLimits),
            just(refused("ERR Protocol error: unauthenticated bulk length")));
  EXPECT_EQ(parse_all("*1\r\n$4\r\nPING\r\n", kUnauthenticatedLimits).size(), 1u);
}

TEST(RequestParser, EndlessLinesAreCutOff) {
  const std::string digits((64u << 10) + 2, '1');
  const auto last = [](const std::string& stream) { return run({stream}, {}).at(0).error; };
  EXPECT_EQ(last("*" + digits), "ERR Protocol error: too big mbulk count string");
  EXPECT_EQ(last("*1\r\n$" + digits), "ERR Protocol error: too big bulk count string");
  EXPECT_EQ(last(digits), "ERR Protocol error: too big inline request");
}

TEST(RequestParser, InlineQuoting) {
  const auto words = [](const std::string& line) {
    const auto all = parse_all(line + "\r\n");
    return all.size() == 1 ? all[0].args : Words{"?"};
  };
  EXPECT_EQ(words("  SET  k\tv "), (Words{"SET", "k", "v"}));
  EXPECT_EQ(words(R"(SET "a b" 'c d')"), (Words{"SET", "a b", "c d"}));
  EXPECT_EQ(words(R"(ECHO "\x41\n\t\"\\\q\xzz")"), (Words{"ECHO", "A\n\t\"\\qxzz"}));
  EXPECT_EQ(words(R"(ECHO 'it\'s \n')"), (Words{"ECHO", "it's \\n"}));
  EXPECT_EQ(words(R"(ECHO a"b c" "" '')"), (Words{"ECHO", "ab c", "", ""}));
}

// Redis does not look at the byte behind CR nor at the CRLF behind a bulk. Such a request is
// accepted, but never forwarded as it came.
TEST(RequestParser, LenientLineEndsHaveNoFrame) {
  EXPECT_EQ(parse_all("*1\r\n$4\r\nPINGxxPING\r\n"),
            (std::vector<Parsed>{ready({"PING"}, ""), ready({"PING"}, "")}));
  EXPECT_EQ(parse_all("*1\rx$4\r\nPING\r\n"), just(ready({"PING"}, "")));
}

TEST(RequestParser, SaysWhatIsMissingOfALargeBulk) {
  RequestParser parser;
  Args args;
  parser.parse("*2\r\n$3\r\nSET\r\n$1000\r\nabc", {}, args);
  EXPECT_EQ(parser.bytes_missing(), 1000u + 2 - 3);
  RequestParser fresh;
  fresh.parse("*2\r\n$3", {}, args);
  EXPECT_EQ(fresh.bytes_missing(), 0u);
}

// Everything a real server answers to `stream`, until it closes.
std::string server_says(const testing::RealRedis& server, const std::string& stream) {
  testing::RedisLink link(server);
  link.send(stream);
  link.send("\r\nPING\r\nQUIT\r\n");
  std::string all;
  for (std::string reply = link.receive(); !reply.empty(); reply = link.receive()) all += reply;
  return all;
}

// What a server would answer that had our parser and knew ECHO, PING and QUIT.
std::string parser_says(const std::string& stream, const RequestLimits& limits) {
  std::string all;
  for (const Parsed& parsed : run({stream + "\r\nPING\r\nQUIT\r\n"}, limits)) {
    if (parsed.status == Status::empty) continue;
    if (parsed.status == Status::error) return all + "-" + parsed.error + "\r\n";
    if (parsed.args[0] == "ECHO" && parsed.args.size() == 2) {
      write_bulk(all, parsed.args[1]);
    } else if (parsed.args[0] == "ECHO") {
      write_error(all, "ERR wrong number of arguments for 'echo' command");
    } else if (parsed.args[0] == "PING") {
      write_simple(all, "PONG");
    } else if (parsed.args[0] == "QUIT") {
      write_simple(all, "OK");
      break;
    } else {
      write_error(all, "ERR unknown command '" + parsed.args[0] + "', with args beginning with: ");
    }
  }
  return all;
}

TEST(RequestParserLikeRedis, SameAnswersToTheSameBytes) {
  const testing::RealRedis server;
  for (const std::string stream : {"ECHO a",
                                   "  ECHO\ta  ",
                                   "ECHO \"a b\"",
                                   "ECHO 'a b'",
                                   "ECHO \"\\x41\\n\\q\\\\\\xzz\"",
                                   "ECHO 'it\\'s \\n'",
                                   "ECHO a\"b c\"",
                                   "ECHO \"a\"b",
                                   "ECHO \"a",
                                   "ECHO 'a",
                                   "ECHO 'a'b",
                                   "ECHO a'b'",
                                   "ECHO \"\\",
                                   "ECHO \"a\\\"",
                                   "ECHO a\vb",
                                   "ECHO \v\fa",
                                   "\v\f",
                                   "''",
                                   "ECHO ''",
                                   "ECHO \"a\"\t\"b\"",
                                   "\n\nECHO a",
                                   "ECHO a\r",
                                   "ECHO a\rb",
                                   "*0",
                                   "*-1",
                                   "*-99",
                                   "*x",
                                   "*",
                                   "*+1",
                                   "*01",
                                   "* 1",
                                   "*1 ",
                                   "*2147483648",
                                   "*99999999999999999999",
                                   "*1\r\nx",
                                   "*1\r\n\r",
                                   "*1\r\n$",
                                   "*1\r\n$-1",
                                   "*1\r\n$a",
                                   "*1\r\n$ 1",
                                   "*1\r\n$01",
                                   "*1\r\n$536870913",
                                   "*1\r\n$4\r\nPINGxx",
                                   "*1\r\n$4\r\nPINGxxPING",
                                   "*1\rx$4\r\nPING",
                                   "*2\r\n$4\r\nECHO\r\n$0\r\n",
                                   "*2\r\n$4\r\nECHO\r\n$4\r\n\r\n*1",
                                   "PING\r\n*1\r\n:4\r\nPING",
                                   "-ERR",
                                   "$4",
                                   "+PING"}) {
    EXPECT_EQ(parser_says(stream, {}), server_says(server, stream)) << stream;
  }
}

TEST(RequestParserLikeRedis, SameRefusalsBeforeAuthentication) {
  const testing::RealRedis server({"--requirepass", "secret"});
  for (const char* stream : {"*11\r\n", "*1\r\n$16385\r\n", "*10000000000\r\n", "*1\r\n$-1\r\n"}) {
    EXPECT_EQ(parser_says(stream, kUnauthenticatedLimits), server_says(server, stream)) << stream;
  }
}

TEST(AppendRequest, EncodesAndParsesBack) {
  std::string out = "x";
  append_request(out, {"SET", "k", ""});
  EXPECT_EQ(out, "x*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace stayd
