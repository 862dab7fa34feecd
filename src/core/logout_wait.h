// A logout that Redis has confirmed waits until replicas have it too ([redis] logout_wait), so that
// no failover brings it back where this ledger is not asked: through another stayd, or none.
//
//   UNLINK confirmed ─▶ add() ─▶ SET of a side key, WAIT ─▶ enough replicas have it ───────▶ told
//                      (auxiliary connection)            └▶ too few, late, Redis is lost ─▶ told,
//                                                                                      counted
//
// WAIT blocks its connection, and speaks of the last write of the client that asks: hence the write
// of our own, which stands behind everything that this Redis had executed when it came. One WAIT at
// a time, for all logouts that were confirmed before it was sent (group commit). Bounded by the
// calls under way. Loop thread only; sans-I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/call.h"
#include "core/context.h"
#include "core/upstream.h"

namespace stayd {

class LogoutWaitEvents {
 public:
  virtual ~LogoutWaitEvents() = default;
  // Its client may be told, whether replicas have it or not.
  virtual void on_waited(Call& call) = 0;
};

class LogoutWait final : private ReplyHandler {
 public:
  LogoutWait(CoreContext& context, LogoutWaitEvents& events) : c_(context), events_(events) {}

  void attach(Upstream& aux) { aux_ = &aux; }
  bool on() const { return c_.options.logout_wait_ms > 0; }
  // Redis has just confirmed it. One on_waited() follows, after logout_wait_ms at most; during this
  // call when there is nobody to ask. `same_memory`: the auxiliary connection leads to the process
  // that has confirmed it.
  void add(Call& call, bool same_memory);
  void on_tick();

 private:
  enum Tag : std::uint64_t { kWritten, kWaited };
  struct Waiting {
    Call* call;
    std::int64_t deadline_us;
  };

  void on_upstream_reply(std::uint64_t tag, std::string_view frame) override;
  void on_upstream_lost(std::uint64_t tag) override;
  void ask();
  void finish(bool replicated);
  void tell(const std::vector<Waiting>& waiting, bool replicated);
  void tell_late(std::vector<Waiting>& waiting);

  CoreContext& c_;
  LogoutWaitEvents& events_;
  Upstream* aux_ = nullptr;
  std::vector<Waiting> asked_;  // for whom a WAIT is under way
  std::vector<Waiting> next_;   // confirmed since it was sent
  bool asking_ = false;
  bool written_ = false;  // our own write before it was executed
};

}  // namespace stayd
