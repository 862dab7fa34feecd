#include "daemon/credentials.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/event_fd.h"
#include "base/small_file.h"
#include "daemon/password_command.h"

namespace stayd {

namespace {

class PasswordFile final : public PasswordSource {
 public:
  PasswordFile(std::string path, Credentials& credentials)
      : path_(std::move(path)), credentials_(credentials) {}

  void look(Now, bool refused) override {
    struct stat info{};
    if (::stat(path_.c_str(), &info) != 0) info = {};
    auto seen = fmt::format("{}.{} {} {}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino,
                            info.st_size);
    if (seen == seen_ && !refused) return;
    seen_ = std::move(seen);
    if (const auto password = read_password_file(path_)) {
      credentials_.offer(*password);
    } else {
      credentials_.fail(password.error().message);
    }
  }

 private:
  const std::string path_;
  Credentials& credentials_;
  std::string seen_;  // what stat() said when it was last read
};

class PasswordCommand final : public PasswordSource {
 public:
  static constexpr std::int64_t kEveryUs = 5'000'000;
  static constexpr std::int64_t kAgainUs = 1'000'000;  // once, when Redis refused its last output

  PasswordCommand(std::vector<std::string> argv, Loop& loop, Credentials& credentials)
      : argv_(std::move(argv)), loop_(loop), credentials_(credentials) {}
  ~PasswordCommand() override {
    *alive_ = false;
    cancel_.set();
    if (thread_.joinable()) thread_.join();
  }

  void look(Now now, bool refused) override {
    if (thread_.joinable()) return;
    const std::int64_t since_us = now.mono_us - started_us_;
    const bool due = since_us >= kEveryUs;
    if (!due && (!refused || asked_again_ || since_us < kAgainUs)) return;
    asked_again_ = !due;
    started_us_ = now.mono_us;
    thread_ = std::thread([this] {
      PasswordCommandLimits limits;
      limits.cancel_fd = cancel_.fd();
      auto result = run_password_command(argv_, limits);
      loop_.post([this, alive = alive_, result = std::move(result)] {
        if (*alive) on_end(result);
      });
    });
  }

 private:
  void on_end(const Result<std::string>& result) {
    thread_.join();
    if (result) {
      credentials_.offer(*result);
    } else {
      credentials_.fail(result.error().message);
    }
  }

  const std::vector<std::string> argv_;
  Loop& loop_;
  Credentials& credentials_;
  EventFd cancel_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // of the loop's thread
  std::thread thread_;
  std::int64_t started_us_ = -kEveryUs;
  bool asked_again_ = false;
};

// ElastiCache's: a token for each connection.
class IamTokens final : public PasswordSource {
 public:
  IamTokens(const RedisConfig& config, Credentials& credentials)
      : user_(config.iam), aws_(config.aws), credentials_(credentials) {
    user_.user = config.target.user;
  }

  void look(Now now, bool) override {
    const auto keys = find_aws_keys(aws_);
    if (!keys) return fail(keys.error().message, now);
    const bool other =
        keys->id != keys_.id || keys->secret != keys_.secret || keys->token != keys_.token;
    keys_ = *keys;
    credentials_.renew(iam_token(user_, keys_, now.wall_ms), other);
    credentials_.recovered();
  }

 private:
  // The last good keys may do.
  void fail(const std::string& why, Now now) {
    if (!keys_.id.empty()) credentials_.renew(iam_token(user_, keys_, now.wall_ms), false);
    credentials_.fail(why);
  }

  IamUser user_;
  const AwsKeySource aws_;
  Credentials& credentials_;
  AwsKeys keys_;
};

// ElastiCache ends connections whose login is 12 h old.
constexpr std::int64_t kIamConnectionLifeMs = 12 * 3'600'000;

std::string setting_of(const RedisConfig& config) {
  if (!config.iam.cache.empty()) return "redis.iam_cache";
  if (!config.password_command.empty()) return "redis.password_command";
  return config.password_file.empty() ? "redis.password" : "redis.password_file";
}

}  // namespace

Result<std::string> read_password_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = 64u << 10;
  Result<std::string> text = read_small_file(path, kMaxBytes);
  if (!text) return text;
  text->resize(std::min(text->size(), text->find_first_of("\r\n")));
  if (text->empty()) return make_error(Errc::invalid, fmt::format("{} is empty", path));
  return text;
}

RedisLogins::RedisLogins(Loop& loop, const RedisConfig& config, EventSink& log, Counters& counters)
    : loop_(loop),
      redis_(config.target.user, log, counters),
      sentinels_(config.sentinel_user, log, counters) {
  reload(config);
}

RedisLogins::~RedisLogins() = default;

std::unique_ptr<PasswordSource> RedisLogins::source_of(const RedisConfig& config) {
  if (!config.iam.cache.empty()) return std::make_unique<IamTokens>(config, redis_);
  if (!config.password_command.empty()) {
    return std::make_unique<PasswordCommand>(config.password_command, loop_, redis_);
  }
  if (config.password_file.empty()) return nullptr;
  return std::make_unique<PasswordFile>(config.password_file, redis_);
}

bool RedisLogins::takes_up(std::string_view key) {
  return key.ends_with("password") || key.ends_with("password_file") ||
         key.ends_with("password_command") || key.starts_with("iam_");
}

void RedisLogins::reload(const RedisConfig& config) {
  redis_source_ = source_of(config);
  redis_.set_source(redis_source_.get(), setting_of(config));
  const bool iam = !config.iam.cache.empty();
  redis_.set_connection_life(iam ? kIamConnectionLifeMs : 0);
  if (config.password_command.empty() && !iam) redis_.offer(config.target.password);
  sentinel_source_.reset();
  if (const auto& file = config.sentinel_password_file; !file.empty()) {
    sentinel_source_ = std::make_unique<PasswordFile>(file, sentinels_);
  }
  sentinels_.set_source(sentinel_source_.get(), sentinel_source_ ? "redis.sentinel_password_file"
                                                                 : "redis.sentinel_password");
  sentinels_.offer(config.sentinel_password);
}

}  // namespace stayd
