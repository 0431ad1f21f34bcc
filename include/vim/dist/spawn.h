// vim-train --nproc: all ranks of one machine, started by the program itself.
#pragma once

#include <string>
#include <vector>

namespace vim::dist {

// Starts this program `count` times, with `arguments` (the program's name first), as the ranks of a
// world. Forwards what they write, line by line with the rank before it (on standard output only
// where `name_output` says so), and SIGINT, SIGTERM and SIGHUP to all of them. Once one fails, the
// others get a few seconds to end by themselves, which they do with the cause; then they are
// killed. They are killed too where this process is. Returns the exit code, when none is left: that
// of the first rank that failed, 128 + signal for one that was killed.
int run_local_ranks(int count, const std::vector<std::string>& arguments, bool name_output = true);

}  // namespace vim::dist
