#include "daemon/at_rest_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "daemon/password_command.h"
#include "store/ledger/reader.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxFileBytes = 4 << 10;

Result<std::string> read_key_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(Errc::invalid, fmt::format("{}: {}", path, std::strerror(errno)));
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return make_error(Errc::invalid, fmt::format("{}: cannot be read", path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() <= kMaxFileBytes) return text;
  return make_error(Errc::invalid, fmt::format("{}: larger than 4KB", path));
}

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
    text = read_key_file(config.encryption_key_file);
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
  struct stat info{};
  const std::string& file = config.at_rest.encryption_key_file;
  if (!file.empty() && ::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
    return Finding{Finding::Level::advice, kSubject,
                   fmt::format("every user of this host may read {}: chmod 0600", file)};
  }
  return Finding{Finding::Level::good, kSubject,
                 fmt::format("values are encrypted under the master key {}",
                             master_key_id(at_rest->keys.front()))};
}

}  // namespace stayd
