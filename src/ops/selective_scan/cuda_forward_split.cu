// The forward scan where there are few channels, or more than 16 states.
//
// Eight lanes share the states of a channel, and a lane has up to three channels: one channel and
// token is then little work, and even a single sample has many warps. A block is both directions of
// 24 (or 8) channels of a sample. Of each direction two warps scan, and do nothing else; four
// others load u and delta one tile of 32 tokens ahead, turn them into delta and delta * u, lay B
// and C out so that each lane's states of both lie together, and, two tiles later, add D u and what
// the other direction has left in `out`, gate and store. As in the wide kernel the directions meet
// half-way. Scanning and loading warps hand tiles over through shared memory (63 KB for 16 states),
// with a barrier for "filled" and one for "scanned" for each of two buffers.
//
// A scanning thread has 6 states and 6 decay rates in registers, and works on four tokens at a time
// while the decays of the next four are computed. The sum over states is left to matrix
// instructions: with ones in one column they add up the four lanes of a quad, and a different
// column for each four tokens collects sixteen. Their operands are 11 bits of the addends for
// 16-bit T, twice as many for float. States are float. Bytes moved are those of the wide kernel;
// with one scanning warp a scheduler it is bound by the latency of its instructions, near to which
// comes the rate of special functions.
#include "ops/selective_scan/cuda_device.cuh"
#include "ops/selective_scan/cuda_launch.h"

namespace vim::ops::scan::cuda {
namespace {

constexpr int kLanes = 8;                   // that share a channel's states
constexpr int kGroup = 4;                   // tokens scanned at once
constexpr int kSpan = 16;                   // tokens whose sums one accumulator collects
constexpr int kTile = 32;                   // tokens handed over at once
constexpr int kScanners = 2, kPorters = 4;  // warps of a direction that scan, and that load
constexpr int kThreads = 2 * (kScanners + kPorters) * kWarp;

template <class T>
struct Args {
  Forward<T> work;
  int blocks;  // of a sample
  bool wide_B_C;
};

__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}
// A barrier in shared memory on which a warp counts as one.
struct Barrier {
  uint64_t state;

  __device__ void init(int count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(this)), "r"(count)
                 : "memory");
  }
  __device__ void arrive() {
    __syncwarp();
    if (threadIdx.x % kWarp != 0) return;
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(this)) : "memory");
  }
  // Until it is completed for the `round`-th time, from 0.
  __device__ void wait(int round) {
    uint32_t done = 0;
    while (done == 0) {
      asm volatile(
          "{\n.reg .pred p;\n"
#if __CUDA_ARCH__ >= 900
          "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
#else
          "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
#endif
          "selp.u32 %0, 1, 0, p;\n}"
          : "=r"(done)
          : "r"(shared_address(this)), "r"(round & 1)
          : "memory");
    }
  }
};

// What the warps of one direction share. A row of 34 pairs puts the four channels that a warp reads
// at once into different banks.
template <int kStates, int kChannels>
struct DirectionMemory {
  static constexpr int kCount = kScanners * kWarp / kLanes * kChannels;  // channels of a block
  float2 delta_du[2][kCount][kTile + 2];
  float B_C[2][kTile][kLanes][2 * kStates];
  float y[3][kCount][kTile + 4];
  Barrier filled[2], scanned[2];
};
template <int kStates, int kChannels>
struct Memory {
  DirectionMemory<kStates, kChannels> of[2];
  Barrier middle;
};

// The walk of a direction over its tiles: positions in walking order, tokens where they are.
struct Tiles {
  int length, count;
  bool reverse;

  __device__ Tiles(int64_t length_, bool reverse_)
      : length(static_cast<int>(length_)), count((length + kTile - 1) / kTile), reverse(reverse_) {}
  __device__ int at(int walked) const { return reverse ? count - 1 - walked : walked; }
  __device__ int token(int walked, int k) const {
    return at(walked) * kTile + (reverse ? kTile - 1 - k : k);
  }
  // The first whose tokens the other direction has been at.
  __device__ int first_finished(int directions) const {
    if (directions == 1) return 0;
    return reverse ? count - count / 2 : count / 2;
  }
};

