// The TLS files of one side, as they are in use: read at the start, and again when they have
// changed. Where new ones do not read, the last good ones stay in use. Tells of both, and when a
// certificate is about to end. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/types.h"
#include "net/tls.h"
#include "observe/events.h"

namespace stayd {

// Warns once for each of 30, 7 and 1 days before a certificate ends.
struct CertificateWatch {
  std::int64_t not_after_s = 0;  // seconds since the epoch; 0: there is none, or not seen yet
  std::int64_t told_days = 0;
  void warn(std::string_view whose, std::int64_t wall_ms, EventSink& log);
};

class TlsFiles {
 public:
  // `whose`: our certificate, for people ("stayd's own certificate for Redis").
  TlsFiles(TlsRole role, std::string_view whose, EventSink& log)
      : role_(role), whose_(whose), log_(log) {}

  // Once, before anything else. Errors: invalid, as TlsContext::load().
  Result<void> start(const TlsOptions& options);
  // Looks at the files, and reads them if they have changed.
  void refresh();
  void warn(std::int64_t wall_ms) { own_.warn(whose_, wall_ms, log_); }

  const TlsContext& context() const { return *context_; }
  std::int64_t not_after_s() const { return own_.not_after_s; }

 private:
  TlsRole role_;
  std::string_view whose_;
  EventSink& log_;
  std::shared_ptr<const TlsContext> context_;
  std::string seen_;  // what stat() said when they were last read
  CertificateWatch own_;
};

}  // namespace stayd
