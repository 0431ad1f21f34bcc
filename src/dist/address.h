// Which of this machine's addresses others can reach it at.
#pragma once

#include <string>

namespace vim::dist {

// This machine's own address on the way to `host`, in digits. Empty where the way does not leave
// the machine, or there is none. Nothing is sent.
std::string address_towards(const std::string& host);

}  // namespace vim::dist
