// What runs before and after the backward scan.
//
// Before, where walks are cut into segments: what each part of each segment but the first adds to
// the gradient g of the states at its beginning, were the one at its end zero, and the sum of its
// steps delta, of which the decay of the latter follows. A warp takes 64 channels of a part, a
// thread two of them with their 16 decay rates and 16 gradients in registers; delta, z and the
// gradient of the output are loaded four tokens ahead, C lies in shared memory as in the forward
// pass. Reads each of its inputs once, writes 17 floats a part and channel, and is bound by the
// special functions (20 a token and channel).
//
// After: the sums of what the blocks of the backward scan have stored, in a fixed order; float
// until the last. A thread has four states of B or C of a token, or one of 8 interleaved parts of a
// sum over samples.
#include "ops/selective_scan/cuda_backward.cuh"

namespace vim::ops::scan::cuda {
namespace {

constexpr int kGroup = 4;  // tokens
constexpr int kSumThreads = 256;
constexpr int kSumRows = 8;

template <class T, bool kPaired>
struct Walker {
  const BackwardArgs<T>& args;
  const Direction<T>& dir;
  int direction, sample, segment, part, channel, second, lane;
  float (*staged)[kGroup][kBlock];
  int length, total;  // tokens, and those that whole chunks would have
  Lane<const T> delta, grad_out, z, C;

  struct Loaded {
    Word<T> delta[kGroup], grad[kGroup], z[kGroup];
    FourStates<T> C;  // of the first 16 lanes
  };

  // Of the i-th position of the walk.
  __device__ int token(int i) const { return dir.reverse ? total - 1 - i : i; }

  // The group of positions that ends before `end`, last first.
  __device__ void load(int end, Loaded& to) const {
    const Inputs<T>& in = args.work.in;
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      const int t = min(token(end - 1 - k), length - 1);
      to.delta[k] = load_pair<kPaired>(delta.at(t), second);
      to.grad[k] = load_pair<kPaired>(grad_out.at(t), second);
      if (in.z.data != nullptr) to.z[k] = load_pair<kPaired>(z.at(t), second);
    }
    if (lane >= kGroup * kBlock / 4) return;
    const T* from = C.at(min(token(end - 1 - lane / 4), length - 1)) + args.state_begin;
    to.C.load(from, lane % 4 * 4, static_cast<int>(in.state) - args.state_begin, args.wide_B_C);
  }

  // The step, and the gradient behind the gate; a token beyond the end changes nothing.
  __device__ void prepare(const Loaded& from, int end, float2 bias, float2* delta_of,
                          float2* dy_of) const {
    const Inputs<T>& in = args.work.in;
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      delta_of[k] = unpack<T>(from.delta[k]), dy_of[k] = unpack<T>(from.grad[k]);
      delta_of[k].x += bias.x, delta_of[k].y += bias.y;
      dy_of[k].x *= in.scale, dy_of[k].y *= in.scale;
    }
    if (in.delta_softplus) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        delta_of[k] = {softplus(delta_of[k].x), softplus(delta_of[k].y)};
      }
    }
    if (in.z.data != nullptr) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        const float2 gate = unpack<T>(from.z[k]);
        dy_of[k].x *= silu<T>(gate.x), dy_of[k].y *= silu<T>(gate.y);
      }
    }
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      if (token(end - 1 - k) >= length) delta_of[k] = dy_of[k] = {0, 0};
    }
  }

  __device__ void walk(bool stored) {
    const Inputs<T>& in = args.work.in;
    delta = {dir.delta, sample, channel}, grad_out = {args.work.grad_out, sample, channel};
    z = {in.z, sample, channel}, C = {dir.C, sample, 0};
    const auto pair = [&](const float* from) {
      return from == nullptr ? float2{0, 0} : float2{from[channel], from[channel + second]};
    };
    const float2 bias = pair(dir.delta_bias);
    float A[2][kBlock], g[2][kBlock];
    float2 steps = {0, 0};
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float* row = dir.A + static_cast<int64_t>(channel + c * second) * in.state;
#pragma unroll
      for (int n = 0; n < kBlock; ++n) {
        A[c][n] = args.state_begin + n < in.state ? row[args.state_begin + n] * kLog2e : 0.0f;
        g[c][n] = 0.0f;
      }
    }
    const int segment_end = min((segment + 1) * args.plan.chunks * kChunk, total);
    const int begin = (segment * args.plan.chunks + part * args.plan.part_chunks) * kChunk;
    const int end = min(begin + args.plan.part_chunks * kChunk, segment_end);
    Loaded next;
    if (begin < end) load(end, next);
    for (int i = end, buffer = 0; i > begin; i -= kGroup, buffer ^= 1) {
      if (lane < kGroup * kBlock / 4) {
        *reinterpret_cast<float4*>(&staged[buffer][lane / 4][lane % 4 * 4]) = next.C.numbers();
      }
      float2 delta_of[kGroup], dy_of[kGroup];
      prepare(next, i, bias, delta_of, dy_of);
      if (i - kGroup > begin) load(i - kGroup, next);
      __syncwarp();
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        const float2 delta_now = delta_of[k], dy = dy_of[k];
        steps.x += delta_now.x, steps.y += delta_now.y;
        const float* const staged_C = staged[buffer][k];
#pragma unroll
        for (int n = 0; n < kBlock; n += 4) {
          const float4 c4 = *reinterpret_cast<const float4*>(staged_C + n);
          const float c[] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            g[0][n + j] = fmaf(c[j], dy.x, g[0][n + j]) * exp2_approx(delta_now.x * A[0][n + j]);
            g[1][n + j] = fmaf(c[j], dy.y, g[1][n + j]) * exp2_approx(delta_now.y * A[1][n + j]);
          }
        }
      }
    }
    if (!stored) return;
    const int64_t at = (args.part_of(direction, sample, segment) + part) * in.channels + channel;
    args.decay[at] = steps.x;
    store_states<kBlock>(args.entering + at * kBlock, g[0]);
    if (!second) return;
    args.decay[at + 1] = steps.y;
    store_states<kBlock>(args.entering + (at + 1) * kBlock, g[1]);
  }
};

