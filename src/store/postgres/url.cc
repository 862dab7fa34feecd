#include "store/postgres/url.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>

namespace stayd {
namespace {

std::string_view take_item(std::string_view& list) {
  const std::string_view item = list.substr(0, list.find(','));
  list.remove_prefix(std::min(item.size() + 1, list.size()));
  return item;
}

// libpq keeps hosts and ports apart: "a,b" and "5433,".
std::string with_ports(std::string_view hosts, std::string_view ports) {
  std::string out;
  do {
    const std::string_view host = take_item(hosts), port = take_item(ports);
    out += fmt::format("{}{}{}{}", out.empty() ? "" : ",", host, port.empty() ? "" : ":", port);
  } while (!hosts.empty());
  return out;
}

}  // namespace

// libpq would take anything else for the name of a database.
Result<void> check_postgres_url(const std::string& url) {
  if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return {};
  return make_error(Errc::invalid,
                    "backup: the url must begin with \"postgresql://\", \"mysql://\" or "
                    "\"dynamodb://\"");
}

Result<std::string> postgres_place(const std::string& url) {
  if (const auto good = check_postgres_url(url); !good) return good.error();
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(url.c_str(), &message), PQconninfoFree);
  if (!options) {
    const std::unique_ptr<char, decltype(&PQfreemem)> owned(message, PQfreemem);
    // Behind a colon stands a piece of the URL.
    const std::string_view why = message == nullptr ? "it cannot be read" : message;
    return make_error(Errc::invalid,
                      fmt::format("backup: the url: {}", why.substr(0, why.find(": \""))));
  }
  std::map<std::string_view, std::string_view> given;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (one->val != nullptr) given[one->keyword] = one->val;
  }
  return fmt::format("postgresql://{}/{}", with_ports(given["host"], given["port"]),
                     given["dbname"]);
}

}  // namespace stayd
