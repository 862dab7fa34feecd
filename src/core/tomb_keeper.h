// Logouts that the ledger could not take: they hold in memory (CoreContext::unwritten_tombs) and
// are written again each second until it can. Bounded: beyond kMaxUnwritten the oldest promise is
// the ledger's own error, counted in logouts_degraded. Loop thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/context.h"

namespace stayd {

class TombKeeper final : private StoreClient {
 public:
  static constexpr std::size_t kMaxUnwritten = 65'536;

  explicit TombKeeper(CoreContext& context) : c_(context) {}

  void add(const FullKey& key, Hlc hlc);
  void on_tick();

 private:
  void on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) override;
  void on_loaded(std::uint64_t, const Error&, Row) override {}

  CoreContext& c_;
  std::vector<std::pair<FullKey, Hlc>> under_way_;
  std::size_t unreported_ = 0;
  std::int64_t next_try_us_ = 0;
};

}  // namespace stayd