template <class T, int kStates, int kChannels, bool kSave>
struct Scanner {
  using Shared = DirectionMemory<kStates, kChannels>;

  const Args<T>& args;
  const Direction<T>& dir;
  Shared& shared;
  Tiles tiles;
  int lane;
  int first;                // of the lane's channels, in the block
  int channels_left;        // how many channels there are from it on
  History<T>* checkpoints;  // of the lane's first channel and states
  float A[kChannels][kStates], h[kChannels][kStates];

  struct Tokens {  // four of them
    float2 delta_du[kChannels][kGroup];
    float B[kGroup][kStates], C[kGroup][kStates];
  };
  using Decays = float[kGroup][kChannels][kStates];

  __device__ void init(int direction, int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int warp = threadIdx.x / kWarp % kScanners, state = static_cast<int>(in.state);
    lane = threadIdx.x % kWarp;
    first = (warp * (kWarp / kLanes) + lane / kLanes) * kChannels;
    const int channel = first_of_block + first, n = lane % kLanes * kStates;
    channels_left = static_cast<int>(in.channels) - channel;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float* row = dir.A + static_cast<int64_t>(channel + c) * state;
#pragma unroll
      for (int i = 0; i < kStates; ++i) {
        A[c][i] = c < channels_left && n + i < state ? row[n + i] * kLog2e : 0.0f;
        h[c][i] = 0.0f;
      }
    }
    if constexpr (kSave) {
      checkpoints =
          static_cast<History<T>*>(args.work.saved) +
          ((direction * in.batch + sample) * chunks_of(in.length) * in.channels + channel) *
              (kLanes * kStates) +
          n;
    }
  }

  __device__ void load(int buffer, int k, Tokens& to) const {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
#pragma unroll
      for (int i = 0; i < kGroup; i += 2) {
        const float4 two =
            *reinterpret_cast<const float4*>(&shared.delta_du[buffer][first + c][k + i]);
        to.delta_du[c][i] = {two.x, two.y}, to.delta_du[c][i + 1] = {two.z, two.w};
      }
    }
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      const float* from = shared.B_C[buffer][k + i][lane % kLanes];
#pragma unroll
      for (int n = 0; n < 2 * kStates; n += 4) {
        const float4 four = *reinterpret_cast<const float4*>(from + n);
        const float numbers[] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (n + j < kStates)
            to.B[i][n + j] = numbers[j];
          else
            to.C[i][n + j - kStates] = numbers[j];
        }
      }
    }
  }
  __device__ void decay(const Tokens& tokens, Decays& to) const {
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
#pragma unroll
        for (int n = 0; n < kStates; ++n) {
          to[i][c][n] = exp2_approx(tokens.delta_du[c][i].x * A[c][n]);
        }
      }
    }
  }

  // sums[c] collects in its `group`-th column what the quad's lanes have of the four tokens.
  __device__ void add_quads(const float (&part)[kGroup], int group, float (&sums)[4]) const {
    const auto ones = [&](int column) { return lane / 4 == column ? 0x3f800000u : 0u; };
    const uint32_t b[] = {ones(2 * group), ones(2 * group + 1)};
    const auto add = [&](const float(&a)[kGroup]) {
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
          "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
          : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
            "r"(__float_as_uint(a[3])), "r"(b[0]), "r"(b[1]));
    };
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
      add(part);
    } else {  // the bits that the instruction ignores go through a second one
      float high[kGroup], low[kGroup];
#pragma unroll
      for (int i = 0; i < kGroup; ++i) {
        high[i] = __uint_as_float(__float_as_uint(part[i]) & 0xffffe000u);
        low[i] = part[i] - high[i];
      }
      add(high), add(low);
    }
  }

  __device__ void step(const Tokens& tokens, const Decays& decays, int group,
                       float (&sums)[kChannels][4]) {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      float part[kGroup];
#pragma unroll
      for (int i = 0; i < kGroup; ++i) {
        part[i] = 0;
#pragma unroll
        for (int n = 0; n < kStates; ++n) {
          h[c][n] = fmaf(decays[i][c][n], h[c][n], tokens.delta_du[c][i].y * tokens.B[i][n]);
          part[i] = fmaf(h[c][n], tokens.C[i][n], part[i]);
        }
      }
      add_quads(part, group, sums[c]);
    }
  }

  __device__ void save(int walked, int k) const {
    const int in_tile = tiles.reverse ? (kTile - 1 - k) / kChunk : k / kChunk;
    const int chunk = tiles.at(walked) * (kTile / kChunk) + in_tile;
    if (chunk >= chunks_of(tiles.length)) return;
    History<T>* to = checkpoints + static_cast<int64_t>(chunk) *
                                       static_cast<int>(args.work.in.channels) * (kLanes * kStates);
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      if (c >= channels_left) break;
#pragma unroll
      for (int n = 0; n < kStates; n += 2) {
        *reinterpret_cast<Word<History<T>>*>(to + c * kLanes * kStates + n) =
            pack<History<T>>(h[c][n], h[c][n + 1]);
      }
    }
  }

  // A quad has its sums in the order of the matrix; two quads make a channel.
  __device__ void store_sums(int walked, int k, const float (&sums)[kChannels][4]) const {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      float total[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        total[i] = sums[c][i] + __shfl_xor_sync(0xffffffffu, sums[c][i], 4);
      }
      if (lane & 4) continue;
      *reinterpret_cast<float4*>(&shared.y[walked % 3][first + c][k + lane % 4 * kGroup]) = {
          total[0], total[2], total[1], total[3]};
    }
  }

  __device__ void scan() {
    Tokens now, next;
    Decays decays, decays_next;
    shared.filled[0].wait(0);
    load(0, 0, now);
    decay(now, decays);
    for (int walked = 0; walked < tiles.count; ++walked) {
#pragma unroll 1
      for (int k = 0; k < kTile; k += kSpan) {
        float sums[kChannels][4] = {};
#pragma unroll
        for (int group = 0; group < kSpan / kGroup; ++group) {
          const int after = k + (group + 1) * kGroup;
          if (group == kSpan / kGroup - 1 && after == kTile && walked + 1 < tiles.count) {
            shared.filled[(walked + 1) & 1].wait((walked + 1) >> 1);
          }
          load((walked + (after == kTile)) & 1, after % kTile, next);
          decay(next, decays_next);
          if (kSave && group * kGroup % kChunk == 0) save(walked, k + group * kGroup);
          step(now, decays, group, sums);
          now = next;
#pragma unroll
          for (int i = 0; i < kGroup * kChannels * kStates; ++i) {
            (&decays[0][0][0])[i] = (&decays_next[0][0][0])[i];
          }
        }
        store_sums(walked, k, sums);
      }
      shared.scanned[walked & 1].arrive();
    }
  }
};

