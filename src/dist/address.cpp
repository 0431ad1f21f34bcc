#include "dist/address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace vim::dist {
namespace {

// The near end of a datagram socket that was connected to `there`, which is chosen by the routes.
std::string near_end(const addrinfo& there) {
  const int descriptor = socket(there.ai_family, there.ai_socktype | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return "";
  sockaddr_storage here{};
  socklen_t size = sizeof(here);
  auto* generic = reinterpret_cast<sockaddr*>(&here);
  char digits[NI_MAXHOST] = "";
  const bool good =
      connect(descriptor, there.ai_addr, there.ai_addrlen) == 0 &&
      getsockname(descriptor, generic, &size) == 0 &&
      getnameinfo(generic, size, digits, sizeof(digits), nullptr, 0, NI_NUMERICHOST) == 0;
  close(descriptor);
  return good ? digits : "";
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

}  // namespace

std::string address_towards(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), /*service=*/"9", &wanted, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  for (const addrinfo* there = found; there != nullptr; there = there->ai_next) {
    const std::string address = near_end(*there);
    if (!address.empty() && !is_loopback(address)) return address;
  }
  return "";
}

}  // namespace vim::dist
