// Products of tiles in shared memory by tensor cores, for T = __half and __nv_bfloat16 with sums in
// float: copies into shared memory that nobody waits for, 16 bytes each, and the instructions
// ldmatrix and mma of sm_80. A matrix of 8 x 8 lies in shared memory as rows of 16 bytes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

namespace vim::ops {

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// 16 bytes, or as many zeros where there is nothing; `from` must be a valid address even then.
__device__ inline void copy_16(uint32_t to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from),
               "r"(there ? 16 : 0)
               : "memory");
}
// Copies are waited for in groups; all but the `kLast` last ones are there afterwards.
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}
template <int kLast>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kLast) : "memory");
}

// Four matrices; lane i names row i % 8 of matrix i / 8.
__device__ inline void load_matrices(uint32_t (&to)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// sum [16, 8] += a [16, 16] b [16, 8]. Of the sum a lane has row lane / 4, columns lane % 4 * 2 and
// the next one, and the same of row lane / 4 + 8. The last argument tells the type.
__device__ inline void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                __nv_bfloat16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                __half) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// How rows of 16-bit numbers lie in shared memory: the byte of a row's eighth number after eighth
// number, such that those of eight rows one below the other are in different banks.
template <int kColumns>  // a multiple of 64: the groups of a row change places
struct Swizzled {
  static constexpr int kPitch = kColumns * 2;
  __device__ static int place(int row, int group) {
    return row * kPitch + ((group ^ (row & 7)) << 4);
  }
};
template <int kColumns>  // 16 or 32: rows are further apart
struct Padded {
  static constexpr int kPitch = kColumns * 2 + 16;
  __device__ static int place(int row, int group) { return row * kPitch + group * 16; }
};

// All threads of a block start the copies of kRows rows of kColumns numbers; beyond `rows` and
// `columns` come zeros.
template <class Layout, int kThreads, int kRows, int kColumns, class T>
__device__ void copy_rows(uint32_t to, const T* from, int64_t stride, int64_t rows, int columns) {
  constexpr int kGroups = kColumns / 8, kCopies = kRows * kGroups;
#pragma unroll
  for (int i = 0; i < (kCopies + kThreads - 1) / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads, row = index / kGroups, group = index % kGroups;
    if (kCopies % kThreads != 0 && index >= kCopies) break;
    const bool there = row < rows && group * 8 < columns;
    copy_16(to + Layout::place(row, group), there ? from + row * stride + group * 8 : from, there);
  }
}

}  // namespace vim::ops