template <class T, int kStates, int kChannels, bool kPaired, bool kSave>
struct Porter {
  using Shared = DirectionMemory<kStates, kChannels>;
  static constexpr int kThreadsOf = kPorters * kWarp;
  static constexpr int kRounds = kTile / (kThreadsOf / 4);  // tokens that a thread takes of a tile
  static constexpr int kStateRounds = kTile * kLanes / kThreadsOf;

  const Args<T>& args;
  const Direction<T>& dir;
  Shared& shared;
  Barrier& middle;
  Tiles tiles;
  int thread;
  Lane<const T> u[kChannels], delta[kChannels], z[kChannels];
  Lane<T> out[kChannels], sum[kChannels];
  Lane<const T> B, C;
  int second[kChannels];
  bool stored[kChannels];
  float2 D[kChannels], bias[kChannels];

  // A thread's pairs of channels are eight channels apart.
  __device__ int in_block(int c) const { return 8 * c + thread % 4 * 2; }
  __device__ int in_tile(int round) const { return thread / 4 + kThreadsOf / 4 * round; }

  struct Loaded {
    Word<T> u[kRounds][kChannels], delta[kRounds][kChannels];
    Word<T> B[kStateRounds][kStates / 2], C[kStateRounds][kStates / 2];
  };
  struct LoadedBehind {
    Word<T> u[kRounds][kChannels], z[kRounds][kChannels], other[kRounds][kChannels];
  };

