// The backward scan for float.
//
// As the one for 16-bit types (cuda_backward.cu), with three differences. The states of a chunk
// take twice the room, so a thread has one channel, with its 16 decay rates, the gradient g of its
// 16 states and that of A (48 numbers), and a warp 32. Sums over channels are made by float
// additions: matrix instructions would round. A block is up to 4 warps that walk the same tokens
// and add up their dB and dC, and takes a whole walk. For each chunk of 8 tokens
//   1. the lanes share out the gate and the softplus, once for each channel and token;
//   2. from the checkpoint of the forward pass, the states are computed once more and kept in
//   shared
//      memory, as h_0 .. h_8;
//   3. dC_t = sum over channels of dy h_t;
//   4. in descending order g += C dy, ddelta += A g a h, dA += delta g a h, du += B g, g *= a, with
//      the decay a computed anew; g_t takes the place of h_t;
//   5. dB_t = sum over channels of delta u g_t, as in 3;
//   6. the block adds up the dB and dC of its warps and stores them as one part.
// Inputs of the next chunk are loaded into registers during step 4. A block has up to 102 KB of
// shared memory, so that two share a multiprocessor of 227 KB.
#include "ops/selective_scan/cuda_backward.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::scan::cuda {
namespace {

constexpr int kMaxWarps = kBackwardWarps<float>;
constexpr int kItems = kChunk / 2;   // pairs of channels that a lane gates in a chunk
constexpr int kPieces = kBlock / 4;  // of 16 bytes, of a channel's states

// One warp's share of the shared memory.
struct WarpMemory {
  float4 history[kChunk + 1][kWarp * kPieces];
  float2 delta_u[kChunk][kWarp];
  float2 dy_slope[kChunk][kWarp];  // slope of the softplus
};

struct BlockMemory {
  float B_C[2][kChunk][kRows];
  float rows[2][kMaxWarps][kChunk][kRows];  // dB and dC
};

// Where a piece of 16 bytes of a channel's states lies, so that eight lanes that read or write
// theirs meet eight different banks.
__device__ __forceinline__ int piece_at(int channel, int piece) {
  return channel * kPieces + (piece ^ (channel >> 1 & 3));
}

template <bool kPaired>
struct Walker {
  const BackwardArgs<float>& args;
  const Direction<float>& dir;
  WarpMemory& memory;
  BlockMemory& block;
  int direction, sample, segment, channel_block, warp, lane;
  int length, chunks, step;
  bool gates;   // whether it is this block that writes dz and `out`
  bool inside;  // whether the lane's channel is one
  int channel;  // the lane's, or another where it has none
  // What the lane loads and stores is a pair of channels: whether its first and its second are
  // channels, and where they are in a row.
  bool pair_inside;
  int pair_second;
  uint32_t of_pair;
  Bytes<const float> u, delta, grad_out, z;
  Bytes<const float> sum;

  struct Loaded {
    Word<float> u[kItems], delta[kItems], grad[kItems], z[kItems], sum[kItems];
    float4 states[kPieces];
    FourStates<float> B_C[2];
  };

  float A[kBlock], g[kBlock], dA[kBlock];
  float D, dD, dbias;
  float2 pair_bias;

  __device__ int chunk_at(int walked) const { return step > 0 ? walked : chunks - 1 - walked; }
  __device__ int token(int chunk, int k) const {
    return chunk * kChunk + (step > 0 ? k : kChunk - 1 - k);
  }

