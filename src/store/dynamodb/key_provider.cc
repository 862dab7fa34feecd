#include "store/dynamodb/key_provider.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "base/small_file.h"

namespace stayd::dynamo {
namespace {

namespace json = boost::json;

constexpr long kConnectMs = 1'000;  // where there is no such agent, nobody answers
constexpr long kAskMs = 2'000;
constexpr std::size_t kMaxAnswerBytes = 64 << 10;
constexpr const char* kContainer = "http://169.254.170.2";
constexpr const char* kInstance = "http://169.254.169.254";

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* out) {
  std::string& text = *static_cast<std::string*>(out);
  if (text.size() + size * count > kMaxAnswerBytes) return 0;
  text.append(data, size * count);
  return size * count;
}

Result<std::string> ask(const char* method, const std::string& url,
                        const std::vector<std::string>& headers) {
  const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
  curl_slist* list = nullptr;
  for (const std::string& header : headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned(list, curl_slist_free_all);
  std::string out;
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &out);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kAskMs);
  const CURLcode code = curl_easy_perform(easy.get());
  if (code != CURLE_OK) {
    return make_error(Errc::invalid, fmt::format("{}: {}", url, curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return out;
  return make_error(Errc::invalid, fmt::format("{}: HTTP {}", url, status));
}

// Credentials go over plain HTTP to this machine and to the agents' own addresses only.
bool may_ask(std::string_view uri) {
  if (uri.starts_with("https://")) return true;
  for (const std::string_view host :
       {"http://127.0.0.1", "http://localhost", "http://[::1]", "http://169.254.170.2",
        "http://169.254.170.23", "http://[fd00:ec2::23]"}) {
    if (!uri.starts_with(host)) continue;
    std::string_view rest = uri.substr(host.size());
    if (rest.starts_with(':'))
      rest.remove_prefix(std::min(rest.find_first_not_of("0123456789", 1), rest.size()));
    if (rest.empty() || rest.front() == '/') return true;  // else this is a user's name, "...@host"
  }
  return false;
}

std::string text_at(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

Result<AwsKeys> keys_of_json(std::string_view text, std::int64_t& expires_ms) {
  boost::system::error_code problem;
  const json::value value = json::parse(text, problem);
  if (problem || !value.is_object()) {
    return make_error(Errc::invalid, "the answer is no JSON object");
  }
  const json::object& object = value.get_object();
  AwsKeys out{text_at(object, "AccessKeyId"), text_at(object, "SecretAccessKey"),
              text_at(object, "Token")};
  if (out.id.empty() || out.secret.empty()) {
    return make_error(Errc::invalid, "the answer holds no AccessKeyId with SecretAccessKey");
  }
  expires_ms = 0;
  const std::string until = text_at(object, "Expiration");
  if (until.empty()) return out;
  std::tm time{};
  if (::strptime(until.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) {
    return make_error(Errc::invalid, "the answer's Expiration is no time");
  }
  expires_ms = static_cast<std::int64_t>(::timegm(&time)) * 1000;
  return out;
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> out;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view text(*one);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string KeyProvider::variable(const char* name) const {
  const auto found = environment_.find(name);
  return found != environment_.end() ? found->second : std::string();
}

bool KeyProvider::is_due(Now now) const {
  return expires_ms_ != 0 && now.wall_ms > expires_ms_ - kRenewMs;
}

Result<AwsKeys> KeyProvider::get(Now now) {
  if (!keys_.id.empty() && expires_ms_ != 0 && !is_due(now)) return keys_;
  expires_ms_ = 0;
  AwsKeySource source = aws_key_source(environment_);
  if (!profile_.empty()) {
    source.keys = {};
    source.profile = profile_;
  }
  Result<AwsKeys> found = find_aws_keys(source);
  std::string tried = found ? "" : found.error().message;
  if (!found && profile_.empty()) {
    found = of_container();
    if (!found) tried += "; " + found.error().message;
  }
  if (!found && profile_.empty()) {
    found = of_instance();
    if (!found) tried += "; " + found.error().message;
  }
  if (!found) return make_error(Errc::invalid, "no AWS credentials: " + tried);
  keys_ = *found;
  return found;
}

Result<AwsKeys> KeyProvider::of_container() {
  const std::string relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string uri =
      relative.empty() ? variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") : kContainer + relative;
  if (uri.empty()) return make_error(Errc::invalid, "no container's");
  if (!may_ask(uri)) {
    return make_error(Errc::invalid,
                      "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor this machine's");
  }
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    Result<std::string> text = read_small_file(file, kMaxAnswerBytes);
    if (!text) return text.error();
    token = text->substr(0, text->find_first_of("\r\n"));
  }
  const Result<std::string> text =
      ask("GET", uri,
          token.empty() ? std::vector<std::string>() : std::vector{"Authorization: " + token});
  if (!text) return text.error();
  Result<AwsKeys> keys = keys_of_json(*text, expires_ms_);
  if (!keys) return make_error(Errc::invalid, fmt::format("{}: {}", uri, keys.error().message));
  return keys;
}

Result<AwsKeys> KeyProvider::of_instance() {
  if (variable("AWS_EC2_METADATA_DISABLED") == "true") {
    return make_error(Errc::invalid, "the instance's are disabled");
  }
  std::string at = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (at.empty()) at = kInstance;
  while (at.ends_with('/')) at.pop_back();
  const Result<std::string> token =
      ask("PUT", at + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds: 21600"});
  if (!token) return token.error();
  const std::vector<std::string> headers{"X-aws-ec2-metadata-token: " + *token};
  const std::string folder = at + "/latest/meta-data/iam/security-credentials/";
  const Result<std::string> role = ask("GET", folder, headers);
  if (!role) return role.error();
  const Result<std::string> text = ask("GET", folder + role->substr(0, role->find('\n')), headers);
  if (!text) return text.error();
  Result<AwsKeys> keys = keys_of_json(*text, expires_ms_);
  if (!keys) return make_error(Errc::invalid, fmt::format("{}: {}", folder, keys.error().message));
  return keys;
}

}  // namespace stayd::dynamo
