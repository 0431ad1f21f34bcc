// What the passes of the convolution share: filters, the sigmoid, the division of the work among
// warps, and the way of the tokens through shared memory.
//
// The tokens of all samples, each sample followed by kHalo tokens of zeros, are one walk. It is cut
// into shares of equal length; a warp takes neighbouring channels, kWidth a lane, along one share,
// and keeps the window of the last kTaps tokens of x in registers. The zeros are why a walk goes on
// over the end of a sample: they are what the window of the next one begins with.
//
// Of two branches the mirrored one is kHalo tokens behind the other, so that both look at the same
// window: at token t of the walk it is at t - kHalo.
#pragma once

#include <cuda_pipeline_primitives.h>

#include <algorithm>

#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/cuda_device.cuh"

namespace vim::ops::conv::cuda {

inline constexpr int kTaps = kMaxTaps;  // fewer are four with zeros in front
inline constexpr int kHalo = kTaps - 1;
inline constexpr int kLanes = 32;

// `groups` of channels times `shares` of the walk. A share is `steps` steps of the kernel, and one
// more for each of the first `longer` shares; its last step may reach beyond the walk's end.
struct Division {
  int groups, shares;
  int64_t walk;  // tokens
  int64_t steps, longer;
};

// A multiple of `together` shares; for about so many warps at work, or fewer where there is no more
// than a step for each.
inline Division divide(int64_t batch, int64_t length, int64_t channels, int width, int step,
                       int64_t warps, int together) {
  const int64_t walk = batch * (length + kHalo), steps = (walk + step - 1) / step;
  const int64_t groups = (channels + kLanes * width - 1) / (kLanes * width);
  const int64_t most = std::max<int64_t>(1, warps / groups / together);
  const int64_t shares = std::min(most, (steps + together - 1) / together) * together;
  return {static_cast<int>(groups), static_cast<int>(shares), walk, steps / shares, steps % shares};
}

inline int64_t processors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

template <class T>
bool aligned_to_pieces(const Rows<T>& rows) {
  constexpr int kPiece = 16 / sizeof(T);
  return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.batch_stride % kPiece == 0 &&
         rows.token_stride % kPiece == 0;
}

// Calls launch with what the kernels are compiled for, as types: both branches, SiLU, and whether
// rows are copied and stored by whole pieces of 16 bytes.
template <class Launch>
void dispatch(int branches, bool silu, bool aligned, const Launch& launch) {
  const auto with_silu = [&](auto both, auto with) {
    aligned ? launch(both, with, Constant<1>()) : launch(both, with, Constant<0>());
  };
  const auto with_branches = [&](auto both) {
    silu ? with_silu(both, Constant<1>()) : with_silu(both, Constant<0>());
  };
  branches == 2 ? with_branches(Constant<1>()) : with_branches(Constant<0>());
}

// The pre-activation is computed as kScale of its value: sigmoid(y) = (1 + tanh(y / 2)) / 2 takes
// one special function where the exact one takes two, and half the precision does not show it.
template <class T, bool kSilu>
inline constexpr float kScale = kSilu && sizeof(T) == 2 ? 0.5f : 1.0f;

template <class T, bool kSilu>
__device__ float activation(float y) {
  if constexpr (!kSilu) {
    return y;
  } else if constexpr (kScale<T, kSilu> == 0.5f) {
    return fmaf(y, tanh_approx(y), y);
  } else {
    return y * sigmoid(y);
  }
}
// grad * the slope of the activation / kScale.
template <class T, bool kSilu>
__device__ float slope(float y, float grad) {
  if constexpr (!kSilu) {
    return grad;
  } else if constexpr (kScale<T, kSilu> == 0.5f) {
    const float tanh = tanh_approx(y);
    return fmaf(tanh, grad, grad) * (1.0f + fmaf(-tanh, y, y));
  } else {
    const float s = sigmoid(y);
    return grad * s * fmaf(y, 1.0f - s, 1.0f);
  }
}

// Where a lane works: its kWidth channels, of which the last lanes may have fewer or none.
template <int kWidth>
struct Lane {
  int64_t group, channel;
  int count;  // of its channels

  __device__ Lane(int64_t group_, int64_t channels)
      : group(group_), channel((group_ * kLanes + threadIdx.x) * kWidth) {
    count = static_cast<int>(max(int64_t{0}, min(int64_t{kWidth}, channels - channel)));
  }
};

// A branch's parameters for a lane's channels.
template <int kWidth>
struct Filter {
  float weight[kTaps][kWidth] = {}, bias[kWidth] = {};

  __device__ Filter(const Parameters& from, int taps, const Lane<kWidth>& lane, float scale) {
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      if (c >= lane.count) break;
      const int64_t channel = lane.channel + c;
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        const int tap = k - (kTaps - taps);
        if (tap >= 0) weight[k][c] = scale * from.weight[channel * taps + tap];
      }
      if (from.bias != nullptr) bias[c] = scale * from.bias[channel];
    }
  }
};

// The window's token k places after the oldest, the newest being number `i` of a step.
__device__ constexpr int in_window(int i, int k) {
  return (i + 1 + k) % kTaps;
}

template <bool kMirrored, int kWidth>
__device__ float convolve(const float (&x)[kTaps][kWidth], int i, const Filter<kWidth>& filter,
                          int c) {
  float sum = filter.bias[c];
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    sum = fmaf(filter.weight[k][c], x[in_window(i, kMirrored ? kHalo - k : k)][c], sum);
  }
  return sum;
}

// What a step over the end of a sample adds to a pointer.
template <class T>
__device__ int64_t to_next_sample(const Rows<T>& rows, int length) {
  return rows.batch_stride - (length + kHalo) * rows.token_stride;
}

