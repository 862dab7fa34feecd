// The engine's own view of a call under way (Call::stage). A plain value.
#pragma once

#include <cstdint>

namespace stayd {

// What a call waits for; each names the file that handles it.
enum class Stage : std::uint8_t {
  waiting,        // in its keys' queues
  read,           // redis path: a read is on its way
  write,          //   a write is on its way
  guard,          //   a guarded write, or SET XX in place of a fenced SET
  passthrough,    //   not a session: reply as it comes
  aux,            //   on the auxiliary connection
  tomb,           //   the tombstone is being written before Redis is asked
  removal,        //   the removal is on its way
  waited,         //   done; replicas are waited for before the client is told
  marking,        //   rows are being marked stale before an opaque write
  opaque,         //   it is on its way, with what becomes of its keys
  opaque_alone,   //   refused with what stands around it, it says why
  opaque_verify,  //   it found a key missing: canary? evictions?
  undoing,        //   the rows are being restored to what they were before
  paying,         //   waits until Redis has what its keys are owed
  block,          //   MULTI..EXEC is on its way
  flush,          //   FLUSHDB, FLUSHALL, SWAPDB is on its way
  blind,          //   the ledger cannot be read: whatever a SUSPECT Redis says (R5)
  blocking,       //   on the client's own connection
  watching,       //   WATCH is on its way
  recording,      //   effects are being recorded; the reply is held
  absent_meta,    // absence path: the ledger is asked about an absent-looking reply
  absent_verify,  //   Redis is asked again: exists? canary? evictions?
  missing_meta,   //   a guarded write found no key: the ledger is asked
  missing_verify,
  loading,         // stand-in path: rows are being loaded
  standin_record,  //   effects are being recorded
  replica,         // nobody here knows: a replica is asked
  held_unknown,    // waits for an answer, then error
};

// One of the things that it waits for.
enum class SubKind : std::uint32_t {
  applied,
  removed,
  tombed,
  marked,
  row,
  meta,
  read_back,
  adopt_row,
  verify_exists,
  verify_canary,
  verify_info,
  page,
  capped,
};

}  // namespace stayd
