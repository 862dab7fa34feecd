// Tombstones that the ledger could not take: they hold in memory (CoreContext::unwritten_tombs) and
// are written again each second until it can. Bounded: beyond kMaxUnwritten the oldest promise is
// the ledger's own error, counted in logouts_degraded. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "core/context.h"

namespace stayd {

class TombKeeper final : private StoreClient {
 public:
  static constexpr std::size_t kMaxUnwritten = 65'536;

  explicit TombKeeper(CoreContext& context) : c_(context) {}

  // The ledger has refused it: tried again later.
  void add(const FullKey& key, Hlc hlc);
  // Somebody has removed the key in Redis: written now, and again if the ledger refuses it.
  void bury(const FullKey& key, Hlc hlc) {
    add(key, hlc);
    write(key, hlc, Durability::written);
  }
  void on_tick();

 private:
  void write(const FullKey& key, Hlc hlc, Durability durability);
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t, const Error&, Row) override {}

  CoreContext& c_;
  std::map<std::uint64_t, std::pair<FullKey, Hlc>> under_way_;
  std::uint64_t last_tag_ = 0;
  std::int64_t next_try_us_ = 0;
};

}  // namespace stayd
