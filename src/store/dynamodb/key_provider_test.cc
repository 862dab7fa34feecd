// Where credentials come from, against agents that answer as AWS' do.
#include "store/dynamodb/key_provider.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kThenMs = 1'795'953'600'000;  // 2026-11-29T12:00:00Z

// Answers HTTP on loopback, one request to a connection.
class Agent {
 public:
  explicit Agent(std::map<std::string, std::string> answers) : answers_(std::move(answers)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 16);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { run(); });
  }
  ~Agent() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::string asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::string url;

 private:
  void run() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int client = ::accept(listener_, nullptr, nullptr);
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        request.append(buffer, static_cast<std::size_t>(got));
      }
      const auto found = answers_.find(request.substr(0, request.find(" HTTP")));
      const std::string body = found != answers_.end() ? found->second : "";
      const std::string answer =
          std::string("HTTP/1.1 ") + (found != answers_.end() ? "200 OK" : "404 No") +
          "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
          body;
      {
        const std::lock_guard lock(mutex_);  // before anybody can ask for it
        asked_ += request;
      }
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }

  const std::map<std::string, std::string> answers_;
  const int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::string asked_;
  std::thread thread_;
};

std::string role(const std::string& id, const std::string& until) {
  return R"({"Code":"Success","AccessKeyId":")" + id +
         R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + until + "\"}";
}

TEST(DynamodbKeys, TheEnvironmentComesFirst) {
  KeyProvider keys({{"AWS_ACCESS_KEY_ID", "E"}, {"AWS_SECRET_ACCESS_KEY", "e"}}, "");
  EXPECT_EQ(keys.get({0, kThenMs})->id, "E");
  EXPECT_FALSE(keys.is_due({0, kThenMs}));
  KeyProvider named({{"AWS_ACCESS_KEY_ID", "E"},
                     {"AWS_SECRET_ACCESS_KEY", "e"},
                     {"AWS_SHARED_CREDENTIALS_FILE", "/nowhere"}},
                    "other");
  EXPECT_NE(named.get({0, kThenMs}).error().message.find("/nowhere"), std::string::npos);
}

TEST(DynamodbKeys, AContainersAreAskedForAndRenewed) {
  Agent agent({{"GET /role?x=1", role("C", "2026-11-29T13:00:00Z")}});
  KeyProvider keys({{"HOME", "/nowhere"},
                    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url + "/role?x=1"},
                    {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in"}},
                   "");
  const auto got = keys.get({0, kThenMs});
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->id + got->secret + got->token, "Cst");
  EXPECT_NE(agent.asked().find("Authorization: let me in\r\n"), std::string::npos);
  const std::size_t once = agent.asked().size();
  EXPECT_TRUE(keys.get({0, kThenMs + 3'000'000}));
  EXPECT_EQ(agent.asked().size(), once);
  EXPECT_FALSE(keys.is_due({0, kThenMs + 3'000'000}));
  EXPECT_TRUE(keys.is_due({0, kThenMs + 3'400'000}));
  EXPECT_TRUE(keys.get({0, kThenMs + 3'400'000}));
  EXPECT_EQ(agent.asked().size(), 2 * once);
}

TEST(DynamodbKeys, AnInstancesAreAskedForWithAToken) {
  const std::string folder = "/latest/meta-data/iam/security-credentials/";
  Agent agent({{"PUT /latest/api/token", "a-token"},
               {"GET " + folder, "web\n"},
               {"GET " + folder + "web", role("I", "2026-11-29T18:00:00Z")}});
  KeyProvider keys({{"HOME", "/nowhere"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT", agent.url + "/"}},
                   "");
  const auto got = keys.get({0, kThenMs});
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->id, "I");
  const std::string asked = agent.asked();
  EXPECT_NE(asked.find("token-ttl-seconds: 21600\r\n"), std::string::npos);
  EXPECT_NE(asked.find("X-aws-ec2-metadata-token: a-token\r\n"), std::string::npos);
}

TEST(DynamodbKeys, WhatWasTriedIsSaid) {
  Agent agent({{"GET /role", "no JSON"}});
  KeyProvider keys({{"HOME", "/nowhere"},
                    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url + "/role"},
                    {"AWS_EC2_METADATA_DISABLED", "true"}},
                   "");
  const auto none = keys.get({0, kThenMs});
  ASSERT_FALSE(none);
  for (const char* part : {"no AWS_ACCESS_KEY_ID", "/role: the answer is no JSON object",
                           "the instance's are disabled"}) {
    EXPECT_NE(none.error().message.find(part), std::string::npos) << none.error().message;
  }
  for (const char* uri : {"http://127.0.0.1.example.com/", "http://127.0.0.1:80@example.com/",
                          "http://localhost:@example.com/", "http://localhost:80?@example.com/"}) {
    KeyProvider elsewhere({{"HOME", "/nowhere"},
                           {"AWS_CONTAINER_CREDENTIALS_FULL_URI", uri},
                           {"AWS_EC2_METADATA_DISABLED", "true"}},
                          "");
    const Error error = elsewhere.get({0, kThenMs}).error();
    EXPECT_NE(error.message.find("neither https"), std::string::npos)
        << uri << ": " << error.message;
  }
}

TEST(DynamodbKeys, AnswersThatAreNoneAreRefused) {
  std::int64_t until = 0;
  EXPECT_TRUE(keys_of_json(role("A", "2026-11-29T12:00:00Z"), until));
  EXPECT_EQ(until, kThenMs);
  for (const char* wrong :
       {"", "[]", "{}", "{\"AccessKeyId\":7,\"SecretAccessKey\":\"s\"}",
        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"\"}",
        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\",\"Expiration\":\"x\"}"}) {
    EXPECT_FALSE(keys_of_json(wrong, until)) << wrong;
  }
}

}  // namespace
}  // namespace stayd::dynamo
