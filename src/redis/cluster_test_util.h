// Nodes of a Redis Cluster in memory, for tests: strings, stayd's own scripts, MULTI and WATCH, and
// MOVED for slots that a node does not have. Bytes in, bytes out, when the test says.
#pragma once

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/slots.h"
#include "redis/transport.h"
#include "resp/reply.h"
#include "resp/request_parser.h"
#include "session/scripts.h"

namespace stayd::testing {

class FakeNode {
 public:
  std::map<std::string, std::string, std::less<>> data;
  SlotSet slots = SlotSet().set();
  std::string other = "elsewhere:6379";  // where other slots are, as it says
  std::string run_id = "first";
  bool listens = true;
  std::vector<std::string> seen;  // "set a 1", without what stayd asks for itself

  // One connection's.
  struct Client {
    bool queueing = false, spoiled = false;
    std::vector<std::vector<std::string>> queued;
    std::map<std::string, std::string> watched;
  };
  std::string answer(Client& client, const Args& args) {
    std::vector<std::string> words(args.begin(), args.end());
    for (char& c : words[0]) c = static_cast<char>(std::tolower(c));
    const std::string& name = words[0];
    if (name == "exec") return exec(client);
    if (name == "multi") return client.queueing = true, "+OK\r\n";
    const std::string moved = elsewhere(words);
    if (client.queueing) {
      client.spoiled = client.spoiled || !moved.empty();
      client.queued.push_back(std::move(words));
      return moved.empty() ? "+QUEUED\r\n" : moved;
    }
    if (!moved.empty()) return moved;
    if (name == "watch") return client.watched[words[1]] = value(words[1]), "+OK\r\n";
    return run(words);
  }

 private:
  std::string value(const std::string& key) const {
    const auto it = data.find(key);
    return it == data.end() ? "(none)" : it->second;
  }
  std::string elsewhere(const std::vector<std::string>& words) const {
    static const std::vector<std::string> kKeyed = {"get",    "set",   "del",     "unlink",
                                                    "exists", "hset",  "hgetall", "watch",
                                                    "blpop",  "setex", "pexpire"};
    std::string key;
    if (words[0] == "evalsha" && words[2] != "0") key = words[3];
    if (std::ranges::find(kKeyed, words[0]) != kKeyed.end()) key = words[1];
    if (key.empty() || slots[slot_of(key)]) return "";
    return "-MOVED " + std::to_string(slot_of(key)) + " " + other + "\r\n";
  }
  std::string exec(Client& client) {
    const auto queued = std::exchange(client.queued, {});
    client.queueing = false;
    bool changed = false;
    for (const auto& [key, before] : std::exchange(client.watched, {})) {
      changed = changed || value(key) != before;
    }
    if (std::exchange(client.spoiled, false)) {
      return "-EXECABORT Transaction discarded because of previous errors.\r\n";
    }
    if (changed) return "_\r\n";
    std::string out;
    write_array(out, queued.size());
    for (const auto& words : queued) out += run(words);
    return out;
  }
  std::string run(const std::vector<std::string>& words) {
    const std::string& name = words[0];
    std::string out;
    const bool own = words.size() > 1 && words[1].starts_with("stayd:");
    static const std::vector<std::string> kOwn = {"hello", "time", "info", "script", "client"};
    if (!own && name != "evalsha" && std::ranges::find(kOwn, name) == kOwn.end()) {
      std::string text;
      for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
      seen.push_back(std::move(text));
    }
    if (name == "hello") return "%1\r\n$2\r\nid\r\n:7\r\n";
    if (name == "time") return "*2\r\n$1\r\n1\r\n$1\r\n0\r\n";
    if (name == "client") return "-ERR No such client\r\n";
    if (name == "hset" || name == "pexpire") return ":1\r\n";
    if (name == "hgetall") return "%0\r\n";
    if (name == "info") return info(words);
    if (name == "script") return script_load(words[2]);
    if (name == "evalsha") return evalsha(words);
    if (name == "get") {
      const auto it = data.find(words[1]);
      it == data.end() ? write_null(out) : write_bulk(out, it->second);
      return out;
    }
    if (name == "set") {
      for (const auto& word : words) {
        if (word == "NX" && data.contains(words[1])) return "_\r\n";
        if (word == "XX" && !data.contains(words[1])) return "_\r\n";
      }
      return data[words[1]] = words[2], "+OK\r\n";
    }
    if (name == "exists" || name == "del" || name == "unlink") {
      int count = 0;
      for (std::size_t i = 1; i < words.size(); ++i) {
        count += name == "exists" ? data.contains(words[i]) : data.erase(words[i]) > 0;
      }
      write_integer(out, count);
      return out;
    }
    if (name == "scan") {
      write_array(out, 2);
      write_bulk(out, "0");
      write_array(out, data.size());
      for (const auto& [key, text] : data) write_bulk(out, key);
      return out;
    }
    if (name == "flushall") return data.clear(), "+OK\r\n";
    return name == "blpop" ? "" : "-ERR unknown command\r\n";  // blpop waits for ever
  }
  std::string info(const std::vector<std::string>& words) const {
    std::string text = "role:master\r\nrun_id:" + run_id + "\r\nevicted_keys:0\r\n";
    if (words.back() == "keyspace") {
      text = "# Keyspace\r\n";
      if (!data.empty()) text += "db0:keys=" + std::to_string(data.size()) + ",expires=0\r\n";
    }
    std::string out;
    write_bulk(out, text);
    return out;
  }
  std::string script_load(const std::string& text) {
    const std::string sha1 = sha1_hex(text);
    if (std::ranges::find(scripts_, sha1) == scripts_.end()) scripts_.push_back(sha1);
    std::string out;
    write_bulk(out, sha1);
    return out;
  }
  // In the order of lua.cc: guard, heartbeat, repair, read-back.
  std::string evalsha(const std::vector<std::string>& words) {
    const auto number = std::ranges::find(scripts_, words[1]) - scripts_.begin();
    const std::string& key = words[3];
    std::string out;
    switch (number) {
      case 0:
        if (!data.contains(key)) return "-STAYDMISS no such key\r\n";
        return run({words.begin() + 4, words.end()});
      case 1:
        if (value(key) == (words[4].empty() ? "(none)" : words[4])) {
          return data[key] = words[5], ":1\r\n";
        }
        return run({"get", key});
      case 2:
        if (value(words[4]) != words[5]) return ":0\r\n";
        data.erase(words[4]);
        return data[key] = words[9], ":1\r\n";
      case 3:
        if (!data.contains(key)) return "*1\r\n$4\r\nnone\r\n";
        write_array(out, 3);
        write_bulk(out, "string");
        write_integer(out, 0);
        write_bulk(out, data[key]);
        return out;
      default:
        return "-NOSCRIPT No matching script.\r\n";
    }
  }