template <class T, bool kPaired>
__global__ void __launch_bounds__(kEnteringWarps* kWarp, 3)
    entering_kernel(const __grid_constant__ BackwardArgs<T> args) {
  __shared__ __align__(16) float staged[kEnteringWarps][2][kGroup][kBlock];
  const Inputs<T>& in = args.work.in;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int units = static_cast<int>((in.channels + 2 * kWarp - 1) / (2 * kWarp));
  int64_t at = static_cast<int64_t>(blockIdx.x) * kEnteringWarps + warp;
  const int unit = static_cast<int>(at % units);
  at /= units;
  const int direction = static_cast<int>(at % in.directions);
  at /= in.directions;
  const int part = static_cast<int>(at % args.plan.parts);
  at /= args.plan.parts;
  const int segment = 1 + static_cast<int>(at % (args.plan.segments - 1));
  const int64_t sample = at / (args.plan.segments - 1);
  if (sample >= in.batch) return;
  const int channels = static_cast<int>(in.channels);
  const int first = (unit * kWarp + lane) * 2;
  const int channel = min(first, kPaired ? channels - 2 : channels - 1);
  const int length = static_cast<int>(in.length);
  Walker<T, kPaired> walker{args,      in.direction[direction],
                            direction, static_cast<int>(sample),
                            segment,   part,
                            channel,   channel + 1 < channels,
                            lane,      staged[warp],
                            length,    static_cast<int>(chunks_of(length)) * kChunk};
  walker.walk(first < channels);
}

// Four states of B or C of one token, summed over the blocks of channels.
template <class T>
__device__ void total_rows(const BackwardArgs<T>& args, int64_t at) {
  const Inputs<T>& in = args.work.in;
  const int64_t tokens = in.batch * in.length, per_block = tokens * kRows;
  const int row = static_cast<int>(at % (kRows / 4)) * 4;
  const int64_t token = at / (kRows / 4) % tokens, direction = at / (kRows / 4) / tokens;
  if (direction >= in.directions) return;
  const float* from =
      args.rows + direction * args.plan.channel_blocks * per_block + token * kRows + row;
  float4 total = *reinterpret_cast<const float4*>(from);
  for (int b = 1; b < args.plan.channel_blocks; ++b) {
    const float4 more = *reinterpret_cast<const float4*>(from + b * per_block);
    total.x += more.x, total.y += more.y, total.z += more.z, total.w += more.w;
  }
  const Gradients<T>& grad = args.work.grad[direction];
  const Rows<T> rows = of_sample(row < kBlock ? grad.B : grad.C, token / in.length);
  const int n = args.state_begin + row % kBlock;
  T* to = rows.data + token % in.length * rows.token_stride + n;
  const float values[] = {total.x, total.y, total.z, total.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (n + i < in.state) to[i] = from_float<T>(values[i]);
  }
}

