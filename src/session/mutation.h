// One change of one row, in the order Redis saw it. Made by `effects.h` from a command and Redis'
// reply, or by the stand-in while Redis is out; applied by a Store.
//
// Applying is idempotent per (key, hlc) and never moves a row backwards (I7): a mutation whose hlc
// is not greater than the row's is dropped, and reported as `superseded`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/record.h"

namespace stayd {

// A hash field, a set member (value and score unused) or a sorted-set member.
struct ElementChange {
  std::string name;
  bool removed = false;
  std::string value;  // hash field's value
  double score = 0;   // sorted-set member's score
};

struct Mutation {
  enum class Kind : std::uint8_t {
    put,    // the whole record, expiry included: `record`
    value,  // a string's new bytes with the row's expiry kept: `record` (string; expiry ignored).
            // On a row that is tomb or expired it creates one without expiry.
    elements,  // `elements` of a hash, set or sorted set (`type`), expiry kept; creates the row if
               // it is tomb or expired; the row ends (as by kind tomb) when none is left
    expiry,    // only `record.expires_at_ms` (0 = persist)
    tomb,      // the key is gone and must not come back before `tomb_until_ms`
    stale,     // only Redis knows: the row stops answering until the next put
    doubt,     // an opaque write is about to be sent: a version of its own for a row that is known
               // and holds until Redis has done it; any other row as by kind stale
    placed,    // Redis had no value of its own: the row is not provisional any more
    forget,    // drop the row and its history: nothing is known of the key any more
    // Of a fleet (docs/adr/0016); `hlc` is 0, as no version is made:
    merge,  // the backup's row, `merged` with `record`: taken where it is newer and nothing of the
            // row is unshipped; a touch of ours stays on top of it. With a `base`: it was agreed to
            // here, upon that, and ends what is older and unshipped as well
    replace,  // the same, whatever of ours is unshipped
    shipped,  // the backup has our row `merged`, as its version `base` (of a touch: on top of it);
              // the base of a row that was made from another one since stays as it is
  };

  Kind kind = Kind::put;
  FullKey key;
  Hlc hlc = 0;
  Mark mark;
  ValueType type = ValueType::none;  // for `elements`
  Record record;
  std::vector<ElementChange> elements;
  std::int64_t tomb_until_ms = 0;
  bool provisional = false;
  bool unconfirmed = false;  // Redis need not hold the row just now: it keeps its own mark
  // The row was answered from Redis' own state and nothing newer may be overwritten: applied only
  // when the ledger holds no row, or only a stale one, for the key (adoption, R4).
  bool only_if_unknown = false;
  // Of a fleet.
  std::uint64_t origin = 0;    // who makes `hlc`
  bool from_client = false;    // not adopted, read back or put back
  bool through_redis = false;  // a trusted Redis has executed it
  // A put: a trusted Redis had nothing, so it is a new session whatever the row says (B2). A tomb:
  // Redis had one that the row knows nothing of, so it ends the next incarnation (B3).
  bool creates = false;
  Version base;
  std::shared_ptr<const RowMeta> merged;  // for merge, replace, shipped

  // The row's once this is applied: what is made next must be later.
  Hlc row_hlc() const {
    const bool taken = kind == Kind::merge || kind == Kind::replace;
    return taken ? merged->hlc : hlc;
  }
};

// How a mutation ended in the store.
enum class ApplyOutcome : std::uint8_t {
  applied,
  superseded,    // the row is newer; nothing changed
  outpaced,      // another stayd of the fleet was first: load the row again (Store::apply_agreed)
  base_unknown,  // `value`, `elements` or `expiry` on a row that is absent or stale (or ended, or
                 // of another type, where the change presumes otherwise: apply.h): the caller must
                 // read the key back from Redis and `put` it
};

}  // namespace stayd
