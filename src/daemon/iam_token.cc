#include "daemon/iam_token.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/sha.h>

#include <ctime>

#include "base/hex.h"
#include "daemon/small_file.h"
#include "store/seal.h"

namespace stayd {

namespace {

constexpr std::size_t kMaxFileBytes = 256u << 10;

std::string sha256_hex(std::string_view text) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return to_hex(out);
}

// RFC 3986: everything but the unreserved characters.
std::string encoded(std::string_view text) {
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::string presign(const PresignedRequest& request, const AwsKeys& keys, std::int64_t wall_ms) {
  const std::string time = fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(wall_ms / 1'000));
  const std::string date = time.substr(0, 8);
  const std::string scope =
      fmt::format("{}/{}/{}/aws4_request", date, request.region, request.service);
  auto query = request.query;
  query["X-Amz-Algorithm"] = "AWS4-HMAC-SHA256";
  query["X-Amz-Credential"] = fmt::format("{}/{}", keys.id, scope);
  query["X-Amz-Date"] = time;
  query["X-Amz-Expires"] = std::to_string(request.expires_s);
  if (!keys.token.empty()) query["X-Amz-Security-Token"] = keys.token;
  query["X-Amz-SignedHeaders"] = "host";
  std::map<std::string, std::string> in_order;  // of the encoded names
  for (const auto& [name, value] : query) in_order[encoded(name)] = encoded(value);
  std::string text;
  for (const auto& [name, value] : in_order) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  }
  const std::string canonical =
      fmt::format("GET\n/\n{}\nhost:{}\n\nhost\n{}", text, request.host, sha256_hex(""));
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, sha256_hex(canonical));
  std::string key = hmac_sha256("AWS4" + keys.secret, {date});
  for (const std::string_view part :
       {std::string_view(request.region), std::string_view(request.service),
        std::string_view("aws4_request")}) {
    key = hmac_sha256(key, {part});
  }
  return fmt::format("{}/?{}&X-Amz-Signature={}", request.host, text,
                     to_hex(hmac_sha256(key, {to_sign})));
}

std::string iam_token(const IamUser& user, const AwsKeys& keys, std::int64_t wall_ms) {
  PresignedRequest request;
  request.host = user.cache;
  request.query = {{"Action", "connect"}, {"User", user.user}};
  if (user.serverless) request.query["ResourceType"] = "ServerlessCache";
  request.region = user.region;
  request.service = "elasticache";
  request.expires_s = kTokenSeconds;
  return presign(request, keys, wall_ms);
}

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