  __device__ void init(int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int channels = static_cast<int>(in.channels);
    B = {dir.B, sample, 0}, C = {dir.C, sample, 0};
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const int wanted = first_of_block + in_block(c);
      const int channel = min(wanted, kPaired ? channels - 2 : channels - 1);
      stored[c] = wanted < channels;
      second[c] = channel + 1 < channels;
      u[c] = {dir.u, sample, channel}, delta[c] = {dir.delta, sample, channel};
      z[c] = {in.z, sample, channel}, out[c] = {args.work.out, sample, channel};
      if constexpr (kSave) sum[c] = {saved_sum(in, args.work.saved), sample, channel};
      const auto pair = [&](const float* from) {
        return from == nullptr ? float2{0, 0} : float2{from[channel], from[channel + second[c]]};
      };
      D[c] = pair(dir.D), bias[c] = pair(dir.delta_bias);
    }
  }

  __device__ int token(int walked, int k) const {
    return min(tiles.token(walked, k), tiles.length - 1);
  }
  __device__ void load(int walked, Loaded& to) const {
    if (walked >= tiles.count) return;
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const int t = token(walked, in_tile(r));
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        to.u[r][c] = load_pair<kPaired>(u[c].at(t), second[c]);
        to.delta[r][c] = load_pair<kPaired>(delta[c].at(t), second[c]);
      }
    }
    const int state = static_cast<int>(args.work.in.state), n = thread % kLanes * kStates;
    if (args.wide_B_C && kStates == 2) {
#pragma unroll
      for (int r = 0; r < kStateRounds; ++r) {
        const int t = token(walked, (r * kThreadsOf + thread) / kLanes);
        to.B[r][0] = load_pair<true>(B.at(t) + n, 1);
        to.C[r][0] = load_pair<true>(C.at(t) + n, 1);
      }
      return;
    }
