#include "store/aws_signature.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/sha.h>

#include <ctime>

#include "base/hex.h"
#include "store/seal.h"

namespace stayd {

namespace {

constexpr const char* kAlgorithm = "AWS4-HMAC-SHA256";

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

// When, for what, and by whom something is signed.
class Signer {
 public:
  Signer(std::string_view region, std::string_view service, const AwsKeys& keys,
         std::int64_t wall_ms)
      : time(fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(wall_ms / 1'000))),
        scope(fmt::format("{}/{}/{}/aws4_request", time.substr(0, 8), region, service)),
        key_("AWS4" + keys.secret) {
    for (const std::string_view part :
         {std::string_view(time).substr(0, 8), region, service, std::string_view("aws4_request")}) {
      key_ = hmac_sha256(key_, {part});
    }
  }

  std::string sign(std::string_view canonical_request) const {
    const std::string text =
        fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, sha256_hex(canonical_request));
    return to_hex(hmac_sha256(key_, {text}));
  }

  const std::string time, scope;

 private:
  std::string key_;
};

}  // namespace

std::string presign(const PresignedRequest& request, const AwsKeys& keys, std::int64_t wall_ms) {
  const Signer signer(request.region, request.service, keys, wall_ms);
  auto query = request.query;
  query["X-Amz-Algorithm"] = kAlgorithm;
  query["X-Amz-Credential"] = fmt::format("{}/{}", keys.id, signer.scope);
  query["X-Amz-Date"] = signer.time;
  query["X-Amz-Expires"] = std::to_string(request.expires_s);
  if (!keys.token.empty()) query["X-Amz-Security-Token"] = keys.token;
  query["X-Amz-SignedHeaders"] = "host";
  std::map<std::string, std::string> in_order;  // of the encoded names
  for (const auto& [name, value] : query) in_order[encoded(name)] = encoded(value);
  std::string text;
  for (const auto& [name, value] : in_order) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  }
  const std::string signature = signer.sign(
      fmt::format("GET\n/\n{}\nhost:{}\n\nhost\n{}", text, request.host, sha256_hex("")));
  return fmt::format("{}/?{}&X-Amz-Signature={}", request.host, text, signature);
}

std::map<std::string, std::string> sign_post(const SignedPost& request, const AwsKeys& keys,
                                             std::int64_t wall_ms) {
  const Signer signer(request.region, request.service, keys, wall_ms);
  std::map<std::string, std::string> out = request.headers;
  out["x-amz-date"] = signer.time;
  if (!keys.token.empty()) out["x-amz-security-token"] = keys.token;
  std::string lines, names;
  for (const auto& [name, value] : out) {
    lines += fmt::format("{}:{}\n", name, value);
    names += fmt::format("{}{}", names.empty() ? "" : ";", name);
  }
  const std::string signature =
      signer.sign(fmt::format("POST\n/\n\n{}\n{}\n{}", lines, names, sha256_hex(request.body)));
  out["authorization"] = fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}",
                                     kAlgorithm, keys.id, signer.scope, names, signature);
  return out;
}

}  // namespace stayd
