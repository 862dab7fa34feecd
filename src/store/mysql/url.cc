#include "store/mysql/url.h"

#include <fmt/format.h>

#include "store/backup/cursor_text.h"

namespace stayd::mysql {
namespace {

Error wrong(std::string_view what) {
  return make_error(Errc::invalid, fmt::format("backup: the url: {}", what));
}

Result<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto byte = from_hex_text(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1 || *byte == std::string_view("\0", 1)) {
      return wrong("\"%\" is not followed by two hexadecimal digits of a byte");
    }
    out += *byte;
    i += 2;
  }
  return out;
}

Result<void> set(std::string& field, std::string_view text) {
  Result<std::string> value = decoded(text);
  if (!value) return value.error();
  field = std::move(*value);
  return {};
}

// Whatever stands in front of the first `at`, which goes too; empty where there is none.
std::string_view take_until(std::string_view& text, char at) {
  const std::size_t end = text.find(at);
  if (end == std::string_view::npos) return {};
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end + 1);
  return out;
}

Result<void> set_user(Target& out, std::string_view text) {
  const std::size_t colon = text.find(':');
  const Result<void> user = set(out.user, text.substr(0, colon));
  if (!user || colon == std::string_view::npos) return user;
  return set(out.password, text.substr(colon + 1));
}

Result<void> set_host(Target& out, std::string_view text) {
  if (text.starts_with('[')) {  // IPv6
    text.remove_prefix(1);
    out.host = take_until(text, ']');
    if (out.host.empty()) return wrong("\"[\" without an address and \"]\"");
    if (text.empty()) return {};
    if (!text.starts_with(':')) return wrong("\"]\" is followed by neither \":PORT\" nor \"/\"");
  } else {
    const Result<void> host = set(out.host, text.substr(0, text.find(':')));
    if (!host || text.find(':') == std::string_view::npos) return host;
    text.remove_prefix(text.find(':'));
  }
  const auto port = parsed_number<std::uint16_t>(text.substr(1));
  if (!port || *port == 0) return wrong("the port is no number from 1 to 65535");
  out.port = *port;
  return {};
}

Result<void> set_tls(Target& out, std::string_view text) {
  if (text == "disabled") {
    out.tls = Tls::disabled;
  } else if (text == "required") {
    out.tls = Tls::required;
  } else if (text == "verify_identity") {
    out.tls = Tls::verify_identity;
  } else {
    return wrong("ssl-mode is \"disabled\", \"required\" or \"verify_identity\"");
  }
  return {};
}

Result<void> set_option(Target& out, std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : text.substr(equals + 1);
  if (name == "ssl-mode") return set_tls(out, value);
  if (name == "ssl-ca") return set(out.ca, value);
  if (name == "ssl-cert") return set(out.certificate, value);
  if (name == "ssl-key") return set(out.key, value);
  if (name == "socket") return set(out.socket, value);
  // It is not shown: a piece of a password may have come to stand here.
  return wrong("an option is none of these options: ssl-mode, ssl-ca, ssl-cert, ssl-key, socket");
}

Result<void> set_options(Target& out, std::string_view text) {
  for (const std::string_view one : split_text(text, '&')) {
    const Result<void> set = set_option(out, one);
    if (!set) return set;
  }
  return {};
}

}  // namespace

bool is_url(std::string_view text) {
  return text.starts_with("mysql://") || text.starts_with("mariadb://");
}

Result<Target> parse_url(std::string_view text) {
  if (!is_url(text)) return wrong("it begins with neither \"mysql://\" nor \"mariadb://\"");
  text.remove_prefix(text.find("//") + 2);
  Target out;
  // Of whatever else a password holds, nothing ends it.
  const std::size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    const Result<void> user = set_user(out, text.substr(0, at));
    if (!user) return user.error();
    text.remove_prefix(at + 1);
  }
  const std::size_t question = text.find('?');
  if (question != std::string_view::npos) {
    const Result<void> options = set_options(out, text.substr(question + 1));
    if (!options) return options.error();
    text = text.substr(0, question);
  }
  std::string_view path = text;
  const std::string_view authority = take_until(path, '/');
  if (text.find('/') == std::string_view::npos || path.empty())
    return wrong("it names no database");
  const Result<void> database = set(out.database, path);
  if (!database) return database.error();
  if (!authority.empty()) {
    const Result<void> there = set_host(out, authority);
    if (!there) return there.error();
  }
  if (out.host.empty() == out.socket.empty()) return wrong("it names either a host or a socket");
  if (!out.socket.empty()) out.tls = Tls::disabled;
  return out;
}

}  // namespace stayd::mysql