#pragma unroll
    for (int r = 0; r < kStateRounds; ++r) {
      const int t = token(walked, (r * kThreadsOf + thread) / kLanes);
      load_states(B.at(t), n, state, to.B[r]);
      load_states(C.at(t), n, state, to.C[r]);
    }
  }
  __device__ void load_states(const T* from, int n, int state, Word<T>* to) const {
    const auto one = [&](int at) { return at < state ? to_float(from[at]) : 0.0f; };
#pragma unroll
    for (int i = 0; i < kStates; i += 2) to[i / 2] = pack<T>(one(n + i), one(n + i + 1));
  }
  __device__ void load_behind(int walked, LoadedBehind& to) const {
    const Inputs<T>& in = args.work.in;
    const int meets = tiles.first_finished(in.directions);
    if (walked == meets && in.directions == 2) {  // all before is stored: is the other's?
      middle.arrive();
      middle.wait(0);
    }
    if (walked < 0 || walked >= tiles.count) return;
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const int t = token(walked, in_tile(r));
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        to.u[r][c] = load_pair<kPaired>(u[c].at(t), second[c]);
        if (walked < meets) continue;
        if (in.z.data != nullptr) to.z[r][c] = load_pair<kPaired>(z[c].at(t), second[c]);
        if (in.directions == 2) to.other[r][c] = load_pair<kPaired>(out[c].at(t), second[c]);
      }
    }
  }

  __device__ void fill(int walked, const Loaded& from) const {
    const int buffer = walked & 1;
    float2 steps[kRounds][kChannels];
#pragma unroll
    for (int i = 0; i < kRounds * kChannels; ++i) {
      const int r = i / kChannels, c = i % kChannels;
      steps[r][c] = unpack<T>(from.delta[r][c]);
      steps[r][c].x += bias[c].x, steps[r][c].y += bias[c].y;
    }
    if (args.work.in.delta_softplus) {
#pragma unroll
      for (int i = 0; i < kRounds * kChannels; ++i) {
        float2& at = steps[i / kChannels][i % kChannels];
        at = {softplus(at.x), softplus(at.y)};
      }
    }
#pragma unroll
    for (int i = 0; i < kRounds * kChannels; ++i) {
      const int r = i / kChannels, c = i % kChannels, k = in_tile(r);
      const bool present = tiles.token(walked, k) < tiles.length;  // else no state changes
      const float2 input = unpack<T>(from.u[r][c]), at = steps[r][c];
      float2(*const row)[kTile + 2] = &shared.delta_du[buffer][in_block(c)];
      row[0][k] = present ? float2{at.x, at.x * input.x} : float2{0, 0};
      row[1][k] = present ? float2{at.y, at.y * input.y} : float2{0, 0};
    }
#pragma unroll
    for (int r = 0; r < kStateRounds; ++r) {
      float* to = shared.B_C[buffer][(r * kThreadsOf + thread) / kLanes][thread % kLanes];
#pragma unroll
      for (int i = 0; i < kStates; i += 2) {
        *reinterpret_cast<float2*>(to + i) = unpack<T>(from.B[r][i / 2]);
        *reinterpret_cast<float2*>(to + kStates + i) = unpack<T>(from.C[r][i / 2]);
      }
    }
    shared.filled[buffer].arrive();
  }

  __device__ void finish(int walked, const LoadedBehind& from) const {
    const Inputs<T>& in = args.work.in;
    const bool finished = walked >= tiles.first_finished(in.directions);
    float2 y[kRounds][kChannels];
#pragma unroll
    for (int i = 0; i < kRounds * kChannels; ++i) {
      const int r = i / kChannels, c = i % kChannels, k = in_tile(r);
      const float2 input = unpack<T>(from.u[r][c]);
      const float(*const row)[kTile + 4] = &shared.y[walked % 3][in_block(c)];
      y[r][c] = {fmaf(D[c].x, input.x, row[0][k]), fmaf(D[c].y, input.y, row[1][k])};
    }
    if (finished && in.directions == 2) {
#pragma unroll
      for (int i = 0; i < kRounds * kChannels; ++i) {
        const float2 other = unpack<T>(from.other[i / kChannels][i % kChannels]);
        y[i / kChannels][i % kChannels].x += other.x, y[i / kChannels][i % kChannels].y += other.y;
      }
    }
    if (kSave && finished && in.z.data != nullptr) store(walked, sum, y);
    if (finished) {
      const bool gated = in.z.data != nullptr;
#pragma unroll
      for (int i = 0; i < kRounds * kChannels; ++i) {
        const float2 gate = unpack<T>(from.z[i / kChannels][i % kChannels]);
        float2& at = y[i / kChannels][i % kChannels];
        at.x *= in.scale * (gated ? silu<T>(gate.x) : 1.0f);
        at.y *= in.scale * (gated ? silu<T>(gate.y) : 1.0f);
      }
    }
    store(walked, out, y);
  }
  __device__ void store(int walked, const Lane<T>* to,
                        const float2 (&y)[kRounds][kChannels]) const {
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const int t = tiles.token(walked, in_tile(r));
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        if (t < tiles.length && stored[c]) store_pair<kPaired>(to[c].at(t), y[r][c], second[c]);
      }
    }
  }

  // Fills one tile, and finishes the one before the last.
  __device__ void carry() {
    Loaded next;
    LoadedBehind behind;
    load(0, next);
    for (int walked = 0; walked < tiles.count + 2; ++walked) {
      const int last = walked - 2;
      if (last >= 0) shared.scanned[last & 1].wait(last >> 1);
      if (walked < tiles.count) fill(walked, next);
      load(walked + 1, next);
      if (last >= 0) finish(last, behind);
      load_behind(last + 1, behind);
    }
  }
};

