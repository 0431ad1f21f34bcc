// The backward pass of the convolution, both branches together.
//
// A warp has a share of the walk (cuda_device.cuh) and 64 channels; x and the branches' gradients
// reach it through a ring of stages in shared memory, filled by asynchronous copies of 16 bytes
// three steps ahead. In registers a lane has, for its two channels and as float, the weights, the
// window of x, and the sums of the parameters' gradients over the share. A step recomputes the
// pre-activations, adds their gradients to those sums and to the window's gradients of x, of which
// the oldest is then complete and stored; for its last three a warp goes on into the next share.
//
// A block's warps have the same channels; their sums are added in shared memory and stored, one row
// a block, and a second kernel adds the rows: no atomics, the same bits every time.
//
// In half precision an element moves 4 + 2 * branches bytes and costs 51 instructions, 26 of them
// multiply-adds and 2 special functions; bound by memory and issue slots together.
#include "ops/causal_conv1d/cuda_device.cuh"

namespace vim::ops::conv::cuda {
namespace {

constexpr int kWarps = 8, kBlocks = 2;      // of a block; of a multiprocessor
constexpr int kWidth = 2, kStep = 4;        // channels of a lane; tokens
constexpr int kChannels = kLanes * kWidth;  // of a warp
constexpr int kSums = kTaps + 1;            // of a branch and channel: its weights, last its bias

template <class T>
constexpr int kStages = sizeof(T) == 2 ? 4 : 2;

// A branch's parameters, and their gradients over a share.
template <bool kMirrored>
struct Branch {
  Filter<kWidth> filter;
  float sums[kSums][kWidth] = {};

  __device__ Branch(const Parameters& from, int taps, const Lane<kWidth>& lane, float scale)
      : filter(from, taps, lane, scale) {}

  // `grad` is the output's gradient at token i of a step. Adds what it means for the window's
  // tokens and, where the token is the share's own, for the parameters.
  template <class T, bool kSilu>
  __device__ void add(const float (&x)[kTaps][kWidth], int i, const float (&grad)[kWidth], bool own,
                      float (&grad_x)[kTaps][kWidth]) {
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      const float y = convolve<kMirrored>(x, i, filter, c), g = slope<T, kSilu>(y, grad[c]);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        const int place = in_window(i, kMirrored ? kHalo - k : k);
        grad_x[place][c] = fmaf(filter.weight[k][c], g, grad_x[place][c]);
        if (own) sums[k][c] = fmaf(g, x[place][c], sums[k][c]);
      }
      if (own) sums[kTaps][c] += g;
    }
  }
};

template <int kBranches>
using BlockSums = float[kWarps][kBranches * kSums][kChannels];

template <int kBranches>
__device__ void keep(BlockSums<kBranches>& to, int branch, const float (&sums)[kSums][kWidth]) {
#pragma unroll
  for (int k = 0; k < kSums; ++k) {
    store(&to[threadIdx.y][branch * kSums + k][threadIdx.x * kWidth], sums[k]);
  }
}

// Adds the warps' sums; `row` is [branch][tap, bias last][channel].
template <int kBranches>
__device__ void store_sums(const BlockSums<kBranches>& sums, float* row, const Lane<kWidth>& lane,
                           int64_t channels, float scale) {
  for (int i = threadIdx.y * kLanes + threadIdx.x; i < kBranches * kSums * kChannels;
       i += kWarps * kLanes) {
    const int k = i / kChannels, place = i % kChannels;
    const int64_t channel = lane.group * kChannels + place;
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) sum += sums[warp][k][place];
    if (channel < channels) row[k * channels + channel] = scale * sum;
  }
}

