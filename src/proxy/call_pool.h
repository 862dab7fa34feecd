// The calls of all clients of the Redis port, reused: no allocation per command in steady state.
//
// Ownership: the pool owns every PendingCall. A client session holds the ones it waits for; when
// the client goes away first, the call is orphaned and comes back with the engine's reply. The pool
// is therefore the CallSink of every call and must outlive the engine's work. Loop thread only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/call.h"

namespace stayd {

class ClientSession;

struct PendingCall : Call {
  ClientSession* session = nullptr;  // null: the client has gone, the reply goes nowhere
  PendingCall* next = nullptr;       // the client's next call, in the client's order
  std::uint8_t proto = 2;            // what the client spoke when it sent the command
  bool muted = false;                // CLIENT REPLY OFF or SKIP: no reply is sent
  bool final_form = false;           // `reply` is in the client's protocol already
  bool exclusive = false;            // nothing else of this client is under way
  std::size_t weight = 0;            // bytes of the request, while its reply is awaited
  // EXEC: in place of block[i] (a PING) the port answers originals[i] itself; null: Redis' reply.
  std::vector<std::unique_ptr<Call>> originals;

  bool only_reads() const { return spec != nullptr && spec->handling == Handling::read; }
};

class CallPool final : public CallSink {
 public:
  CallPool() = default;
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;
  ~CallPool() override;

  PendingCall& take(ClientSession& session);
  void give(PendingCall& call);
  void on_reply(Call& call, std::string_view reply) override;

  std::size_t in_use() const { return all_ - free_count_; }

 private:
  // Kept for reuse: 1,024 calls of at most 16 KB. Beyond, memory goes back at once.
  static constexpr std::size_t kMaxFree = 1024;
  static constexpr std::size_t kMaxKeptBytes = 16u << 10;
  PendingCall* free_ = nullptr;
  std::size_t free_count_ = 0;
  std::size_t all_ = 0;
};

}  // namespace stayd
