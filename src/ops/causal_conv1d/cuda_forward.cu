// The forward pass of the convolution, both branches in one reading of x.
//
// A warp has a share of the walk (cuda_device.cuh) and 64 channels. x reaches it through a ring of
// stages in shared memory, filled by asynchronous copies of 16 bytes three steps ahead; a lane puts
// its two channels of one token after the other into the window, in registers as float, computes
// the output of one branch at the window's newest token and of the mirrored one at its oldest, and
// stores both. Weights and sums are float in registers. The shares are as many as the device holds
// warps at once, and know nothing of each other: three tokens of a neighbour are read again.
//
// In half precision an element moves 2 + 2 * branches bytes and costs 21 instructions, 10 of them
// multiply-adds and 2 special functions; bound by memory.
#include "ops/causal_conv1d/cuda_device.cuh"

namespace vim::ops::conv::cuda {
namespace {

constexpr int kWarps = 8, kBlocks = 4;  // of a block; of a multiprocessor
constexpr int kWidth = 2, kStep = 8;    // channels of a lane; tokens

template <class T>
constexpr int kStages = sizeof(T) == 2 ? 4 : 2;

template <class T, bool kBoth, bool kSilu, bool kAligned>
__global__ void __launch_bounds__(kLanes* kWarps, kBlocks)
    forward_kernel(const __grid_constant__ Forward<T> work, const Division division) {
  using Stages = Feed<T, 1, kWidth, kStep, kStages<T>, kAligned>;
  __shared__ __align__(16) typename Stages::Stage ring[kWarps][kStages<T>];
  const Inputs<T>& in = work.in;
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.y;
  const Share share(division, kStep, warp / division.groups, in.length);
  if (share.tokens == 0) return;
  const Lane<kWidth> lane(warp % division.groups, in.channels);
  Stages stages(ring[threadIdx.y], {in.x}, share, share.tokens, lane, in);

  constexpr float scale = kScale<T, kSilu>;
  const Filter<kWidth> filter(in.parameters[0], in.taps, lane, scale);
  const Filter<kWidth> mirrored(in.parameters[kBoth ? 1 : 0], in.taps, lane, scale);
  float x[kTaps][kWidth];
  fill_window(x, in, share, lane);

  const int length = static_cast<int>(in.length);
  int token = share.token;
  T* out = work.out[0].at(share.sample, token) + lane.channel;
  T* mirrored_out = kBoth ? work.out[1].at(share.sample, token - kHalo) + lane.channel : nullptr;
  const auto step = [&](auto inside, const typename Stages::Stage& stage, int left) {
    constexpr bool kInside = decltype(inside)::value;
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      float y[kWidth], mirrored_y[kWidth];
      load(x[i % kTaps], &stage[0][i][threadIdx.x * kWidth]);
#pragma unroll
      for (int c = 0; c < kWidth; ++c) {
        y[c] = activation<T, kSilu>(convolve<false>(x, i, filter, c));
        if (kBoth) mirrored_y[c] = activation<T, kSilu>(convolve<true>(x, i, mirrored, c));
      }
      if (kInside || (i < left && token < length)) store_channels<kAligned>(out, y, lane);
      out += work.out[0].token_stride;
      if (kBoth) {
        if (kInside || (i < left && token >= kHalo)) {
          store_channels<kAligned>(mirrored_out, mirrored_y, lane);
        }
        mirrored_out += work.out[1].token_stride;
      }
      if (kInside || ++token < length + kHalo) continue;
      token = 0;
      out += to_next_sample(work.out[0], length);
      if (kBoth) mirrored_out += to_next_sample(work.out[1], length);
    }
    if (kInside) token += kStep;
  };
  for (int left = share.tokens; left > 0; left -= kStep) {
    const auto& stage = stages.next();
    if (lane.count == 0) continue;
    if (left >= kStep && token >= kHalo && token + kStep <= length) {
      step(Constant<1>(), stage, left);
    } else {
      step(Constant<0>(), stage, left);
    }
  }
}

}  // namespace

template <class T>
void forward(const Forward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  if (in.batch * in.length * in.channels == 0) return;
  bool aligned = in.channels % (16 / sizeof(T)) == 0 && aligned_to_pieces(in.x);
  for (int i = 0; i < in.branches; ++i) aligned = aligned && aligned_to_pieces(work.out[i]);
  const Division division = divide(in.batch, in.length, in.channels, kWidth, kStep,
                                   processors() * kBlocks * kWarps, /*together=*/1);
  const auto blocks =
      static_cast<unsigned>((int64_t{division.groups} * division.shares + kWarps - 1) / kWarps);
  dispatch(in.branches, in.silu, aligned, [&](auto both, auto silu, auto pieces) {
    forward_kernel<T, decltype(both)::value, decltype(silu)::value, decltype(pieces)::value>
        <<<blocks, dim3(kLanes, kWarps), 0, stream>>>(work, division);
  });
}

template void forward(const Forward<float>&, cudaStream_t);
template void forward(const Forward<__half>&, cudaStream_t);
template void forward(const Forward<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::conv::cuda
