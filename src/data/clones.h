// Functions that are compiled for AVX2 too; which one runs is chosen when the program starts.
#pragma once

// Sanitizers are not up at that moment.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VIM_SANITIZED
#elif defined(__has_feature)  // clang's way to tell
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VIM_SANITIZED
#endif
#endif

#if defined(__x86_64__) && !defined(VIM_SANITIZED)
#define VIM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define VIM_CLONES
#endif
