#include "proxy/port_context.h"

namespace stayd {
namespace {

// Work depends on the given bytes alone, never on where they first differ from the secret.
bool same_secret(std::string_view secret, std::string_view given) {
  unsigned diff = secret.size() == given.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    diff |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected);
  }
  return diff == 0;
}

}  // namespace

bool PortAuth::accepts(std::string_view user, std::string_view given) const {
  bool ok =
      user == "default" && (!required() || (!password.empty() && same_secret(password, given)));
  for (const auto& [name, secret] : users) {
    const bool matches = same_secret(secret, given);
    ok = ok || (name == user && matches);
  }
  return ok;
}

}  // namespace stayd
