// The wish to stop, from outside.
#pragma once

namespace vim {

// From here on the first SIGINT or SIGTERM sets the stop flag; the second ends the process at once,
// with 128 + signal.
void watch_stop_signals();

// The signal that asked to stop, or 0.
int stop_requested();

}  // namespace vim
