// A world of forked processes.
#pragma once

#include <functional>

#include "vim/dist/process_group.h"

namespace vim::test {

// Runs `body` in every rank of a world of `size` processes on this machine. Returns how many
// failed: where `body` throws, which is printed, or returns false. The calling process must not
// have run torch's threads yet, which do not survive a fork, so all of a test's tensors belong into
// ranks.
int failed_ranks(int size, const std::function<bool(dist::ProcessGroup&)>& body,
                 const dist::DistConfig& config = {});

}  // namespace vim::test
