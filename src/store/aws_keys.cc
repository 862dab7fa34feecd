#include "store/aws_keys.h"

#include <fmt/format.h>

#include "base/small_file.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxFileBytes = 256u << 10;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

AwsKeySource aws_key_source(const std::map<std::string, std::string>& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  AwsKeySource source;
  source.keys = {value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"),
                 value("AWS_SESSION_TOKEN")};
  source.file = value("AWS_SHARED_CREDENTIALS_FILE");
  if (source.file.empty()) source.file = value("HOME") + "/.aws/credentials";
  source.profile = value("AWS_PROFILE");
  if (source.profile.empty()) source.profile = "default";
  return source;
}

Result<AwsKeys> find_aws_keys(const AwsKeySource& source) {
  if (!source.keys.id.empty() && !source.keys.secret.empty()) return source.keys;
  const auto text = read_small_file(source.file, kMaxFileBytes);
  if (!text) {
    return make_error(Errc::invalid,
                      fmt::format("no AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, and {}",
                                  text.error().message));
  }
  auto keys = keys_of_profile(*text, source.profile);
  if (keys) return keys;
  return make_error(Errc::invalid, fmt::format("{}: {}", source.file, keys.error().message));
}

Result<AwsKeys> keys_of_profile(std::string_view text, std::string_view profile) {
  AwsKeys keys;
  bool inside = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with('[')) {
      inside = line.ends_with(']') && trimmed(line.substr(1, line.size() - 2)) == profile;
    }
    const auto equals = line.find('=');
    if (!inside || line.starts_with('#') || equals == std::string_view::npos) continue;
    const auto name = trimmed(line.substr(0, equals));
    const std::string value(trimmed(line.substr(equals + 1)));
    if (name == "aws_access_key_id") keys.id = value;
    if (name == "aws_secret_access_key") keys.secret = value;
    if (name == "aws_session_token") keys.token = value;
  }
  if (!keys.id.empty() && !keys.secret.empty()) return keys;
  return make_error(Errc::invalid, fmt::format("no keys for the profile \"{}\"", profile));
}

}  // namespace stayd
