// Catch2 for tests that include torch. Its logging header has a CHECK of its own, which aborts the
// program and wins where it is included after Catch's; here it comes first.
#pragma once

#if __has_include(<c10/util/Logging.h>)
#include <c10/util/Logging.h>
#undef CHECK
#endif

#include <catch2/catch.hpp>
