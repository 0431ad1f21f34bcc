// Work on many files at once, with progress.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace vim::data {

// Calls work(i) for 0 <= i < count in `workers` threads; shows a progress bar that calls the work
// `what`. Ends early, with Stopped, on a stop request; an exception of `work` ends it too.
void for_each_in_parallel(int64_t count, int64_t workers, const std::string& what,
                          const std::function<void(int64_t)>& work);

}  // namespace vim::data