  __device__ void init() {
    const Inputs<float>& in = args.work.in;
    length = static_cast<int>(in.length);
    chunks = static_cast<int>(chunks_of(length));
    step = dir.reverse ? -1 : 1;
    gates = direction == 0 && args.state_begin == 0 && in.z.data != nullptr;
    const int channels = static_cast<int>(in.channels);
    const int first = (channel_block * args.plan.warps + warp) * kWarp;
    inside = first + lane < channels;
    channel = min(first + lane, channels - 1);
    const int wanted = first + 2 * (lane % 16);
    const int pair = min(wanted, kPaired ? channels - 2 : channels - 1);
    pair_inside = wanted < channels;
    pair_second = pair + 1 < channels;
    of_pair = static_cast<uint32_t>(pair * sizeof(float));
    u = Bytes<const float>(dir.u, sample), delta = Bytes<const float>(dir.delta, sample);
    z = Bytes<const float>(in.z, sample);
    grad_out = Bytes<const float>(args.work.grad_out, sample);
    sum = Bytes<const float>(saved_sum(in, args.work.saved), sample);
    const int state = static_cast<int>(in.state) - args.state_begin;
    const float* row = dir.A + static_cast<int64_t>(channel) * in.state + args.state_begin;
#pragma unroll
    for (int n = 0; n < kBlock; ++n) {
      A[n] = n < state ? row[n] * kLog2e : 0.0f;
      g[n] = dA[n] = 0.0f;
    }
    D = dir.D == nullptr ? 0.0f : dir.D[channel];
    dD = dbias = 0.0f;
    pair_bias = {0, 0};
    if (dir.delta_bias != nullptr) {
      pair_bias = {dir.delta_bias[pair], dir.delta_bias[pair + pair_second]};
    }
    for (int w = args.plan.warps + warp; w < kMaxWarps; w += args.plan.warps) {  // nobody's rows
      for (int i = lane; i < 2 * kChunk * kRows; i += kWarp) {
        block.rows[i / (kChunk * kRows)][w][i / kRows % kChunk][i % kRows] = 0.0f;
      }
    }
  }

  // The gradient that the later segments hand to the end of this one.
  __device__ void enter() {
    const int64_t channels = args.work.in.channels;
    const int64_t begin = args.part_of(direction, sample, segment + 1);
    for (int64_t p = args.part_of(direction, sample, args.plan.segments) - 1; p >= begin; --p) {
      const int64_t at = p * channels + channel;
      const float decay = args.decay[at];
      const float4* added = reinterpret_cast<const float4*>(args.entering + at * kBlock);
#pragma unroll
      for (int n = 0; n < kBlock; n += 4) {
        const float4 four = added[n / 4];
        g[n] = fmaf(exp2_approx(decay * A[n]), g[n], four.x);
        g[n + 1] = fmaf(exp2_approx(decay * A[n + 1]), g[n + 1], four.y);
        g[n + 2] = fmaf(exp2_approx(decay * A[n + 2]), g[n + 2], four.z);
        g[n + 3] = fmaf(exp2_approx(decay * A[n + 3]), g[n + 3], four.w);
      }
    }
  }

