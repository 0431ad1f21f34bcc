// The backward scan for 16-bit types.
//
// A warp walks 32 channels of a sample in one direction, from the end of the walk to its beginning.
// A thread has half of the states of two neighbouring channels, lane l those from l / 16 * 8 of the
// l % 16-th pair: their decay rates, their gradients g and those of A (48 numbers). A block is up
// to 4 such warps. Tokens are taken in chunks of 8. For each chunk
//   1. gate: the lanes share out the softplus of the step, the gate's part of the gradient, dz and
//      `out`, one pair of channels of a token at a time;
//   2. recompute: from the checkpoint of the forward pass, the states h_0 .. h_8 once more, kept in
//      shared memory as bfloat16: [step][state][pair of channels], one word a pair;
//   3. dC_t = sum over channels of dy h_t by matrix instructions, 16 states by 16 channels at a
//      time, of whose eight columns that of token t is kept;
//   4. descend: g += C dy, ddelta += A g a h, dA += delta g a h, du += B g, g *= a, the decay a
//      computed anew; g_t takes the place of h_t, and dB_t = sum over channels of delta u g_t is
//      taken from there as dC_t is;
//   5. the block adds up the dB and dC of its warps and stores them as one part.
// Half-way through step 4 the second half of the states is done with, and copies of the next
// chunk's inputs to there are started. A second kernel adds up the parts of dB and dC (one for each
// 128 channels) and of dA, dD and dbias (one for each sample), in a fixed order. Where there are
// few channels the walk is cut into segments that run beside each other; a kernel before computes
// what g each of them adds, and the decay over it.
//
// The walks are dealt out to as many blocks as the GPU holds at once, in equal shares: laid end to
// end, they are cut into equal lengths. A block begins with the walk at the end of its share, goes
// on with whole ones, and last finishes the walk at the beginning of its share, which the block
// before it began with (McNaughton's rule), so that it need not wait. The bits are the same.
//
// All sums are float. A block has 65 KB of shared memory and 168 registers a thread, so that three
// share a multiprocessor of 228 KB. In device memory a token and channel costs u, delta, dy, z, the
// sum before the gate, du, ddelta and 4 bytes of states for each direction, dz and `out` once. The
// kernel is bound by the issue of instructions, some 390 a token and channel, at 61 % of it; shared
// memory is at 59 %, special functions at 46 %.
//
// More than 16 states are worked on in blocks of 16, one launch a block, which hand the sums that
// du and ddelta are made of to the next in the workspace.
#include <new>

#include "ops/selective_scan/cuda_backward.cuh"
#include "ops/selective_scan/cuda_backward_memory.cuh"

namespace vim::ops::scan::cuda {
namespace {

// kAligned: there are 16 states, and rows consist of aligned pieces of 16 bytes.
template <class T, bool kAligned>
struct Walker {
  const BackwardArgs<T>& args;
  BlockMemory& block;
  WarpMemory& memory;
  const int warp, lane, pair, half;
  // Where a lane's four words of its first and of its last states lie in a slot of the history, and
  // what it addresses of 16 states by 16 channels.
  uint32_t columns[2], fragment;

  int direction, sample, segment, channel_block;
  const Direction<T>* dir;
  int length, chunks, step;
  bool gates;           // whether it is this walk that writes dz and `out`
  bool inside, second;  // whether the lane's first and second channel are channels
  int unit;             // the warp's first channel
  int channel;          // the lane's first, or another where there is none
  float2 bias;          // of both
  float D, dD, dbias;   // of the one whose sums the lane finishes, the half-th
  float A[2][kMine], g[2][kMine], dA[2][kMine];

