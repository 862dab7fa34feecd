// Routes a Backup's answers to whoever asked, as StoreOps does a Store's, and is the breaker before
// it: of a backup that has not answered several times in a row, nobody who has a client waiting
// asks anything until the feed, or whatever else goes on asking, has an answer. Loop thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/slot_table.h"
#include "store/backup/backup.h"

namespace stayd {

class BackupClient {
 public:
  virtual ~BackupClient() = default;
  virtual void on_written(std::uint64_t, const Error&, std::vector<BackupWritten>) {}
  virtual void on_read(std::uint64_t, const Error&, std::vector<BackupRow>) {}
  virtual void on_feed(std::uint64_t, const Error&, FeedPage) {}
};

class BackupOps {
 public:
  // A token for one operation of `client`; it comes back once, with `tag`.
  BackupToken token(BackupClient& client, std::uint64_t tag) {
    return slots_.add({&client, tag}) + 1;
  }
  std::size_t under_way() const { return slots_.used(); }
  // The breaker is closed.
  bool answers() const { return failures_ < kBreaksAfter; }

  void written(BackupToken token, const Error& error, std::vector<BackupWritten> results) {
    note(error);
    const Slot slot = slots_.take(token - 1);
    slot.client->on_written(slot.tag, error, std::move(results));
  }
  void read(BackupToken token, const Error& error, std::vector<BackupRow> rows) {
    note(error);
    const Slot slot = slots_.take(token - 1);
    slot.client->on_read(slot.tag, error, std::move(rows));
  }
  void feed(BackupToken token, const Error& error, FeedPage page) {
    note(error);
    const Slot slot = slots_.take(token - 1);
    slot.client->on_feed(slot.tag, error, std::move(page));
  }

 private:
  static constexpr int kBreaksAfter = 3;
  struct Slot {
    BackupClient* client = nullptr;
    std::uint64_t tag = 0;
  };
  // What it refuses is an answer; a queue that is full is none of it.
  void note(const Error& error) {
    if (error.code == Errc::busy && !error.message.empty()) return;
    const bool none = !error.message.empty() && error.code != Errc::invalid &&
                      error.code != Errc::limit && error.code != Errc::corrupt;
    failures_ = none ? std::min(failures_ + 1, kBreaksAfter) : 0;
  }

  SlotTable<Slot> slots_;
  int failures_ = 0;  // in a row
};

}  // namespace stayd
