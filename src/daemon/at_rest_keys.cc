#include "daemon/at_rest_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <utility>

#include "base/small_file.h"
#include "daemon/password_command.h"
#include "store/ledger/reader.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxFileBytes = 4 << 10;

}  // namespace

AtRestKeys::~AtRestKeys() {
  end_command();
}

void AtRestKeys::end_command() {
  ++*asked_;
  if (!thread_.joinable()) return;
  cancel_.set();
  thread_.join();
  cancel_.clear();
}

Result<AtRestOptions> AtRestKeys::read(const AtRestConfig& config, int cancel_fd) {
  AtRestOptions out;
  out.compress = config.compression == "zstd";
  Result<std::string> text = config.encryption_key;
  std::string_view name = "encryption_key";
  if (!config.encryption_key_file.empty()) {
    name = "encryption_key_file";
    text = read_small_file(config.encryption_key_file, kMaxFileBytes);
  } else if (!config.encryption_key_command.empty()) {
    name = "encryption_key_command";
    PasswordCommandLimits limits;
    limits.cancel_fd = cancel_fd;
    text = run_password_command(config.encryption_key_command, limits);
  } else if (text->empty()) {
    return out;
  }
  out.setting = fmt::format("[at_rest] {}", name);
  const auto wrong = [&out](const Error& error) {
    return make_error(error.code, fmt::format("{}: {}", out.setting, error.message));
  };
  if (!text) return wrong(text.error());
  auto keys = parse_master_keys(*text);
  OPENSSL_cleanse(text->data(), text->size());
  if (!keys) return wrong(keys.error());
  out.keys = std::move(*keys);
  return out;
}

void AtRestKeys::read_again(const AtRestConfig& config, Done done) {
  end_command();  // what it gives would be older
  if (config.encryption_key_command.empty()) return done(read(config));
  thread_ = std::thread([this, config, asked = asked_, ask = *asked_, done = std::move(done)] {
    loop_.post([asked, ask, done, result = read(config, cancel_.fd())] {
      if (*asked == ask) done(result);
    });
  });
}

std::optional<Finding> check_at_rest(const Config& config) {
  constexpr const char* kSubject = "at rest";
  const auto at_rest = AtRestKeys::read(config.at_rest);
  if (!at_rest) return Finding{Finding::Level::problem, kSubject, at_rest.error().message};
  const auto reader = open_reader(config.ledger.path, &*at_rest);
  if (!reader && reader.error().code != Errc::not_found) {
    return Finding{Finding::Level::problem, kSubject, reader.error().message};
  }
  if (at_rest->keys.empty()) return std::nullopt;
  const auto sealed_under = reader ? (*reader)->master_key() : Result<std::string>(std::string());
  if (!sealed_under)
    return Finding{Finding::Level::problem, kSubject, sealed_under.error().message};
  struct stat info{};
  const std::string& file = config.at_rest.encryption_key_file;
  if (!file.empty() && ::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
    return Finding{Finding::Level::advice, kSubject,
                   fmt::format("every user of this host may read {}: chmod 0600", file)};
  }
  const std::string master = master_key_id(at_rest->keys.front());
  const std::string now =
      *sealed_under == master ? ""
      : !reader               ? " from the next start on; there is no ledger yet"
      : sealed_under->empty()
          ? " from the next start or SIGHUP on; the ledger is in clear"
          : fmt::format(" from the next start or SIGHUP on; it is {} now", *sealed_under);
  return Finding{Finding::Level::good, kSubject,
                 fmt::format("values are encrypted under the master key {}{}", master, now)};
}

}  // namespace stayd