  __device__ Walker(const BackwardArgs<T>& args_, BlockMemory& block_, WarpMemory* memory_)
      : args(args_),
        block(block_),
        memory(memory_[threadIdx.x / kWarp]),
        warp(static_cast<int>(threadIdx.x) / kWarp),
        lane(static_cast<int>(threadIdx.x) % kWarp),
        pair(lane % kPairs),
        half(lane / kPairs) {
    const uint32_t history = shared_address(memory.history);
    for (int j = 0; j < 2; ++j) {
      columns[j] = history + piece_of(lane % 8 / 4 * kMine + j * 4 + lane / 8, lane % 4);
    }
    // Matrices are (states, channels) = (0-7, 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15).
    fragment = history + piece_of(lane % 8 + lane / 8 % 2 * 8, lane / 16);
  }
  // Where a piece of a state's row of 64 bytes lies in a slot, so that the pieces of eight states
  // in a row, and all pieces of states n and n + 8, are on different banks.
  static __device__ uint32_t piece_of(int state, int piece) {
    const int row = state / 2 * 2 + (state ^ state / 8) % 2;
    return static_cast<uint32_t>(row * kPairs * 4 + (piece ^ (state / 2 % 4)) * 16);
  }

  __device__ int chunk_at(int walked) const { return step > 0 ? walked : chunks - 1 - walked; }
  __device__ int token(int chunk, int k) const {
    return chunk * kChunk + (step > 0 ? k : kChunk - 1 - k);
  }

  __device__ void init(int item) {
    const Inputs<T>& in = args.work.in;
    channel_block = item % args.plan.channel_blocks;
    item /= args.plan.channel_blocks;
    direction = item % in.directions;
    item /= in.directions;
    segment = item % args.plan.segments;
    sample = item / args.plan.segments;
    dir = &in.direction[direction];
    length = static_cast<int>(in.length);
    chunks = static_cast<int>(chunks_of(length));
    step = dir->reverse ? -1 : 1;
    gates = direction == 0 && args.state_begin == 0 && in.z.data != nullptr;
    const int channels = static_cast<int>(in.channels);
    unit = (channel_block * args.plan.warps + warp) * kUnit;
    inside = unit + 2 * pair < channels;
    second = unit + 2 * pair + 1 < channels;
    channel = min(unit + 2 * pair, channels - 1);
    const int next = channel + second, state = static_cast<int>(in.state) - args.state_begin;
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float* row =
          dir->A + static_cast<int64_t>(c == 0 ? channel : next) * in.state + args.state_begin;
#pragma unroll
      for (int n = 0; n < kMine; ++n) {
        const int wanted = half * kMine + n;
        A[c][n] = wanted < state ? row[wanted] * kLog2e : 0.0f;
        g[c][n] = dA[c][n] = 0.0f;
      }
    }
    bias = {0, 0};
    if (dir->delta_bias != nullptr) bias = {dir->delta_bias[channel], dir->delta_bias[next]};
    D = dir->D == nullptr ? 0.0f : dir->D[half == 0 ? channel : next];
    dD = dbias = 0;
    if (threadIdx.x == 0) new (block.sources) Sources(find_sources());
    __syncthreads();
  }
  __device__ Sources find_sources() const {
    const Inputs<T>& in = args.work.in;
    const Gradients<T>& grad = args.work.grad[direction];
    const int64_t padded = padded_state(in.state), walk = direction * in.batch + sample;
    const Rows<const Stored> states{static_cast<const Stored*>(args.work.saved) + args.state_begin,
                                    chunks * in.channels * padded, in.channels * padded};
    const int64_t part = (direction * args.plan.channel_blocks + channel_block) * in.batch + sample;
    const auto of = [&](const auto& rows) { return Source(rows, sample); };
    return {of(dir->u),
            of(dir->delta),
            of(args.work.grad_out),
            of(in.z),
            of(saved_sum(in, args.work.saved)),
            of(dir->B),
            of(dir->C),
            Source(states, walk),
            of(args.work.grad_z),
            of(args.work.out),
            of(grad.u),
            of(grad.delta),
            Source(Rows<float>{args.rows, in.length * kRows, kRows}, part)};
  }
  __device__ const Sources& sources() const {
    return *reinterpret_cast<const Sources*>(block.sources);
  }

