// The engine's view of one ordered connection to Redis. Implemented by redis/link.h on any
// Transport. Loop thread only. Replies come in the order of the sends: strict FIFO is what keeps
// one user's data from another (F49); a connection on which anything was late or impossible is
// never used again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/replica_list.h"

namespace stayd {

class ReplyHandler {
 public:
  virtual ~ReplyHandler() = default;
  // One complete RESP3 reply, valid during the call.
  virtual void on_upstream_reply(std::uint64_t tag, std::string_view frame) = 0;
  // No reply will come: the connection ended. What was sent may have been executed (in doubt).
  virtual void on_upstream_lost(std::uint64_t tag) = 0;
};

// For replies that concern nobody.
class ReplySink final : public ReplyHandler {
  void on_upstream_reply(std::uint64_t, std::string_view) override {}
  void on_upstream_lost(std::uint64_t) override {}
};

// What the gate (docs/architecture.md) learnt of the server behind a fresh connection.
struct GateFacts {
  std::string run_id;
  std::int64_t client_id = 0;  // ours, for CLIENT KILL ID once condemned
  std::string version;
  std::uint64_t evicted_keys = 0;
  // Redis' clock, read after asked_wall_ms of ours and before the gate was passed.
  std::int64_t redis_wall_ms = 0;
  std::int64_t asked_wall_ms = 0;
  std::vector<NamedReplica> replicas;  // that it names
  bool may_evict = false;              // a memory limit with a policy other than noeviction
};

class UpstreamEvents {
 public:
  virtual ~UpstreamEvents() = default;
  virtual void on_upstream_up(const GateFacts& facts) = 0;
  // The connection ended, or could not be made. Comes after on_upstream_lost of every pending
  // reply. `never_up`: it had not passed the gate. `cause` is for people.
  virtual void on_upstream_down(bool never_up, std::string_view cause) = 0;
  // A pub/sub push.
  virtual void on_upstream_push(std::string_view frame) = 0;
};

// What a request needs of the order in which different databases get theirs. Requests for one
// database always keep their order.
enum class Order : std::uint8_t {
  strict,  // nothing passes it, and it passes nothing
  by_key,  // touches only keys of its database: may pass those for others, and be passed
  strays,  // strict, and leaves the connection in a database that only Redis knows
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  // True between on_upstream_up and on_upstream_down.
  virtual bool up() const = 0;
  // Queues `request` (complete RESP requests; one reply each) for the end of the loop turn. With
  // `db` >= 0 a SELECT goes before it when the connection stands elsewhere, and the request waits
  // for its reply: behind a refused one it would run in another database. `handler` hears of the
  // reply to the last of `replies` requests; replies before it (MULTI, QUEUED) are swallowed. The
  // connection is condemned when no reply has come by `deadline_us` (monotonic). Requires up().
  virtual void send(std::string_view request, int db, ReplyHandler& handler, std::uint64_t tag,
                    std::int64_t deadline_us, std::uint32_t replies = 1,
                    Order order = Order::strict) = 0;
  // Ends the connection with a reset; pending replies are lost. A new one is tried by the link
  // itself.
  virtual void condemn(std::string_view cause) = 0;
  virtual std::size_t pending() const = 0;
};

}  // namespace stayd
