// The forward scan where there are channels enough to fill the GPU.
//
// A warp walks 64 channels of a sample in one direction: a thread has two neighbouring channels
// with their 16 states and 16 decay rates in registers (64 numbers). A block is both directions of
// up to 6 x 64 channels of a sample. Each direction leaves its sum over states in `out` until it
// has come half-way; there the two warps of a group of channels wait for each other, and from there
// on each reads what the other has left, adds, gates and stores the result: z is read once, and no
// sequence is reversed or read twice. Tokens are taken in groups of four. u, delta, z and the
// other's sum are loaded into registers one group ahead; B and C, the same for all channels, lie in
// shared memory as float, four tokens twice (1 KB a warp), where every lane reads the same address.
//
// States and sums are float. In device memory a token and channel costs u, delta, B, C of both
// directions, z and out: 2 x 2 + 2 numbers; what the directions exchange stays in the L2. Training
// adds the sum before the gate and, every kSpacing tokens, 16 states. It is bound by the special
// functions: 18 a direction and one for the gate, at 16 a clock.
#include <algorithm>

#include "ops/selective_scan/cuda_device.cuh"
#include "ops/selective_scan/cuda_launch.h"

namespace vim::ops::scan::cuda {
namespace {

constexpr int kGroup = 4;     // tokens
constexpr int kUnit = 64;     // channels of a warp
constexpr int kMaxUnits = 6;  // of a block
constexpr int kThreads = 2 * kMaxUnits * kWarp;
constexpr int kStaged = 2 * kBlock;  // B and C of a token

template <class T>
struct Args {
  Forward<T> work;
  int units;      // of a block
  int blocks;     // of a sample
  bool wide_B_C;  // four states of B and C can be loaded as one
};

// Where a warp is, and what it walks.
template <class T, bool kPaired, bool kSave>
struct Walker {
  const Args<T>& args;
  const Direction<T>& dir;
  int sample, lane;
  float (*staged)[kGroup][kStaged];
  int second, stored;  // whether the second channel, and whether the first, is one
  int step;            // +1 or -1 token
  int length, groups;
  Lane<const T> u, delta, z, B_C;  // B_C: a quarter of B's or C's states
  Lane<T> out, sum;
  History<T>* checkpoints;
  float2 D, bias;
  float A[2][kBlock], h[2][kBlock];

  struct Loaded {
    Word<T> u[kGroup], delta[kGroup];
    FourStates<T> B_C;
  };

  // The group that the walk comes to as its i-th, and the tokens in it in walking order.
  __device__ int group_at(int i) const { return step > 0 ? i : groups - 1 - i; }
  __device__ int token(int group, int i) const {
    return group * kGroup + (step > 0 ? i : kGroup - 1 - i);
  }

  __device__ void init(int direction, int unit) {
    const Inputs<T>& in = args.work.in;
    length = static_cast<int>(in.length);
    groups = (length + kGroup - 1) / kGroup;
    step = dir.reverse ? -1 : 1;
    const int channels = static_cast<int>(in.channels), state = static_cast<int>(in.state);
    const int first = unit * kUnit + 2 * lane;
    stored = first < channels;
    const int channel = min(first, kPaired ? channels - 2 : channels - 1);
    second = channel + 1 < channels;
    u = {dir.u, sample, channel}, delta = {dir.delta, sample, channel};
    out = {args.work.out, sample, channel}, z = {in.z, sample, channel};
    B_C = {lane & 4 ? dir.C : dir.B, sample, 0};
    if constexpr (kSave) {
      sum = {saved_sum(in, args.work.saved), sample, channel};
      checkpoints =
          static_cast<History<T>*>(args.work.saved) +
          ((direction * in.batch + sample) * checkpoints_of<T>(length) * channels + channel) *
              kBlock;
    }
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float* row = dir.A + static_cast<int64_t>(channel + c * second) * state;
#pragma unroll
      for (int n = 0; n < kBlock; ++n) {
        A[c][n] = n < state ? row[n] * kLog2e : 0.0f;
        h[c][n] = 0.0f;
      }
    }
    const auto pair = [&](const float* from) {
      return from == nullptr ? float2{0, 0} : float2{from[channel], from[channel + second]};
    };
    D = pair(dir.D), bias = pair(dir.delta_bias);
  }