template <class T, bool kBoth, bool kSilu, bool kAligned>
__global__ void __launch_bounds__(kLanes* kWarps, kBlocks)
    backward_kernel(const __grid_constant__ Backward<T> work, const Division division) {
  constexpr int kBranches = kBoth ? 2 : 1;
  using Stages = Feed<T, 1 + kBranches, kWidth, kStep, kStages<T>, kAligned>;
  __shared__ union {
    BlockSums<kBranches> sums;
    __align__(16) typename Stages::Stage ring[kWarps][kStages<T>];
  } shared;
  const Inputs<T>& in = work.in;
  const int64_t part = blockIdx.x / static_cast<unsigned>(division.groups);
  const Lane<kWidth> lane(blockIdx.x % static_cast<unsigned>(division.groups), in.channels);
  const Share share(division, kStep, part * kWarps + threadIdx.y, in.length);
  Rows<const T> rows[1 + kBranches];
  rows[0] = in.x;
#pragma unroll
  for (int b = 0; b < kBranches; ++b) rows[1 + b] = work.grad[b];
  // The gradients of the share's last tokens of x need the slopes of those that follow.
  const int tokens = share.tokens == 0 ? 0 : share.tokens + share.after;
  Stages stages(shared.ring[threadIdx.y], rows, share, tokens, lane, in);

  constexpr float scale = kScale<T, kSilu>;
  Branch<false> branch(in.parameters[0], in.taps, lane, scale);
  Branch<true> mirrored(in.parameters[kBoth ? 1 : 0], in.taps, lane, scale);
  float x[kTaps][kWidth], grad_x[kTaps][kWidth] = {};  // the latter's part that is known
  fill_window(x, in, share, lane);

  const int length = static_cast<int>(in.length);
  int token = share.token;
  T* out = work.grad_x.at(share.sample, token - kHalo) + lane.channel;
  const auto step = [&](auto inside, const typename Stages::Stage& stage, int done) {
    constexpr bool kInside = decltype(inside)::value;
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const bool own = kInside || done + i < share.tokens;
      float grad[kWidth];
      load(x[i % kTaps], &stage[0][i][threadIdx.x * kWidth]);
      fill(grad_x[i % kTaps], 0.0f);
      load(grad, &stage[1][i][threadIdx.x * kWidth]);
      branch.template add<T, kSilu>(x, i, grad, own, grad_x);
      if constexpr (kBoth) {
        load(grad, &stage[2][i][threadIdx.x * kWidth]);
        mirrored.template add<T, kSilu>(x, i, grad, own, grad_x);
      }
      if (kInside || (token >= kHalo && done + i >= kHalo && done + i < tokens)) {
        store_channels<kAligned>(out, grad_x[in_window(i, 0)], lane);
      }
      out += work.grad_x.token_stride;
      if (kInside || ++token < length + kHalo) continue;
      token = 0;
      out += to_next_sample(work.grad_x, length);
    }
    if (kInside) token += kStep;
  };
  for (int done = 0; done < tokens; done += kStep) {
    const auto& stage = stages.next();
    if (lane.count == 0) continue;
    if (done >= kHalo && done + kStep <= share.tokens && token >= kHalo &&
        token + kStep <= length) {
      step(Constant<1>(), stage, done);
    } else {
      step(Constant<0>(), stage, done);
    }
  }
  stages.finish();
  __syncthreads();
  keep<kBranches>(shared.sums, 0, branch.sums);
  if constexpr (kBoth) keep<kBranches>(shared.sums, 1, mirrored.sums);
  __syncthreads();
  store_sums<kBranches>(shared.sums, work.workspace + part * kBranches * kSums * in.channels, lane,
                        in.channels, scale);
}

// Puts the sum of column [branch][tap, bias last][channel] where it belongs.
struct StoreParameters {
  ParameterGradients to[kMaxBranches];
  int channels, taps;

  __device__ void operator()(int column, float sum) const {
    const int channel = column % channels, k = column / channels % kSums;
    const ParameterGradients& branch = to[column / channels / kSums];
    const int tap = k - (kTaps - taps);
    if (k == kTaps) {
      if (branch.bias != nullptr) branch.bias[channel] = sum;
    } else if (tap >= 0) {
      branch.weight[int64_t{channel} * taps + tap] = sum;
    }
  }
};

Division division_of(int64_t batch, int64_t length, int64_t channels) {
  return divide(batch, length, channels, kWidth, kStep, processors() * kBlocks * kWarps, kWarps);
}

}  // namespace

int64_t workspace_size(int64_t batch, int64_t length, int64_t channels, int branches) {
  if (batch * length * channels == 0) return 0;
  return division_of(batch, length, channels).shares / kWarps * branches * kSums * channels;
}

template <class T>
void backward(const Backward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  if (in.channels == 0) return;
  int parts = 0;
  if (in.batch * in.length > 0) {
    bool aligned = in.channels % (16 / sizeof(T)) == 0 && aligned_to_pieces(in.x) &&
                   aligned_to_pieces(work.grad_x);
    for (int i = 0; i < in.branches; ++i) aligned = aligned && aligned_to_pieces(work.grad[i]);
    const Division division = division_of(in.batch, in.length, in.channels);
    parts = division.shares / kWarps;
    dispatch(in.branches, in.silu, aligned, [&](auto both, auto silu, auto pieces) {
      backward_kernel<T, decltype(both)::value, decltype(silu)::value, decltype(pieces)::value>
          <<<static_cast<unsigned>(division.groups * parts), dim3(kLanes, kWarps), 0, stream>>>(
              work, division);
    });
  }
  const int columns = in.branches * kSums * static_cast<int>(in.channels);
  const StoreParameters to{
      {work.parameters[0], work.parameters[1]}, static_cast<int>(in.channels), in.taps};
  sum_rows<<<static_cast<unsigned>((columns + 31) / 32), dim3(32, kSumRows), 0, stream>>>(
      work.workspace, parts, columns, to);
}

template void backward(const Backward<float>&, cudaStream_t);
template void backward(const Backward<__half>&, cudaStream_t);
template void backward(const Backward<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::conv::cuda
