#include "net/tls_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

namespace stayd {

namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kWarnDays[] = {1, 7, 30};

// Changes when one of the files does.
std::string stamp_of(const TlsOptions& options) {
  std::string out;
  for (const auto* file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    struct stat info{};
    if (file->empty() || ::stat(file->c_str(), &info) != 0) info = {};
    out += fmt::format("{}.{} {} {};", info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino,
                       info.st_size);
  }
  return out;
}

}  // namespace

// What has ended already is told too.
void CertificateWatch::warn(std::string_view whose, std::int64_t wall_ms, EventSink& log) {
  if (not_after_s == 0) return;
  const std::int64_t left_s = not_after_s - wall_ms / 1'000;
  for (const std::int64_t days : kWarnDays) {
    if (left_s > days * kDayS) continue;
    if (std::exchange(told_days, days) == days) return;
    log.on_event({Severity::warning,
                  "certificate_expires",
                  left_s <= 0 ? fmt::format("{} has expired", whose)
                              : fmt::format("{} expires in {} h", whose, left_s / 3'600),
                  {}});
    return;
  }
  told_days = 0;
}

Result<void> TlsFiles::start(const TlsOptions& options) {
  seen_ = stamp_of(options);
  auto loaded = TlsContext::load(role_, options);
  if (!loaded) return loaded.error();
  context_ = std::move(*loaded);
  own_.not_after_s = context_->not_after_s();
  return {};
}

void TlsFiles::refresh() {
  const TlsOptions options = context_->options();
  auto seen = stamp_of(options);
  if (seen == seen_) return;
  seen_ = std::move(seen);
  auto loaded = TlsContext::load(role_, options);
  if (!loaded) {
    log_.on_event({Severity::error,
                   "tls_files_unreadable",
                   loaded.error().message + ": what they said before stays in use",
                   {}});
    return;
  }
  context_ = std::move(*loaded);
  own_ = {context_->not_after_s(), 0};
  log_.on_event(
      {Severity::info, "tls_files_read", "the changed TLS files are used from now on", {}});
}

}  // namespace stayd
