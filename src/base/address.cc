#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace stayd {

Address Address::with_port(std::uint16_t port) const {
  Address out = *this;
  if (storage.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&out.storage)->sin_port = htons(port);
  } else if (storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&out.storage)->sin6_port = htons(port);
  }
  return out;
}

std::uint16_t Address::port() const {
  switch (storage.ss_family) {
    case AF_INET:
      return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
    default:
      return 0;
  }
}

bool Address::same_host(const Address& other) const {
  if (storage.ss_family != other.storage.ss_family) return false;
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  const auto* other4 = reinterpret_cast<const sockaddr_in*>(&other.storage);
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  const auto* other6 = reinterpret_cast<const sockaddr_in6*>(&other.storage);
  switch (storage.ss_family) {
    case AF_INET:
      return v4->sin_addr.s_addr == other4->sin_addr.s_addr;
    case AF_INET6:
      return v6->sin6_scope_id == other6->sin6_scope_id &&
             std::memcmp(&v6->sin6_addr, &other6->sin6_addr, sizeof v6->sin6_addr) == 0;
    default:
      return false;
  }
}

std::string Address::host_text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  }
  return text;
}

Address Address::numeric(const std::string& text) {
  Address out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    out.size = sizeof *v4;
    return out;
  }
  const bool bracketed = text.size() > 1 && text.front() == '[' && text.back() == ']';
  const std::string bare = bracketed ? text.substr(1, text.size() - 2) : text;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET6, bare.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    out.size = sizeof *v6;
  }
  return out;
}

bool among(const Addresses& addresses, const Address& one) {
  return std::ranges::any_of(addresses, [&](const Address& a) { return a.same_host(one); });
}

}  // namespace stayd