  __device__ void load(int walked, Loaded& to) const {
    const Inputs<float>& in = args.work.in;
    const int chunk = chunk_at(walked);
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int t = min(token(chunk, 2 * i + lane / 16), length - 1);
      to.u[i] = load_pair<kPaired>(u.at(t, of_pair), pair_second);
      to.delta[i] = load_pair<kPaired>(delta.at(t, of_pair), pair_second);
      to.grad[i] = load_pair<kPaired>(grad_out.at(t, of_pair), pair_second);
      if (in.z.data != nullptr) to.z[i] = load_pair<kPaired>(z.at(t, of_pair), pair_second);
      if (gates) to.sum[i] = load_pair<kPaired>(sum.at(t, of_pair), pair_second);
    }
    const int64_t checkpoint =
        ((direction * in.batch + sample) * chunks + chunk) * in.channels + channel;
    const auto* states =
        reinterpret_cast<const float4*>(static_cast<const float*>(args.work.saved) +
                                        checkpoint * padded_state(in.state) + args.state_begin);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) to.states[i] = states[i];
      // Four states of B or C of a token a lane, shared out over the block.
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int at = j * args.plan.warps * kWarp + threadIdx.x;
      if (at >= kChunk * kRows / 4) break;
      const int t = min(chunk * kChunk + at / 8, length - 1);
      const float* from =
          Bytes<const float>(at & 4 ? dir.C : dir.B, sample).at(t, 0) + args.state_begin;
      to.B_C[j].load(from, at % 4 * 4, static_cast<int>(in.state) - args.state_begin,
                     args.wide_B_C);
    }
  }
  __device__ void stage_B_C(const Loaded& from, int buffer) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int at = j * args.plan.warps * kWarp + threadIdx.x;
      if (at >= kChunk * kRows / 4) break;
      *reinterpret_cast<float4*>(&block.B_C[buffer][at / 8][at % 8 * 4]) = from.B_C[j].numbers();
    }
  }

  // Step 1.
  __device__ void gate(const Loaded& from, int chunk) {
    const Inputs<float>& in = args.work.in;
    float2 step_of[kItems], slope[kItems], dy[kItems];
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      step_of[i] = unpack<float>(from.delta[i]);
      step_of[i].x += pair_bias.x, step_of[i].y += pair_bias.y;
      slope[i] = {1, 1};
      dy[i] = unpack<float>(from.grad[i]);
      dy[i].x *= in.scale, dy[i].y *= in.scale;
    }
    if (in.delta_softplus) {
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        softplus_and_slope(step_of[i].x, slope[i].x);
        softplus_and_slope(step_of[i].y, slope[i].y);
      }
    }
    if (in.z.data != nullptr) {
      float2 open[kItems];
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        const float2 gate = unpack<float>(from.z[i]);
        open[i] = {sigmoid(gate.x), sigmoid(gate.y)};
      }
      if (gates) store_gate(from, chunk, dy, open);
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        const float2 gate = unpack<float>(from.z[i]);
        dy[i].x *= gate.x * open[i].x, dy[i].y *= gate.y * open[i].y;
      }
    }
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int k = 2 * i + lane / 16, p = lane % 16;
      float2 input = unpack<float>(from.u[i]);
      // What is none changes no state, takes no gradient and gives none.
      if (token(chunk, k) >= length || !pair_inside) {
        step_of[i].x = input.x = dy[i].x = slope[i].x = 0;
      }
      if (token(chunk, k) >= length || !pair_inside || !pair_second) {
        step_of[i].y = input.y = dy[i].y = slope[i].y = 0;
      }
      *reinterpret_cast<float4*>(&memory.delta_u[k][2 * p]) = {step_of[i].x, input.x, step_of[i].y,
                                                               input.y};
      *reinterpret_cast<float4*>(&memory.dy_slope[k][2 * p]) = {dy[i].x, slope[i].x, dy[i].y,
                                                                slope[i].y};
    }
  }
  // dz, and `out` where it is wanted; `dy` is the gradient behind the gate.
  __device__ void store_gate(const Loaded& from, int chunk, const float2* dy,
                             const float2* open) const {
    const Bytes<float> grad_z(args.work.grad_z, sample), out(args.work.out, sample);
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int t = token(chunk, 2 * i + lane / 16);
      if (t >= length || !pair_inside) continue;
      const float2 gate = unpack<float>(from.z[i]), total = unpack<float>(from.sum[i]);
      const float2 silu = {gate.x * open[i].x, gate.y * open[i].y};
      // silu' = sigmoid (1 + z (1 - sigmoid))
      const float2 dz = {dy[i].x * total.x * fmaf(silu.x, 1.0f - open[i].x, open[i].x),
                         dy[i].y * total.y * fmaf(silu.y, 1.0f - open[i].y, open[i].y)};
      store_pair<kPaired>(grad_z.at(t, of_pair), dz, pair_second);
      if (out.base == nullptr) continue;
      const float scale = args.work.in.scale;
      store_pair<kPaired>(out.at(t, of_pair), {scale * total.x * silu.x, scale * total.y * silu.y},
                          pair_second);
    }
  }

  // Step 2, from the states in slot 0.
  __device__ void recompute(const Loaded& from, int buffer) {
    float h[kBlock];
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const float4 four = memory.history[0][piece_at(lane, i)] = from.states[i];
      h[4 * i] = four.x, h[4 * i + 1] = four.y, h[4 * i + 2] = four.z, h[4 * i + 3] = four.w;
    }