  __device__ void load(int i, Loaded& to) const {
    const int group = group_at(min(i, groups - 1));
    to.B_C.load(B_C.at(min(group * kGroup + lane / 8, length - 1)), lane % 4 * 4,
                static_cast<int>(args.work.in.state), args.wide_B_C);
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      const int t = min(token(group, k), length - 1);
      to.u[k] = load_pair<kPaired>(u.at(t), second);
      to.delta[k] = load_pair<kPaired>(delta.at(t), second);
    }
  }

  __device__ void save_states(int group) {
    constexpr int kApart = kSpacing<T> / kGroup;
    const bool enters =
        step > 0 ? group % kApart == 0 : group % kApart == kApart - 1 || group == groups - 1;
    if (!enters || !stored) return;
    History<T>* to = checkpoints + static_cast<int64_t>(group / kApart) *
                                       static_cast<int>(args.work.in.channels) * kBlock;
    store_states<kBlock>(to, h[0]);
    if (second) store_states<kBlock>(to + kBlock, h[1]);
  }

  // u and the step of the group's tokens; one beyond the end changes no state.
  __device__ void prepare(const Loaded& from, int group, float2* u_of, float2* delta_of) const {
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      u_of[k] = unpack<T>(from.u[k]), delta_of[k] = unpack<T>(from.delta[k]);
      delta_of[k].x += bias.x, delta_of[k].y += bias.y;
    }
    if (args.work.in.delta_softplus) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        delta_of[k] = {softplus(delta_of[k].x), softplus(delta_of[k].y)};
      }
    }
    if (group * kGroup + kGroup <= length) return;
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      if (token(group, k) >= length) delta_of[k] = u_of[k] = {0, 0};
    }
  }

  template <bool kFinish>
  __device__ void walk(int i, const float2* u_of, const float2* delta_of) {
    const Inputs<T>& in = args.work.in;
    const int group = group_at(i);
    // Needed only behind a token's states, so that these loads have time; what the other direction
    // has left is not there earlier.
    Word<T> gates[kGroup], others[kGroup];
    if constexpr (kFinish) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        const int t = min(token(group, k), length - 1);
        if (in.z.data != nullptr) gates[k] = load_pair<kPaired>(z.at(t), second);
        if (in.directions == 2) others[k] = load_pair<kPaired>(out.at(t), second);
      }
    }
    const float* b_c = staged[i & 1][step > 0 ? 0 : kGroup - 1];
    if constexpr (kSave) save_states(group);
