// Opens connections, one after the other, on a thread of its own: names are resolved there, which
// databases' libraries do blocking. After a failure it waits, longer each time, with full jitter.
//
// want(), take() and stop() belong to one other thread; `opened` is called on the connector's.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "base/random.h"
#include "store/backup/link.h"
#include "store/backup/options.h"

namespace stayd {

class Connector {
 public:
  struct Opened {
    std::unique_ptr<BackupLink> link;  // null: failed
    Error error;
  };
  // Both outlive this.
  Connector(BackupDriver& driver, const BackupOptions& options, std::function<void()> opened);
  ~Connector() { stop(); }

  // Opens so many more; not those that it has opened and nobody has taken.
  void want(int connections);
  std::vector<Opened> take();
  void stop();

 private:
  void run();
  Opened open();
  bool wait_for_work();
  void back_off();

  BackupDriver& driver_;
  const BackupOptions& options_;
  const std::function<void()> opened_;
  EventFd cancel_;
  Random random_;            // the thread's
  std::int64_t backoff_us_;  // the thread's

  std::mutex mutex_;
  std::condition_variable changed_;
  int wanted_ = 0;
  bool stopping_ = false;
  std::vector<Opened> done_;
  std::thread thread_;
};

}  // namespace stayd