// One number of a channel, summed over samples and segments.
template <class T>
__device__ void total_channels(const BackwardArgs<T>& args, int64_t first) {
  __shared__ float sums[kSumRows][kSumThreads / kSumRows];
  const Inputs<T>& in = args.work.in;
  const int column = threadIdx.x % (kSumThreads / kSumRows);
  const int row = threadIdx.x / (kSumThreads / kSumRows);
  const int64_t columns = in.directions * kParts * in.channels, at = first + column;
  float total = 0;
  if (at < columns) {
    const int64_t parts = in.batch * args.plan.segments;
#pragma unroll 8
    for (int64_t part = row; part < parts; part += kSumRows) {
      total += args.channels[part * columns + at];
    }
  }
  sums[row][column] = total;
  __syncthreads();
  if (row > 0 || at >= columns) return;
  for (int r = 1; r < kSumRows; ++r) total += sums[r][column];
  const int64_t channel = at % in.channels, part = at / in.channels % kParts;
  const Gradients<T>& grad = args.work.grad[at / in.channels / kParts];
  const bool last = args.state_begin + kBlock >= in.state;
  if (part < kBlock) {
    const int64_t n = args.state_begin + part;
    if (n < in.state) grad.A[channel * in.state + n] = total;
  } else if (last && part == kBlock) {
    if (grad.D != nullptr) grad.D[channel] = total;
  } else if (last && grad.delta_bias != nullptr) {
    grad.delta_bias[channel] = total;
  }
}

int64_t row_blocks(int64_t directions, int64_t tokens) {
  return (directions * tokens * (kRows / 4) + kSumThreads - 1) / kSumThreads;
}

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    totals_kernel(const __grid_constant__ BackwardArgs<T> args, unsigned row_blocks) {
  if (blockIdx.x < row_blocks) {
    total_rows(args, static_cast<int64_t>(blockIdx.x) * kSumThreads + threadIdx.x);
  } else {
    total_channels(args, static_cast<int64_t>(blockIdx.x - row_blocks) * (kSumThreads / kSumRows));
  }
}

}  // namespace

template <class T>
cudaError_t launch_entering(const BackwardArgs<T>& args, cudaStream_t stream) {
  const Inputs<T>& in = args.work.in;
  const int64_t units = (in.channels + 2 * kWarp - 1) / (2 * kWarp);
  const int64_t warps =
      in.batch * (args.plan.segments - 1) * args.plan.parts * in.directions * units;
  const auto blocks = static_cast<unsigned>((warps + kEnteringWarps - 1) / kEnteringWarps);
  const auto kernel =
      pairs_aligned(args.work) ? entering_kernel<T, true> : entering_kernel<T, false>;
  kernel<<<blocks, kEnteringWarps * kWarp, 0, stream>>>(args);
  return cudaGetLastError();
}

template <class T>
cudaError_t launch_totals(const BackwardArgs<T>& args, cudaStream_t stream) {
  const Inputs<T>& in = args.work.in;
  const auto rows = static_cast<unsigned>(row_blocks(in.directions, in.batch * in.length));
  constexpr int kColumns = kSumThreads / kSumRows;
  const auto channels =
      static_cast<unsigned>((in.directions * kParts * in.channels + kColumns - 1) / kColumns);
  totals_kernel<<<rows + channels, kSumThreads, 0, stream>>>(args, rows);
  return cudaGetLastError();
}

#define VIM_INSTANTIATE(T)                                                    \
  template cudaError_t launch_entering(const BackwardArgs<T>&, cudaStream_t); \
  template cudaError_t launch_totals(const BackwardArgs<T>&, cudaStream_t);
VIM_INSTANTIATE(float)
VIM_INSTANTIATE(__half)
VIM_INSTANTIATE(__nv_bfloat16)
#undef VIM_INSTANTIATE

}  // namespace vim::ops::scan::cuda