// A warp's share of the walk.
struct Share {
  int64_t sample;     // where it begins
  int token;          // there
  int tokens, after;  // of its own, and behind them until the walk's end

  __device__ Share(const Division& division, int step, int64_t number, int64_t length) {
    const int64_t begin = step * (number * division.steps + min(number, division.longer));
    const int64_t left = max(int64_t{0}, division.walk - begin);
    sample = begin / (length + kHalo);
    token = static_cast<int>(begin - sample * (length + kHalo));
    tokens = static_cast<int>(min(left, step * (division.steps + (number < division.longer))));
    after = static_cast<int>(min(left - tokens, int64_t{kHalo}));
  }
};

// A warp's ring of stages in shared memory, and the copies on their way there. A stage holds kStep
// tokens of kTensors tensors, the third of them kHalo tokens late: the mirrored branch's. Pieces of
// 16 bytes are copied asynchronously, kStages - 1 steps ahead; without alignment a lane copies its
// own channels one by one. Tokens outside of the samples are zeros.
template <class T, int kTensors, int kWidth, int kStep, int kStages, bool kAligned>
class Feed {
 public:
  using Stage = T[kTensors][kStep][kLanes * kWidth];

  __device__ Feed(Stage (&ring)[kStages], const Rows<const T> (&rows)[kTensors], const Share& share,
                  int tokens, const Lane<kWidth>& lane, const Inputs<T>& in)
      : ring_(ring), length_(static_cast<int>(in.length)) {
    const int late = kAligned ? threadIdx.x / kPieces : 0;  // of the lane's first copy
    const int64_t channel =
        kAligned ? lane.group * kLanes * kWidth + threadIdx.x % kPieces * kPiece : lane.channel;
    count_ = kAligned ? channel < in.channels : lane.count;
    token_ = share.token + late, left_ = tokens - late;
    const bool over = token_ >= length_ + kHalo;
    if (over) token_ -= length_ + kHalo;
#pragma unroll
    for (int k = 0; k < kTensors; ++k) {
      rows_[k] = rows[k];
      from_[k] = rows[k].at(share.sample, share.token - behind(k) + late) + channel;
      if (over) from_[k] += to_next_sample(rows[k], length_);
    }
#pragma unroll
    for (int i = 0; i < kStages - 1; ++i) ask(ring_[i]);
  }

  // Waits for the next stage and asks for one more.
  __device__ const Stage& next() {
    __pipeline_wait_prior(kStages - 2);
    __syncwarp();
    ask(ring_[(slot_ + kStages - 1) % kStages]);
    const Stage& stage = ring_[slot_];
    slot_ = (slot_ + 1) % kStages;
    return stage;
  }

  // Waits for what was asked for beyond the share's end: zeros, but they are written.
  __device__ void finish() const {
    __pipeline_wait_prior(0);
  }

 private:
  static constexpr int kPiece = 16 / sizeof(T), kPieces = kLanes * kWidth / kPiece;
  static constexpr int kAtOnce = kAligned ? kLanes / kPieces : 1;  // tokens
  static_assert(kAtOnce <= kTaps, "a copy reaches into the next sample at most");

  __device__ static constexpr int behind(int tensor) {
    return tensor == 2 ? kHalo : 0;
  }

  __device__ void ask(Stage& stage) {
#pragma unroll
    for (int i = 0; i < kStep; i += kAtOnce) {
#pragma unroll
      for (int k = 0; k < kTensors; ++k) {
        const bool there = left_ > 0 && (behind(k) > 0 ? token_ >= behind(k) : token_ < length_);
        copy(stage[k][i], from_[k], there);
        from_[k] += kAtOnce * rows_[k].token_stride;
      }
      token_ += kAtOnce, left_ -= kAtOnce;
      if (token_ < length_ + kHalo) continue;
      token_ -= length_ + kHalo;
#pragma unroll
      for (int k = 0; k < kTensors; ++k) from_[k] += to_next_sample(rows_[k], length_);
    }
    __pipeline_commit();
  }
  // `to` is where the copy's first token goes.
  __device__ void copy(T (&to)[kLanes * kWidth], const T* from, bool there) const {
    if constexpr (kAligned) {
      __pipeline_memcpy_async(&to[threadIdx.x * kPiece], from, 16, there && count_ > 0 ? 0 : 16);
    } else {
#pragma unroll
      for (int c = 0; c < kWidth; ++c) {
        to[threadIdx.x * kWidth + c] = there && c < count_ ? from[c] : from_float<T>(0);
      }
    }
  }

  Stage (&ring_)[kStages];
  unsigned slot_ = 0;
  int length_;        // of a sample
  int token_, left_;  // of the lane's next copy: in its sample, and until the end
  int count_;
  Rows<const T> rows_[kTensors];
  const T* from_[kTensors];
};

// The window before the share's first token.
template <class T, int kWidth>
__device__ void fill_window(float (&x)[kTaps][kWidth], const Inputs<T>& in, const Share& share,
                            const Lane<kWidth>& lane) {
#pragma unroll
  for (int k = 0; k < kHalo; ++k) {
    const int token = share.token - kHalo + k;
    const bool there = share.tokens > 0 && token >= 0 && token < in.length;
    const T* const from = in.x.at(share.sample, token) + lane.channel;
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      x[in_window(kTaps - 1, k + 1)][c] = there && c < lane.count ? to_float(from[c]) : 0.0f;
    }
  }
}

template <bool kAligned, class T, int kWidth>
__device__ void store_channels(T* to, const float (&from)[kWidth], const Lane<kWidth>& lane) {
  if constexpr (kAligned) {
    store(to, from);
  } else {
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      if (c < lane.count) to[c] = from_float<T>(from[c]);
    }
  }
}

}  // namespace vim::ops::conv::cuda
