#include "store/dynamodb/url.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/backup/cursor_text.h"

namespace stayd::dynamo {
namespace {

constexpr std::string_view kScheme = "dynamodb://";

Error wrong(std::string_view what) {
  return make_error(Errc::invalid, fmt::format("backup: the url: {}", what));
}

bool is_name(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [more](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

Result<void> set_endpoint(Target& out, std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const std::string_view host = text.substr(scheme.size());
    if (!is_name(host, ".-:[]")) break;
    out.endpoint = text;
    out.host = host;
    return {};
  }
  return wrong("the endpoint is no \"http://HOST:PORT\" or \"https://HOST\"");
}

Result<void> set_options(Target& out, std::string_view text) {
  for (const std::string_view one : split_text(text, '&')) {
    const std::size_t equals = std::min(one.find('='), one.size());
    const std::string_view name = one.substr(0, equals);
    const std::string_view value = one.substr(std::min(equals + 1, one.size()));
    if (name == "profile" && !value.empty()) {
      out.profile = value;
    } else if (name == "endpoint") {
      const Result<void> set = set_endpoint(out, value);
      if (!set) return set;
    } else {
      return wrong(fmt::format("\"{}\" is none of these options: endpoint, profile", one));
    }
  }
  return {};
}

}  // namespace

bool is_url(std::string_view text) {
  return text.starts_with(kScheme);
}

Result<Target> parse_url(std::string_view text) {
  if (!is_url(text)) return wrong("it does not begin with \"dynamodb://\"");
  text.remove_prefix(kScheme.size());
  Target out;
  const std::size_t question = std::min(text.find('?'), text.size());
  const std::string_view place = text.substr(0, question);
  const std::size_t slash = std::min(place.find('/'), place.size());
  out.region = place.substr(0, slash);
  out.table = place.substr(std::min(slash + 1, place.size()));
  if (!is_name(out.region, "-")) return wrong("it names no region: \"dynamodb://REGION/TABLE\"");
  if (!is_name(out.table, "-_.") || out.table.size() < 3 || out.table.size() > 255) {
    return wrong("it names no table: 3 to 255 letters, digits, \"-\", \"_\" or \".\"");
  }
  out.host = fmt::format("dynamodb.{}.amazonaws.com", out.region);
  if (out.region.starts_with("cn-")) out.host += ".cn";
  out.endpoint = "https://" + out.host;
  if (question < text.size()) {
    const Result<void> options = set_options(out, text.substr(question + 1));
    if (!options) return options.error();
  }
  return out;
}

}  // namespace stayd::dynamo
