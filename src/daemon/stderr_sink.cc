// The only file that knows spdlog.
#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "daemon/log.h"

namespace stayd {

namespace {

constexpr std::size_t kQueueLines = 8'192;

class StderrSink : public LogSink {
 public:
  StderrSink()
      : pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        logger_(std::make_shared<spdlog::async_logger>(
            "stayd", std::make_shared<spdlog::sinks::stderr_color_sink_st>(), pool_,
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_pattern("%^%v%$");
    logger_->set_level(spdlog::level::trace);
    logger_->flush_on(spdlog::level::trace);
  }
  // Every line still queued is written before the pool ends.
  ~StderrSink() override { logger_->flush(); }

  void write(Severity severity, std::string_view line) override {
    static constexpr spdlog::level::level_enum kLevels[] = {
        spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    logger_->log(kLevels[static_cast<int>(severity)],
                 spdlog::string_view_t(line.data(), line.size()));
  }
  void flush() override { logger_->flush(); }

 private:
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

std::unique_ptr<LogSink> make_stderr_sink() {
  return std::make_unique<StderrSink>();
}

}  // namespace stayd