#pragma unroll 2
    for (int k = 0; k < kChunk; ++k) {
      const float2 delta_u = memory.delta_u[k][lane];
      const float du = delta_u.x * delta_u.y;
      const float* const B = block.B_C[buffer][step > 0 ? k : kChunk - 1 - k];
#pragma unroll
      for (int n = 0; n < kBlock; n += 4) {
        const float4 b = *reinterpret_cast<const float4*>(B + n);
        h[n] = fmaf(exp2_approx(delta_u.x * A[n]), h[n], du * b.x);
        h[n + 1] = fmaf(exp2_approx(delta_u.x * A[n + 1]), h[n + 1], du * b.y);
        h[n + 2] = fmaf(exp2_approx(delta_u.x * A[n + 2]), h[n + 2], du * b.z);
        h[n + 3] = fmaf(exp2_approx(delta_u.x * A[n + 3]), h[n + 3], du * b.w);
        memory.history[k + 1][piece_at(lane, n / 4)] = {h[n], h[n + 1], h[n + 2], h[n + 3]};
      }
    }
  }

  // Step 4. What du and ddelta are takes the place of dy and of the slope.
  __device__ void descend(int chunk, int buffer) {
#pragma unroll 1
    for (int k = kChunk - 1; k >= 0; --k) {
      const float2 delta_u = memory.delta_u[k][lane], dy_slope = memory.dy_slope[k][lane];
      const float* const B = block.B_C[buffer][step > 0 ? k : kChunk - 1 - k];
      float4 before[kPieces];
#pragma unroll
      for (int i = 0; i < kPieces; ++i) before[i] = memory.history[k][piece_at(lane, i)];
      float2 through_B = {0, 0}, through_A = {0, 0};  // two chains of sums
#pragma unroll
      for (int n = 0; n < kBlock; n += 4) {
        const float4 b4 = *reinterpret_cast<const float4*>(B + n);
        const float4 c4 = *reinterpret_cast<const float4*>(B + kBlock + n);
        const float b[] = {b4.x, b4.y, b4.z, b4.w}, c[] = {c4.x, c4.y, c4.z, c4.w};
        const float4& h4 = before[n / 4];
        const float h[] = {h4.x, h4.y, h4.z, h4.w};
        float g_now[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float now = g_now[j] = fmaf(c[j], dy_slope.x, g[n + j]);
          float& sum_B = j % 2 == 0 ? through_B.x : through_B.y;
          float& sum_A = j % 2 == 0 ? through_A.x : through_A.y;
          sum_B = fmaf(b[j], now, sum_B);
          g[n + j] = now * exp2_approx(delta_u.x * A[n + j]);
          const float q = g[n + j] * h[j];
          sum_A = fmaf(A[n + j], q, sum_A);
          dA[n + j] = fmaf(delta_u.x, q, dA[n + j]);
        }
        memory.history[k + 1][piece_at(lane, n / 4)] = {g_now[0], g_now[1], g_now[2], g_now[3]};
      }
      float2 sums = {through_B.x + through_B.y, through_A.x + through_A.y};
      if (args.unfinished != nullptr) pass_on(token(chunk, k), sums);
      const float du = fmaf(delta_u.x, sums.x, D * dy_slope.x);
      const float ddelta =
          fmaf(delta_u.y, sums.x, sums.y * kLn2) * dy_slope.y;  // A is times log2 e
      dD = fmaf(delta_u.y, dy_slope.x, dD);
      dbias += ddelta;
      memory.dy_slope[k][lane] = {du, ddelta};
    }
    if (args.state_begin + kBlock < args.work.in.state) return;
    __syncwarp();
    const Gradients<float>& grad = args.work.grad[direction];
    const Bytes<float> grad_u(grad.u, sample), grad_delta(grad.delta, sample);
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int k = 2 * i + lane / 16, t = token(chunk, k);
      const float4 both = *reinterpret_cast<const float4*>(&memory.dy_slope[k][lane % 16 * 2]);
      if (t >= length || !pair_inside) continue;
      store_pair<kPaired>(grad_u.at(t, of_pair), {both.x, both.z}, pair_second);
      store_pair<kPaired>(grad_delta.at(t, of_pair), {both.y, both.w}, pair_second);
    }
  }
  // Adds what earlier blocks of states have left, and leaves it to the next.
  __device__ void pass_on(int t, float2& sums) const {
    if (t >= length || !inside) return;
    const Inputs<float>& in = args.work.in;
    float2& held =
        args.unfinished[((direction * in.batch + sample) * in.length + t) * in.channels + channel];
    if (args.state_begin > 0) sums.x += held.x, sums.y += held.y;
    held = sums;
  }

  // Steps 3 and 5: the sum over the warp's channels of history[t + 1] * factor[t], for each token t
  // of the chunk and state, into one half of the warp's rows.
  __device__ void sum_over_channels(int buffer, int half) {
    __syncwarp();
    float(*const rows)[kRows] = block.rows[buffer][warp];
    const int k = lane / 4, quarter = lane % 4;
    float4 total = {0, 0, 0, 0};
#pragma unroll 4
    for (int i = 0; i < kWarp; ++i) {
      const int c = (i + k) % kWarp;  // neighbouring tokens read different banks
      const float4 four = memory.history[k + 1][piece_at(c, quarter)];
      const float2 delta_u = memory.delta_u[k][c];
      const float factor = half == 0 ? delta_u.x * delta_u.y : memory.dy_slope[k][c].x;
      total.x = fmaf(four.x, factor, total.x);
      total.y = fmaf(four.y, factor, total.y);
      total.z = fmaf(four.z, factor, total.z);
      total.w = fmaf(four.w, factor, total.w);
    }
    *reinterpret_cast<float4*>(&rows[k][half * kBlock + quarter * 4]) = total;
    __syncwarp();
  }

  // Step 6, for a chunk that every warp of the block has finished.
  __device__ void store_rows(int walked, int buffer) const {
    const Inputs<float>& in = args.work.in;
    const int chunk = chunk_at(walked);
    float* const to =
        args.rows +
        (((direction * args.plan.channel_blocks + channel_block) * in.batch + sample) * in.length +
         chunk * kChunk) *
            kRows;
#pragma unroll 1
    for (int at = threadIdx.x; at < kChunk * kRows / 2; at += args.plan.warps * kWarp) {
      const int k = at / (kRows / 2), row = at % (kRows / 2) * 2;
      const int t = step > 0 ? k : kChunk - 1 - k;  // in the chunk
      float2 total = {0, 0};
#pragma unroll
      for (int w = 0; w < kMaxWarps; ++w) {
        const float2 more = *reinterpret_cast<const float2*>(&block.rows[buffer][w][k][row]);
        total.x += more.x, total.y += more.y;
      }
      if (chunk * kChunk + t < length) *reinterpret_cast<float2*>(to + t * kRows + row) = total;
    }
  }

  __device__ void store_channels() const {
    if (!inside) return;
    const Inputs<float>& in = args.work.in;
    float* to = args.channels +
                ((static_cast<int64_t>(sample) * args.plan.segments + segment) * in.directions +
                 direction) *
                    kParts * in.channels +
                channel;
#pragma unroll
    for (int n = 0; n < kBlock; ++n) to[n * in.channels] = dA[n];
    to[kBlock * in.channels] = dD;
    to[(kBlock + 1) * in.channels] = dbias;
  }

  __device__ void walk() {
    const int begin = segment * args.plan.chunks;  // in walking order
    const int end = min(begin + args.plan.chunks, chunks);
    Loaded next;
    load(end - 1, next);
    enter();
    int buffer = 0;
    for (int walked = end - 1; walked >= begin; --walked, buffer ^= 1) {
      const int chunk = chunk_at(walked);
      stage_B_C(next, buffer);
      gate(next, chunk);
      __syncthreads();
      if (walked < end - 1) store_rows(walked + 1, buffer ^ 1);
      recompute(next, buffer);
      sum_over_channels(buffer, 1);
      if (walked > begin) load(walked - 1, next);
      descend(chunk, buffer);
      sum_over_channels(buffer, 0);
    }
    __syncthreads();
    store_rows(begin, buffer ^ 1);
    store_channels();
  }
};

