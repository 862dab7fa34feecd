#include "store/postgres/url.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <map>
#include <memory>
#include <string_view>

namespace stayd {

Result<std::string> postgres_place(const std::string& url) {
  // libpq would take anything else for the name of a database.
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return make_error(Errc::invalid,
                      "backup: the url must begin with \"postgresql://\" or \"mysql://\"");
  }
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
  return fmt::format("postgresql://{}{}{}/{}", given["host"], given["port"].empty() ? "" : ":",
                     given["port"], given["dbname"]);
}

}  // namespace stayd
