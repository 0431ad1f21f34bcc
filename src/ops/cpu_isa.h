// The choice, at run time, among kernels compiled for several instruction sets (CMakeLists.txt).
#pragma once

namespace vim::ops {

enum class Isa { kBaseline, kAvx2, kAvx512 };

// The best that this processor has, or less where the environment variable VIM_CPU_ISA says `avx2`
// or `baseline`; decided once.
Isa cpu_isa();

#if defined(__x86_64__)
#define VIM_DECLARE_KERNELS(type, name) \
  namespace baseline {                  \
  extern const type name;               \
  }                                     \
  namespace avx2 {                      \
  extern const type name;               \
  }                                     \
  namespace avx512 {                    \
  extern const type name;               \
  }
#define VIM_CHOOSE_KERNELS(name)                                    \
  (::vim::ops::cpu_isa() == ::vim::ops::Isa::kAvx512 ? avx512::name \
   : ::vim::ops::cpu_isa() == ::vim::ops::Isa::kAvx2 ? avx2::name   \
                                                     : baseline::name)
#else
#define VIM_DECLARE_KERNELS(type, name) \
  namespace baseline {                  \
  extern const type name;               \
  }
#define VIM_CHOOSE_KERNELS(name) baseline::name
#endif

}  // namespace vim::ops
