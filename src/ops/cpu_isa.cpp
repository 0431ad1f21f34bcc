#include "ops/cpu_isa.h"

#include <cstdlib>
#include <string_view>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::ops {
namespace {

Isa best_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return Isa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2")) {
    return Isa::kAvx2;
  }
#endif
  return Isa::kBaseline;
}

Isa chosen_isa() {
  const Isa best = best_isa();
  const char* wish = std::getenv("VIM_CPU_ISA");
  const std::string_view name = wish != nullptr ? wish : "";
  Isa wished = best;
  if (name == "baseline") {
    wished = Isa::kBaseline;
  } else if (name == "avx2") {
    wished = Isa::kAvx2;
  } else if (!name.empty() && name != "avx512") {
    throw UsageError(concat("VIM_CPU_ISA: expected baseline, avx2 or avx512, got '", name, "'"));
  }
  return wished < best ? wished : best;
}

}  // namespace

Isa cpu_isa() {
  static const Isa isa = chosen_isa();
  return isa;
}

}  // namespace vim::ops
