// Functions that are compiled for AVX2 too; which one runs is chosen when the program starts.
#pragma once

// Sanitizers are not up at that moment.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VIM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define VIM_CLONES
#endif
