// The parts of a client session that most clients never need; allocated on first use, so that an
// idle connection stays small. Private to proxy/.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/client_session.h"
#include "resp/database.h"

namespace stayd {

struct ClientSession::Block {
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::unique_ptr<Call>> originals;  // as PendingCall::originals
  std::size_t bytes = 0;
  std::uint8_t db = 0;
  bool dirty = false;
  bool selects = false;
};

struct ClientSession::Topics {
  std::set<std::string, std::less<>> channels;
  std::set<std::string, std::less<>> patterns;
  std::size_t count() const { return channels.size() + patterns.size(); }
};

struct ClientSession::Names {
  std::string name;
  std::string user = "default";
  std::string library;
  std::string library_version;
};

// `call` gets its own copy of the request, with args as views into it. `frame` may be empty
// (inline).
void copy_request(Call& call, std::string_view frame, const Args& args);

}  // namespace stayd