  // The gradient that the later segments hand to the end of this one.
  __device__ void enter() {
    const int64_t channels = args.work.in.channels;
#pragma unroll 4
    for (int s = args.plan.segments - 1; s > segment; --s) {
      const int64_t row =
          ((direction * args.work.in.batch + sample) * args.plan.segments + s) * channels;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int64_t at = row + channel + (second ? c : 0);
        const float decay = args.decay[at];
        const auto* four =
            reinterpret_cast<const float4*>(args.entering + at * kBlock + half * kMine);
        const float4 low = four[0], high = four[1];
        const float added[kMine] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int n = 0; n < kMine; ++n) {
          g[c][n] = fmaf(exp2_approx(decay * A[c][n]), g[c][n], added[n]);
        }
      }
    }
  }

  // What one block leaves to the next of a walk that both share.
  template <class Each>
  __device__ void each_carried(const Each& each) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
#pragma unroll
      for (int n = 0; n < kMine; ++n) {
        each(c * kMine + n, g[c][n]);
        each((2 + c) * kMine + n, dA[c][n]);
      }
    }
    each(kCarried - 2, dD), each(kCarried - 1, dbias);
  }
  __device__ void leave(int64_t slot) {
    float* const to = args.carried + slot * kCarried * blockDim.x + threadIdx.x;
    each_carried([&](int i, float& value) { to[i * blockDim.x] = value; });
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) atomicExch(args.left + slot, 1);
  }
  // Blocks start in the order of their numbers, so what is waited for is on its way.
  __device__ void take(int64_t slot) {
    if (threadIdx.x == 0) {
      while (atomicAdd(args.left + slot, 0) == 0) __nanosleep(200);
      __threadfence();
    }
    __syncthreads();
    const float* const from = args.carried + slot * kCarried * blockDim.x + threadIdx.x;
    each_carried([&](int i, float& value) { value = __ldcg(from + i * blockDim.x); });
  }

  // Begins to bring a chunk's inputs into the second half of the history, which nobody needs.
  __device__ void fetch(int walked) {
    __syncwarp();
    kAligned ? fetch_pieces(chunk_at(walked)) : fetch_numbers(chunk_at(walked));
  }
  __device__ void fetch_pieces(int chunk) const {
    const Inputs<T>& in = args.work.in;
    const Sources& from = sources();
    Raw& raw = memory.raw();
    // A lane copies a piece of a token's row.
    const int k = lane / kPieces, last = length - 1, t = min(token(chunk, k), last);
    const bool there = lane_first() < static_cast<int>(in.channels);
    const uint32_t of_row = there ? lane_first() * sizeof(T) : 0;
    const auto copy = [&](const Source rows, uint32_t(&to)[kChunk][kPairs]) {
      copy_piece(&to[k][lane % kPieces * 4], rows.at(t, of_row), there);
    };
    copy(from.u, raw.u);
    copy(from.delta, raw.delta);
    copy(from.grad_out, raw.grad);
    if (in.z.data != nullptr) copy(from.z, raw.z);
    if (gates) copy(from.sum, raw.sum);
#pragma unroll
    for (int i = 0; i < 2; ++i) {  // halves of a channel's states
      const int of_unit = i * kPairs + lane / 2;
      const bool is_one = unit + of_unit < static_cast<int>(in.channels);
      const uint32_t of_chunk = ((is_one ? unit + of_unit : 0) * kBlock + lane % 2 * kPiece) * 2;
      copy_piece(&raw.states[of_unit][lane % 2], from.states.at(chunk, of_chunk), is_one);
    }
    const int row = warp + k * args.plan.warps;
    if (row >= kChunk) return;
    copy_piece(&block.raw_B_C[row][lane % kPieces],
               (lane & 2 ? from.C : from.B).at(min(chunk * kChunk + row, last), lane % 2 * 16),
               true);
  }
  // The first channel of the lane's piece of a row.
  __device__ int lane_first() const {
    return unit + lane % kPieces * kPiece;
  }

  __device__ void fetch_numbers(int chunk) const {
    const Inputs<T>& in = args.work.in;
    const Sources& from = sources();
    Raw& raw = memory.raw();
    for (int k = half; k < kChunk; k += 2) {
      const int t = min(token(chunk, k), length - 1);
      const auto load = [&](const Source& rows) {
        const auto* row = reinterpret_cast<const T*>(rows.at(t, 0));
        return load_pair<false>(row + channel, second);
      };
      raw.u[k][pair] = load(from.u), raw.delta[k][pair] = load(from.delta);
      raw.grad[k][pair] = load(from.grad_out);
      if (in.z.data != nullptr) raw.z[k][pair] = load(from.z);
      if (gates) raw.sum[k][pair] = load(from.sum);
    }
    const int mine = min(unit + lane, static_cast<int>(in.channels) - 1);
    const auto* states = reinterpret_cast<const uint4*>(
        from.states.at(chunk, mine * static_cast<int>(padded_state(in.state)) * 2));
    raw.states[lane][0] = states[0], raw.states[lane][1] = states[1];
    const int row = warp + lane / kPieces * args.plan.warps;
    if (row >= kChunk) return;
    const auto* const of_token = reinterpret_cast<const T*>(
        (lane & 2 ? from.C : from.B).at(min(chunk * kChunk + row, length - 1), 0));
    FourStates<T> four[2];
    for (int i = 0; i < 2; ++i) {
      four[i].load(of_token + args.state_begin, lane % 2 * kPiece + i * 4,
                   static_cast<int>(in.state) - args.state_begin, false);
    }
    block.raw_B_C[row][lane % kPieces] = {four[0].words[0], four[0].words[1], four[1].words[0],
                                          four[1].words[1]};
  }

  // Step 1. Leaves the states of the checkpoint in `states`.
  __device__ void gate(int chunk, int buffer, uint4 (&states)[2]) {
    Raw& raw = memory.raw();
    if constexpr (kAligned) wait_for_copies();
    __syncwarp();
    const int row = warp + lane / kPieces * args.plan.warps;
    if (row < kChunk) {
      const uint4 words = block.raw_B_C[row][lane % kPieces];
      auto* const to = reinterpret_cast<float4*>(&block.B_C[buffer][row][lane % kPieces * kPiece]);
      to[0] = FourStates<T>{{words.x, words.y}}.numbers();
      to[1] = FourStates<T>{{words.z, words.w}}.numbers();
    }
    gate_pairs(raw);
    states[0] = raw.states[2 * pair][half], states[1] = raw.states[2 * pair + 1][half];
    if (chunk * kChunk + kChunk > length || args.partial) clear_missing(chunk, states);
    if (gates) {
      __syncwarp();
      store_rows_of(sources().grad_z, chunk, raw.z);
      if (args.work.out.data != nullptr) store_rows_of(sources().out, chunk, raw.sum);
    }
  }
  // The lane's pair of channels of every second token, one stage after the other for all of them.
  // dz and `out` take the places of z and of the sum before the gate.
  __device__ void gate_pairs(Raw& raw) {
    const Inputs<T>& in = args.work.in;
    float2 now[kHalf], slope[kHalf], dy[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const int k = 2 * i + half;
      now[i] = unpack<T>(raw.delta[k][pair]), dy[i] = unpack<T>(raw.grad[k][pair]);
      now[i].x += bias.x, now[i].y += bias.y;
      slope[i] = {1, 1};
      dy[i].x *= in.scale, dy[i].y *= in.scale;
    }
    if (in.delta_softplus) {
#pragma unroll
      for (int i = 0; i < kHalf; ++i) {
        softplus_and_slope(now[i].x, slope[i].x);
        softplus_and_slope(now[i].y, slope[i].y);
      }
    }
    if (in.z.data != nullptr) {
      float2 z[kHalf], open[kHalf];
#pragma unroll
      for (int i = 0; i < kHalf; ++i) {
        z[i] = unpack<T>(raw.z[2 * i + half][pair]);
        open[i] = {sigmoid_approx(z[i].x), sigmoid_approx(z[i].y)};
      }
      if (gates) {
#pragma unroll
        for (int i = 0; i < kHalf; ++i) put_gate(raw, 2 * i + half, dy[i], z[i], open[i]);
      }
#pragma unroll
      for (int i = 0; i < kHalf; ++i) {
        dy[i].x *= z[i].x * open[i].x, dy[i].y *= z[i].y * open[i].y;
      }
    }
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const int k = 2 * i + half;
      memory.slope[k][pair] = slope[i];
      put(k, now[i], dy[i], raw.u[k][pair]);
    }
  }
  __device__ void put_gate(Raw& raw, int k, float2 dy, float2 z, float2 open) const {
    const float scale = args.work.in.scale;
    const float2 sum = unpack<T>(raw.sum[k][pair]);
    const float2 silu = {z.x * open.x, z.y * open.y};
    // silu' = sigmoid (1 + z (1 - sigmoid))
    raw.z[k][pair] = pack<T>(dy.x * sum.x * fmaf(silu.x, 1.0f - open.x, open.x),
                             dy.y * sum.y * fmaf(silu.y, 1.0f - open.y, open.y));
    raw.sum[k][pair] = pack<T>(scale * sum.x * silu.x, scale * sum.y * silu.y);
  }
  __device__ void put(int k, float2 now, float2 dy, uint32_t u_word) {
    const float2 u = unpack<T>(u_word);
    memory.step_dy[k][pair] = {now.x, now.y, dy.x, dy.y};
    memory.u[k][pair] = u_word;
    memory.dy[k][pair] = pack<Stored>(dy.x, dy.y);
    memory.du[k][pair] = pack<Stored>(now.x * u.x, now.y * u.y);
  }
  // What is none changes no state, takes no gradient and gives none.
  __device__ void clear_missing(int chunk, uint4 (&states)[2]) {
    for (int k = half; k < kChunk; k += 2) {
      float4 both = memory.step_dy[k][pair];
      float2 u = unpack<T>(memory.u[k][pair]);
      const bool there = token(chunk, k) < length && inside;
      if (!there) both.x = both.z = u.x = 0;
      if (!there || !second) both.y = both.w = u.y = 0;
      put(k, {both.x, both.y}, {both.z, both.w}, pack<T>(u.x, u.y));
    }
    if (!inside) states[0] = {0, 0, 0, 0};
    if (!second) states[1] = {0, 0, 0, 0};
  }
  // Rows of the warp's channels, one for each token of a chunk.
  template <int kStride>
  __device__ void store_rows_of(const Source& rows, int chunk,
                                const uint32_t (&words)[kChunk][kStride]) const {
    const int k = lane / kPieces, t = token(chunk, k), first = lane_first();
    const int channels = static_cast<int>(args.work.in.channels);
    if (t >= length || first >= channels) return;
    const uint32_t* const from = &words[k][lane % kPieces * (kPiece / 2)];
    auto* const to = reinterpret_cast<T*>(rows.at(t, first * sizeof(T)));
    if constexpr (kAligned) {
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
    } else {
      for (int c = 0; c < kPiece && first + c < channels; ++c) {
        to[c] = reinterpret_cast<const T*>(from)[c];
      }
    }
  }

  // Those of the walk's first token; the next token's are `step` rows further.
  __device__ const float* B_C_of(int buffer) const {
    return &block.B_C[buffer][step > 0 ? 0 : kChunk - 1][half * kMine];
  }

  __device__ void store_history(int slot, const uint32_t (&words)[kMine]) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) store_columns(columns[j] + slot * kSlot * 4, words + 4 * j);
  }

  // Step 2.
  __device__ void recompute(const uint4 (&states)[2], int buffer) {
    float h[2][kMine];
    uint32_t words[kMine];
    const auto* x = reinterpret_cast<const uint32_t*>(&states[0]);
    const auto* y = reinterpret_cast<const uint32_t*>(&states[1]);
#pragma unroll
    for (int n = 0; n < kMine; ++n) {
      words[n] = __byte_perm(x[n / 2], y[n / 2], n % 2 == 0 ? 0x5410 : 0x7632);
      const float2 both = unpack<Stored>(words[n]);
      h[0][n] = both.x, h[1][n] = both.y;
    }
    store_history(0, words);
    const float* B = B_C_of(buffer);
#pragma unroll 4
    for (int k = 0; k < kChunk; ++k, B += step * kRows) {
      const float2 now = *reinterpret_cast<const float2*>(&memory.step_dy[k][pair]);
      const float2 u = unpack<T>(memory.u[k][pair]);
      const float2 du = {now.x * u.x, now.y * u.y};
#pragma unroll
      for (int n = 0; n < kMine; n += 4) {
        const float4 four = *reinterpret_cast<const float4*>(B + n);
        const float b[] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int i = n; i < n + 4; ++i) {
          h[0][i] = fmaf(exp2_approx(now.x * A[0][i]), h[0][i], du.x * b[i - n]);
          h[1][i] = fmaf(exp2_approx(now.y * A[1][i]), h[1][i], du.y * b[i - n]);
          words[i] = pack<Stored>(h[0][i], h[1][i]);
        }
      }
      store_history(k + 1, words);
    }
  }

  // The operands of a chunk's tokens for `sum_of_token`.
  __device__ void load_operand(const uint32_t (&operand)[kChunk][kOperandRow],
                               uint32_t (&b)[4]) const {
    load_matrices(shared_address(&operand[lane % 8][lane / 8 * 4]), b);
  }
  // The sum over the warp's channels of history[k + 1] * operand[k]: a lane keeps states lane / 4
  // and that + 8 of the tokens lane % 4 * 2 and that + 1.
  __device__ void sum_of_token(const uint32_t (&b)[4], int k, float (&kept)[4]) const {
    float d[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t a[4];
      load_matrices((fragment ^ (32 * i)) + (k + 1) * kSlot * 4, a);
      multiply(a, b[2 * i], b[2 * i + 1], d);
    }
    if (lane % 4 == k / 2) {
      if (k % 2 == 0) kept[0] = d[0], kept[2] = d[2];
      if (k % 2 == 1) kept[1] = d[1], kept[3] = d[3];
    }
  }
  // dB (which = 0) or dC (which = 1) of the warp's channels.
  __device__ void put_sums(const float (&kept)[4], int which, int buffer) const {
    float* const to = &block.rows[buffer][warp][lane % 4 * 2][which * kBlock + lane / 4];
    to[0] = kept[0], to[kRowStride] = kept[1], to[8] = kept[2], to[kRowStride + 8] = kept[3];
  }
  // Step 3.
  __device__ void sum_over_channels(int buffer) const {
    uint32_t b[4];
    float kept[4];
    __syncwarp();
    load_operand(memory.dy, b);
#pragma unroll
    for (int k = 0; k < kChunk; ++k) sum_of_token(b, k, kept);
    put_sums(kept, 1, buffer);
  }

  // Step 4, in which the chunk that is walked next is fetched, if there is one.
  __device__ void descend(int chunk, int next, int buffer) {
    uint32_t du_of[4];
    float kept[4];
    load_operand(memory.du, du_of);
    const float* B = B_C_of(buffer) + (kChunk - 1) * step * kRows;
#pragma unroll 1
    for (int k = kChunk - 1; k > 0; k -= 2, B -= 2 * step * kRows) {
      if (k == kHalf - 1 && next >= 0) fetch(next);
      descend_token(chunk, k, B, du_of, kept);
      descend_token(chunk, k - 1, B - step * kRows, du_of, kept);
    }
    put_sums(kept, 0, buffer);
    __syncwarp();
    if (args.state_begin + kBlock < args.work.in.state) return;
    const auto& rows = reinterpret_cast<const uint32_t(&)[kChunk][kPairs * 4]>(memory.step_dy);
    const auto& behind = reinterpret_cast<const uint32_t(&)[kChunk][kPairs * 4]>(rows[0][kPairs]);
    store_rows_of(sources().grad_u, chunk, rows);
    store_rows_of(sources().grad_delta, chunk, behind);
    __syncwarp();
  }
  __device__ void descend_token(int chunk, int k, const float* B, const uint32_t (&du_of)[4],
                                float (&kept)[4]) {
    const float4 step_dy = memory.step_dy[k][pair];
    const float2 now = {step_dy.x, step_dy.y}, dy = {step_dy.z, step_dy.w};
    const float u = to_float(reinterpret_cast<const T*>(memory.u[k])[2 * pair + half]);
    uint32_t words[kMine];
    float2 through_B = {0, 0}, through_A = {0, 0};
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      uint32_t h[4];
      load_matrices(columns[j] + k * kSlot * 4, h);
      const float4 b4 = *reinterpret_cast<const float4*>(B + 4 * j);
      const float4 c4 = *reinterpret_cast<const float4*>(B + kBlock + 4 * j);
      const float b[] = {b4.x, b4.y, b4.z, b4.w}, c[] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int n = 4 * j + i;
        const float2 before = unpack<Stored>(h[i]);
        const float2 g_now = {fmaf(c[i], dy.x, g[0][n]), fmaf(c[i], dy.y, g[1][n])};
        words[n] = pack<Stored>(g_now.x, g_now.y);
        through_B.x = fmaf(b[i], g_now.x, through_B.x);
        through_B.y = fmaf(b[i], g_now.y, through_B.y);
        g[0][n] = g_now.x * exp2_approx(now.x * A[0][n]);
        g[1][n] = g_now.y * exp2_approx(now.y * A[1][n]);
        const float2 q = {g[0][n] * before.x, g[1][n] * before.y};
        through_A.x = fmaf(A[0][n], q.x, through_A.x);
        through_A.y = fmaf(A[1][n], q.y, through_A.y);
        dA[0][n] = fmaf(now.x, q.x, dA[0][n]);
        dA[1][n] = fmaf(now.y, q.y, dA[1][n]);
      }
    }
    store_history(k + 1, words);
    __syncwarp();
    sum_of_token(du_of, k, kept);
    float2 sums = {mine(through_B), mine(through_A)};
    if constexpr (!kAligned) {
      if (args.unfinished != nullptr) pass_on(token(chunk, k), sums);
    }
    const float slope = reinterpret_cast<const float*>(memory.slope[k])[2 * pair + half];
    finish_token(k, half == 0 ? now.x : now.y, half == 0 ? dy.x : dy.y, u, slope, sums);
  }
  // The lane's channel's sum over all states, of both channels' over half of them.
  __device__ float mine(float2 sums) const {
    const float other = half == 0 ? sums.y : sums.x;
    return (half == 0 ? sums.x : sums.y) + __shfl_xor_sync(~0u, other, kPairs);
  }
  // du and ddelta of a token and the lane's channel; their share in dD and dbias.
  __device__ void finish_token(int k, float now, float dy, float u, float slope, float2 sums) {
    const float du = fmaf(now, sums.x, D * dy);
    const float ddelta = fmaf(u, sums.x, sums.y * kLn2) * slope;
    dD = fmaf(u, dy, dD);
    dbias += ddelta;
    T* const to = reinterpret_cast<T*>(memory.step_dy[k]) + 2 * pair + half;
    to[0] = from_float<T>(du);
    to[kUnit] = from_float<T>(ddelta);
  }
  // Adds what earlier blocks of states have left, and leaves it to the next.
  __device__ void pass_on(int t, float2& sums) const {
    if (t >= length || !(half == 0 ? inside : second)) return;
    const Inputs<T>& in = args.work.in;
    float2& held = args.unfinished[((direction * in.batch + sample) * in.length + t) * in.channels +
                                   channel + half];
    if (args.state_begin > 0) sums.x += held.x, sums.y += held.y;
    held = sums;
  }

  // Step 5, for a chunk that every warp of the block has finished.
  __device__ void store_rows(int walked, int buffer) const {
    const int chunk = chunk_at(walked);
    for (int at = threadIdx.x; at < kChunk * kRows / 2; at += blockDim.x) {
      const int k = at / (kRows / 2), row = at % (kRows / 2) * 2, t = token(chunk, k);
      float2 total = {0, 0};
#pragma unroll
      for (int w = 0; w < kBackwardWarps; ++w) {
        if (w >= args.plan.warps) break;
        const float2 more = *reinterpret_cast<const float2*>(&block.rows[buffer][w][k][row]);
        total.x += more.x, total.y += more.y;
      }
      if (t >= length) continue;
      *reinterpret_cast<float2*>(sources().rows.at(t, row * sizeof(float))) = total;
    }
  }

  __device__ void store_channels() const {
    const Inputs<T>& in = args.work.in;
    const int64_t row =
        (static_cast<int64_t>(sample) * args.plan.segments + segment) * in.directions + direction;
    float* const to = args.channels + row * kParts * in.channels + channel;
#pragma unroll
    for (int n = 0; n < kMine; ++n) {
      if (inside) to[(half * kMine + n) * in.channels] = dA[0][n];
      if (second) to[(half * kMine + n) * in.channels + 1] = dA[1][n];
    }
    if (!(half == 0 ? inside : second)) return;
    to[kBlock * in.channels + half] = dD;
    to[(kBlock + 1) * in.channels + half] = dbias;
  }

  // The chunks `begin` to `end` of a walk, counted from where it starts.
  __device__ void walk(int begin, int end) {
    const int first = segment * args.plan.chunks;
    const int last = min(first + args.plan.chunks, chunks);
    const int start = last - 1 - begin, stop = max(last - end, first);
    if (start < stop) return;
    fetch(start);
    int buffer = 0;
    for (int walked = start; walked >= stop; --walked, buffer ^= 1) {
      const int chunk = chunk_at(walked);
      uint4 states[2];
      gate(chunk, buffer, states);
      __syncthreads();
      if (walked < start) store_rows(walked + 1, buffer ^ 1);
      recompute(states, buffer);
      sum_over_channels(buffer);
      descend(chunk, walked > stop ? walked - 1 : -1, buffer);
    }
    __syncthreads();
    store_rows(stop, buffer ^ 1);
    __syncthreads();
  }
};

