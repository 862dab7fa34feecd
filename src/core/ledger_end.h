// What the engines of a Redis Cluster tell each other about the end of their one ledger (W6): a
// power cut, or a restored file, may have taken it. A shard shows that by a heartbeat that is ahead
// of the ledger. Another's may be behind it all the same: Redis has refused heartbeats, something
// owed held their position back, or the heartbeat has gone elsewhere with its slot. When it was
// written later than the ledger ends, what that shard holds may be newer than its rows too.
//
// That the end is lost is a durable fact, until every shard has acted on it.
//
// Of several regions (docs/adr/0015) only the one in use when the ledger ended can tell that the
// end is lost: the others were left before, and what they hold is older than the ledger, or a copy
// that says when it was copied. So when another one is used, nothing is open any more, for any
// shard: the rows count there, those too that the region of before would still have contradicted.
// Nor is that asked later, when its turn comes again: the ledger has gone on without it, and what
// it holds of the lost end is W6. Where the loss was found before, the other regions are void.
//
// Loop thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/hlc.h"
#include "core/canary.h"
#include "store/store.h"

namespace stayd {

// Rows up to `top`, of what was shard `id`, are believed unless somebody shows that the end is
// lost.
struct LedgerDoubt {
  std::string id;
  Hlc top = 0;
};

class LedgerEnd {
 public:
  static constexpr std::size_t kMaxHeartbeats = 200;  // a reply's number has eight bits

  explicit LedgerEnd(Store& store);

  // The last life has left this heartbeat, in a slot that may be anybody's by now.
  struct Heartbeat {
    std::string id;
    std::string name;
  };
  void expect(std::string id, std::string name);
  // What the heartbeat of shard `id` is compared with.
  void set_top(const std::string& id, Hlc top) { tops_.insert_or_assign(id, top); }
  void forget(std::string_view name);  // this life writes it
  const std::vector<Heartbeat>& expected() const { return expected_; }

  // A heartbeat of an earlier life, wherever it was found.
  void note(const std::string& id, const Canary& canary);
  void note_left(const Heartbeat& left, const Canary& canary);
  bool saw(const std::string& id) const { return last_ms_.contains(id); }
  // That shard was in touch after a ledger ended with `top`.
  bool outlived(const std::string& id, Hlc top) const;

  void lose(Hlc top);  // a heartbeat is ahead of the ledger that ended with `top`
  bool is_lost(const LedgerDoubt& doubt) const;
  void close();  // every shard has judged, and acted

 private:
  Store& store_;
  std::vector<Heartbeat> expected_;
  std::map<std::string, std::int64_t> last_ms_;  // id -> when its last heartbeat was written
  std::map<std::string, Hlc> tops_;
  std::set<Hlc> lost_;  // a life's each; a few
};

}  // namespace stayd
