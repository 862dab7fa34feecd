// The shared backup of a running server (docs/adr/0016): the database, the FleetStore that makes
// one store of it and the ledger, and what is told of both.
//
//   engine ─▶ FleetStore ─┬▶ Ledger
//                         └▶ PooledBackup ─▶ PostgreSQL, MariaDB, DynamoDB
//
// A database that is out, read-only or without stayd's tables never keeps the server from starting
// or serving: it is tried again and again, and told about.
//
// Loop thread only; passwords and keys are asked for on the thread that opens connections. Borrows
// the loop, the ledger, the counters and the log.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/event_fd.h"
#include "base/random.h"
#include "core/fleet_store.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/pages.h"
#include "net/loop.h"
#include "store/backup/pooled_backup.h"

namespace stayd {

// As the configuration says; empty: the URL's, or none. Runs a command, until `cancel_fd` can be
// read. Errors: with the setting's name.
Result<std::string> backup_password(const BackupConfig& config, int cancel_fd);

class SharedBackup {
 public:
  struct Parts {
    Loop& loop;
    Store& ledger;
    Counters& counters;
    Logger& log;
    Random& random;
  };
  SharedBackup(const BackupConfig& config, MasterKeys keys, Parts parts);
  ~SharedBackup();

  FleetStore& store() { return *store_; }
  HlcClock& clock() { return clock_; }
  void start(Now now);  // after the engine's
  void set_now(Now now) { store_->set_now(now); }
  void on_tick(Now now);
  void each_second(Now now);
  // From the next connection on.
  void take_up_password(const BackupConfig& fresh);
  void take_up_keys(MasterKeys keys);
  // What would be lost with this host: nothing, or nothing that could still be shipped.
  bool may_end() const;
  BackupFacts facts(Now now) const;

 private:
  void tell_of_state(const BackupStatus& status);
  void tell_of_others(const BackupFacts& facts);

  const std::string place_;
  Parts parts_;
  std::mutex mutex_;  // of the next two
  BackupConfig config_;
  MasterKeys keys_;
  EventFd cancel_;
  std::unique_ptr<Waker> waker_;
  std::unique_ptr<PooledBackup> backup_;
  HlcClock clock_;
  std::unique_ptr<FleetStore> store_;
  // What was told last.
  std::string told_ = "out: backup: connecting";
  bool told_others_ = false;
  std::uint64_t told_restores_ = 0;
};

}  // namespace stayd