  std::vector<std::string> scripts_;
};

class FakeCluster final : public Dialer {
 public:
  FakeNode& node(const std::string& address) { return nodes_[address]; }
  int dials(const std::string& address) const {
    const auto it = dials_.find(address);
    return it == dials_.end() ? 0 : it->second;
  }

  std::unique_ptr<Transport> dial(const Endpoint& to, std::int64_t,
                                  TransportEvents& events) override {
    ++dials_[to.text()];
    links_.push_back(std::make_unique<Connection>());
    links_.back()->to = to.text();
    links_.back()->events = &events;
    return std::make_unique<End>(*links_.back());
  }

  // Every node reads and answers what has been sent to it. `frozen` ones do not.
  void deliver() {
    std::erase_if(links_, [](const auto& link) { return link->closed; });
    const std::size_t count = links_.size();
    for (std::size_t i = 0; i < count; ++i) serve(*links_[i]);
  }
  // They fall silent.
  std::map<std::string, bool> frozen;

 private:
  struct Connection {
    std::string to;
    TransportEvents* events = nullptr;
    std::string sent;
    bool connected = false, closed = false;
    FakeNode::Client client;
  };
  class End final : public Transport {
   public:
    explicit End(Connection& link) : link_(link) {}
    ~End() override { close(true); }
    void write(std::string_view bytes) override { link_.sent += bytes; }
    std::size_t unsent_bytes() const override { return 0; }
    void close(bool) override {
      if (!std::exchange(done_, true)) link_.closed = true;
    }

   private:
    Connection& link_;
    bool done_ = false;
  };

  void serve(Connection& link) {
    if (link.closed || frozen[link.to]) return;
    FakeNode& node = nodes_[link.to];
    if (!node.listens) {
      link.closed = true;
      return link.events->on_closed(link.connected ? CloseReason::reset : CloseReason::refused,
                                    "Connection refused");
    }
    if (!std::exchange(link.connected, true)) link.events->on_connected();
    std::string replies;
    Args args;
    for (std::string bytes = std::exchange(link.sent, ""); !bytes.empty();) {
      RequestParser parser;
      const auto outcome = parser.parse(bytes, RequestLimits{}, args);
      replies += node.answer(link.client, args);
      bytes.erase(0, outcome.consumed);
    }
    if (!link.closed && !replies.empty()) link.events->on_bytes(replies);
  }

  std::map<std::string, FakeNode> nodes_;
  std::map<std::string, int> dials_;
  std::vector<std::unique_ptr<Connection>> links_;
};

}  // namespace stayd::testing