template <bool kPaired>
__global__ void __launch_bounds__(kMaxWarps* kWarp, 2)
    backward_kernel(const __grid_constant__ BackwardArgs<float> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  const Inputs<float>& in = args.work.in;
  const int warp = threadIdx.x / kWarp;
  unsigned at = blockIdx.x;
  const int channel_block = at % args.plan.channel_blocks;
  at /= args.plan.channel_blocks;
  const int direction = at % in.directions;
  at /= in.directions;
  const int segment = at % args.plan.segments;
  const int sample = at / args.plan.segments;
  auto& block = *reinterpret_cast<BlockMemory*>(shared);
  auto* memory = reinterpret_cast<WarpMemory*>(shared + sizeof(BlockMemory));
  Walker<kPaired> walker{args,         in.direction[direction],
                         memory[warp], block,
                         direction,    sample,
                         segment,      channel_block,
                         warp,         static_cast<int>(threadIdx.x % kWarp)};
  walker.init();
  walker.walk();
}

}  // namespace

int backward_float_shared_bytes(int warps) {
  return static_cast<int>(sizeof(BlockMemory) + warps * sizeof(WarpMemory));
}

cudaError_t launch_backward(const BackwardArgs<float>& args, cudaStream_t stream) {
  const Inputs<float>& in = args.work.in;
  const int shared = backward_float_shared_bytes(args.plan.warps);
  const auto kernel = pairs_aligned(args.work) ? backward_kernel<true> : backward_kernel<false>;
  const cudaError_t error = allow_shared_memory(kernel, shared);
  if (error != cudaSuccess) return error;
  const auto blocks = static_cast<unsigned>(in.batch * args.plan.segments * in.directions *
                                            args.plan.channel_blocks);
  kernel<<<blocks, args.plan.warps * kWarp, shared, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace vim::ops::scan::cuda
