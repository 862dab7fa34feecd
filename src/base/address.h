// The address of a host, without a name: IPv4 or IPv6, with a port where one is set; or the path of
// a unix socket. A plain value; pure.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace stayd {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  Address with_port(std::uint16_t port) const;
  std::uint16_t port() const;                  // 0 of a unix socket
  bool same_host(const Address& other) const;  // whatever the port
  std::string host_text() const;               // "10.0.0.1", "fe80::1"; "" of a unix socket
  // The address that a text like "10.0.0.1", "::1" or "[::1]" stands for; size 0: it is a name.
  static Address numeric(const std::string& text);
};
using Addresses = std::vector<Address>;
bool among(const Addresses& addresses, const Address& one);  // by its host

}  // namespace stayd