#pragma unroll
    for (int k = 0; k < kGroup; ++k, b_c += step * kStaged) {
      const float2 du = {delta_of[k].x * u_of[k].x, delta_of[k].y * u_of[k].y};
      float2 y = {D.x * u_of[k].x, D.y * u_of[k].y};
#pragma unroll
      for (int n = 0; n < kBlock; n += 4) {
        const float4 b4 = *reinterpret_cast<const float4*>(b_c + n);
        const float4 c4 = *reinterpret_cast<const float4*>(b_c + kBlock + n);
        const float b[] = {b4.x, b4.y, b4.z, b4.w}, c[] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float2 power = {delta_of[k].x * A[0][n + j], delta_of[k].y * A[1][n + j]};
          h[0][n + j] = fmaf(exp2_approx(power.x), h[0][n + j], du.x * b[j]);
          h[1][n + j] = fmaf(exp2_approx(power.y), h[1][n + j], du.y * b[j]);
          y.x = fmaf(h[0][n + j], c[j], y.x);
          y.y = fmaf(h[1][n + j], c[j], y.y);
        }
      }
      const int t = token(group, k);
      const bool store = stored && t < length;
      if constexpr (kFinish) {
        if (in.directions == 2) {
          const float2 other = unpack<T>(others[k]);
          y.x += other.x, y.y += other.y;
        }
        if (kSave && in.z.data != nullptr && store) store_pair<kPaired>(sum.at(t), y, second);
        y.x *= in.scale, y.y *= in.scale;
        if (in.z.data != nullptr) {
          const float2 gate = unpack<T>(gates[k]);
          y.x *= silu<T>(gate.x), y.y *= silu<T>(gate.y);
        }
      }
      if (store) store_pair<kPaired>(out.at(t), y, second);
    }
  }

  // The groups of the walk from `begin` to `end`; `next` holds the first of them, and then the one
  // after the last.
  template <bool kFinish>
  __device__ void walk_all(int begin, int end, Loaded& next) {
    for (int i = begin; i < end; ++i) {
      float2 u_of[kGroup], delta_of[kGroup];
      *reinterpret_cast<float4*>(&staged[i & 1][lane / 8][lane % 8 * 4]) = next.B_C.numbers();
      prepare(next, group_at(i), u_of, delta_of);
      load(i + 1, next);
      __syncwarp();
      walk<kFinish>(i, u_of, delta_of);
    }
  }
};

template <class T, bool kPaired, bool kSave>
__global__ void __launch_bounds__(kThreads, 1)
    forward_kernel(const __grid_constant__ Args<T> args) {
  __shared__ __align__(16) float staged[2 * kMaxUnits][2][kGroup][kStaged];
  const Inputs<T>& in = args.work.in;
  const int warp = threadIdx.x / kWarp;
  const int direction = warp / args.units;
  const int unit = blockIdx.x % args.blocks * args.units + warp % args.units;
  if (unit * kUnit >= in.channels) return;  // and so does the other direction's warp

  Walker<T, kPaired, kSave> walker{args, in.direction[direction],
                                   static_cast<int>(blockIdx.x / args.blocks),
                                   static_cast<int>(threadIdx.x % kWarp), staged[warp]};
  walker.init(direction, unit);

  typename Walker<T, kPaired, kSave>::Loaded next;
  walker.load(0, next);
  int half = 0;
  if (in.directions == 2) {
    const int middle = static_cast<int>(chunks_of(walker.length)) / 2 * (kChunk / kGroup);
    half = walker.step > 0 ? middle : walker.groups - middle;
    walker.template walk_all<false>(0, half, next);
    asm volatile("bar.sync %0, %1;" ::"r"(1 + warp % args.units), "n"(2 * kWarp) : "memory");
  }
  walker.template walk_all<true>(half, walker.groups, next);
}

}  // namespace

template <class T>
cudaError_t forward_wide(const Forward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  const int units = static_cast<int>((in.channels + kUnit - 1) / kUnit);
  const int blocks = (units + kMaxUnits - 1) / kMaxUnits;
  Args<T> args{work, (units + blocks - 1) / blocks, blocks, wide_B_C(in)};
  const dim3 grid(static_cast<unsigned>(in.batch * blocks));
  const dim3 block(static_cast<unsigned>(in.directions * args.units * kWarp));
  const auto launch = [&](auto kernel) {
    kernel<<<grid, block, 0, stream>>>(args);
    return cudaGetLastError();
  };
  const bool paired = pairs_aligned(work);
  if (work.saved != nullptr) {
    return paired ? launch(forward_kernel<T, true, true>) : launch(forward_kernel<T, false, true>);
  }
  return paired ? launch(forward_kernel<T, true, false>) : launch(forward_kernel<T, false, false>);
}

template cudaError_t forward_wide(const Forward<float>&, cudaStream_t);
template cudaError_t forward_wide(const Forward<__half>&, cudaStream_t);
template cudaError_t forward_wide(const Forward<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::scan::cuda