template <class T, int kStates, int kChannels, bool kPaired, bool kSave>
__global__ void __launch_bounds__(kThreads, 1) split_kernel(const __grid_constant__ Args<T> args) {
  extern __shared__ __align__(16) unsigned char shared[];
  auto& memory = *reinterpret_cast<Memory<kStates, kChannels>*>(shared);
  const Inputs<T>& in = args.work.in;
  const int warp = threadIdx.x / kWarp, directions = in.directions;
  if (threadIdx.x == 0) {
    for (int d = 0; d < directions; ++d) {
      for (int buffer = 0; buffer < 2; ++buffer) {
        memory.of[d].filled[buffer].init(kPorters);
        memory.of[d].scanned[buffer].init(kScanners);
      }
    }
    memory.middle.init(directions * kPorters);
  }
  __syncthreads();
  const int sample = blockIdx.x / args.blocks;
  const int first = blockIdx.x % args.blocks * DirectionMemory<kStates, kChannels>::kCount;
  const int porter_warp = warp - directions * kScanners;
  const int direction = porter_warp < 0 ? warp / kScanners : porter_warp / kPorters;
  const Direction<T>& dir = in.direction[direction];
  const Tiles tiles(in.length, dir.reverse);
  if (porter_warp < 0) {
    Scanner<T, kStates, kChannels, kSave> scanner{args, dir, memory.of[direction], tiles};
    scanner.init(direction, sample, first);
    scanner.scan();
  } else {
    Porter<T, kStates, kChannels, kPaired, kSave> porter{args, dir, memory.of[direction],
                                                         memory.middle, tiles};
    porter.thread = porter_warp % kPorters * kWarp + threadIdx.x % kWarp;
    porter.init(sample, first);
    porter.carry();
  }
}

template <class T, int kStates, int kChannels>
cudaError_t launch(const Forward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  constexpr int kCount = DirectionMemory<kStates, kChannels>::kCount;
  constexpr int kShared = sizeof(Memory<kStates, kChannels>);
  const Args<T> args{work, static_cast<int>((in.channels + kCount - 1) / kCount), wide_B_C(in)};
  const auto run = [&](auto kernel) {
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
    if (error != cudaSuccess) return error;
    kernel<<<static_cast<unsigned>(in.batch * args.blocks),
             in.directions*(kScanners + kPorters) * kWarp, kShared, stream>>>(args);
    return cudaGetLastError();
  };
  const bool paired = pairs_aligned(work);
  if (work.saved != nullptr) {
    return paired ? run(split_kernel<T, kStates, kChannels, true, true>)
                  : run(split_kernel<T, kStates, kChannels, false, true>);
  }
  return paired ? run(split_kernel<T, kStates, kChannels, true, false>)
                : run(split_kernel<T, kStates, kChannels, false, false>);
}

}  // namespace

template <class T>
cudaError_t forward_split(const Forward<T>& work, bool few, cudaStream_t stream) {
  if (work.in.state > 32) return launch<T, 8, 1>(work, stream);
  if (work.in.state > 16) return launch<T, 4, 1>(work, stream);
  return few ? launch<T, 2, 1>(work, stream) : launch<T, 2, 3>(work, stream);
}

template cudaError_t forward_split(const Forward<float>&, bool, cudaStream_t);
template cudaError_t forward_split(const Forward<__half>&, bool, cudaStream_t);
template cudaError_t forward_split(const Forward<__nv_bfloat16>&, bool, cudaStream_t);

}  // namespace vim::ops::scan::cuda