template <class T, bool kAligned>
__global__ void __launch_bounds__(kBackwardWarps* kWarp, 3)
    backward_kernel(const __grid_constant__ BackwardArgs<T> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  auto* const warps = reinterpret_cast<WarpMemory*>(shared);
  auto& block = *reinterpret_cast<BlockMemory*>(warps + args.plan.warps);
  Walker<T, kAligned> walker(args, block, warps);
  const int64_t slot = blockIdx.x, each = args.plan.chunks;
  const int64_t begin = slot * args.plan.share;
  const int64_t end = min(begin + args.plan.share, args.plan.walks * each);
  for (int64_t item = (end - 1) / each; item >= begin / each && begin < end; --item) {
    const int from = static_cast<int>(max(begin - item * each, static_cast<int64_t>(0)));
    const int to = static_cast<int>(min(end - item * each, each));
    walker.init(static_cast<int>(item));
    from > 0 ? walker.take(slot - 1) : walker.enter();
    walker.walk(from, to);
    to < each ? walker.leave(slot) : walker.store_channels();
  }
}

// Whether rows consist of aligned pieces of 16 bytes.
template <class T>
bool pieces_aligned(const Rows<T>& rows) {
  return rows.data == nullptr ||
         (reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.batch_stride % kPiece == 0 &&
          rows.token_stride % kPiece == 0);
}
template <class T>
bool pieces_aligned(const Backward<T>& work) {
  const Inputs<T>& in = work.in;
  bool good = in.state == kBlock && in.channels % kPiece == 0 && pieces_aligned(in.z) &&
              pieces_aligned(work.grad_out) && pieces_aligned(work.grad_z) &&
              pieces_aligned(work.out);
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& dir = in.direction[d];
    good = good && pieces_aligned(dir.u) && pieces_aligned(dir.delta) && pieces_aligned(dir.B) &&
           pieces_aligned(dir.C) && pieces_aligned(work.grad[d].u) &&
           pieces_aligned(work.grad[d].delta);
  }
  return good;
}

}  // namespace

int backward_shared_bytes(int warps) {
  return static_cast<int>(sizeof(BlockMemory) + warps * sizeof(WarpMemory));
}

template <class T>
cudaError_t launch_backward(const BackwardArgs<T>& args, cudaStream_t stream) {
  const auto kernel =
      pieces_aligned(args.work) ? backward_kernel<T, true> : backward_kernel<T, false>;
  const int shared = backward_shared_bytes(args.plan.warps);
  cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (error == cudaSuccess && args.plan.share % args.plan.chunks != 0) {  // walks are shared
    error = cudaMemsetAsync(args.left, 0, args.plan.slots * sizeof(int), stream);
  }
  if (error != cudaSuccess) return error;
  kernel<<<static_cast<unsigned>(args.plan.slots), args.plan.warps * kWarp, shared, stream>>>(args);
  return cudaGetLastError();
}

template cudaError_t launch_backward(const BackwardArgs<__half>&, cudaStream_t);
template cudaError_t launch_backward(const BackwardArgs<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::scan::cuda
