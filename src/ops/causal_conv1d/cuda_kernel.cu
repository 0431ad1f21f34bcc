// Depthwise convolution over the tokens, both directions in one pass over x.
//
// A thread owns a few neighbouring channels and a run of tokens, along which it slides a window of
// x (and, backward, windows of the branches' gradients) held in registers as float; a warp covers
// 32 times as many neighbouring channels, so that every access is one or more full lines. A block
// is one warp of channels by kRuns runs. At the ends of its run a thread reads up to 3 (backward:
// 6) tokens of its neighbours again; they come from the cache.
//
// Forward moves 2 + 2 * branches bytes an element in half precision. Backward recomputes the
// pre-activation; it moves 4 + 2 * branches bytes. The gradients of the parameters are summed over
// a block's runs in shared memory, stored once a block, and added by a second kernel in a fixed
// order: no atomics, the same bits every time.
#include <algorithm>

#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/cuda_device.cuh"

namespace vim::ops::conv::cuda {
namespace {

constexpr int kLanes = 32;
constexpr int kRuns = 8;
constexpr int64_t kRun = 32;  // tokens of a run, at most

// The cut of the tokens into blocks of kRuns runs of equal length.
struct Cut {
  int64_t blocks, run;
};
Cut cut(int64_t length) {
  const int64_t blocks = std::max<int64_t>(1, (length + kRuns * kRun - 1) / (kRuns * kRun));
  return {blocks, (length + blocks * kRuns - 1) / (blocks * kRuns)};
}

// Where a thread works.
template <int kWidth>
struct Place {
  int64_t sample, part, channel, begin, end;

  __device__ Place(int64_t channels, int64_t length, int64_t run) {
    const int64_t groups = (channels + kLanes * kWidth - 1) / (kLanes * kWidth);
    sample = blockIdx.x / groups;
    part = blockIdx.y;
    channel = (blockIdx.x % groups * kLanes + threadIdx.x) * kWidth;
    begin = min(length, (part * kRuns + threadIdx.y) * run);
    end = min(length, begin + run);
  }
};

template <int kTaps, int kWidth>
struct Taps {
  float weight[kTaps][kWidth], bias[kWidth];

  __device__ Taps(const Parameters& from, int64_t channel) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
#pragma unroll
      for (int k = 0; k < kTaps; ++k) weight[k][i] = from.weight[(channel + i) * kTaps + k];
      bias[i] = from.bias != nullptr ? from.bias[channel + i] : 0.0f;
    }
  }
};

// The last kSize rows that were put in; [kSize - 1] is the newest.
template <int kSize, int kWidth>
struct Window {
  float row[kSize][kWidth] = {};

  __device__ void shift() {
#pragma unroll
    for (int i = 0; i + 1 < kSize; ++i) {
#pragma unroll
      for (int c = 0; c < kWidth; ++c) row[i][c] = row[i + 1][c];
    }
  }
};

template <class T, int kWidth>
__device__ void load_token(float (&to)[kWidth], const Rows<const T>& rows, int64_t sample,
                           int64_t token, int64_t length, int64_t channel) {
  if (token >= 0 && token < length) {
    load(to, rows.at(sample, token) + channel);
  } else {
    fill(to, 0.0f);
  }
}

// row[first .. first + kTaps) holds the branch's tokens, oldest first; a mirrored branch reads them
// newest first.
template <int kTaps, bool kMirrored, int kSize, int kWidth>
__device__ float pre_activation(const float (&row)[kSize][kWidth], int first,
                                const Taps<kTaps, kWidth>& taps, int c) {
  float sum = taps.bias[c];
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    sum += taps.weight[k][c] * row[first + (kMirrored ? kTaps - 1 - k : k)][c];
  }
  return sum;
}

// Four tokens in a row: as loaded, so that nothing waits for them before they are needed.
constexpr int kStep = 4;
template <class T, int kWidth>
struct Group {
  Pack<T, kWidth> token[kStep];

  // `from` points at the first, whose number is `first`; those outside of the sequence are zero.
  __device__ void load(const T* from, int64_t stride, int first, int length) {
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      token[i] = {};
      if (first + i >= 0 && first + i < length) {
        token[i] = *reinterpret_cast<const Pack<T, kWidth>*>(from + i * stride);
      }
    }
  }
};

template <class T, int kTaps, bool kBoth, int kWidth>
__global__ void __launch_bounds__(kLanes* kRuns)
    forward_kernel(const __grid_constant__ Forward<T> work, int64_t run) {
  const Inputs<T>& in = work.in;
  const Place<kWidth> at(in.channels, in.length, run);
  if (at.channel >= in.channels || at.begin >= at.end) return;
  const Taps<kTaps, kWidth> taps(in.parameters[0], at.channel);
  const Taps<kTaps, kWidth> mirrored_taps(in.parameters[kBoth ? 1 : 0], at.channel);

  // The rows reach from kTaps - 1 tokens before the group's first to kAhead after its last. The
  // next group is on its way while one is computed.
  constexpr int kAhead = kBoth ? kTaps - 1 : 0, kBefore = kTaps - 1 + kAhead;
  float row[kBefore + kStep][kWidth];
#pragma unroll
  for (int i = 0; i < kBefore; ++i) {
    load_token(row[i], in.x, at.sample, at.begin - (kTaps - 1) + i, in.length, at.channel);
  }
  const int begin = static_cast<int>(at.begin), end = static_cast<int>(at.end);
  const int length = static_cast<int>(in.length);
  const int64_t stride = in.x.token_stride;
  const T* from = in.x.at(at.sample, begin + kAhead) + at.channel;
  T* out = work.out[0].at(at.sample, begin) + at.channel;
  T* mirrored_out = kBoth ? work.out[1].at(at.sample, begin) + at.channel : nullptr;
  Group<T, kWidth> next;
  next.load(from, stride, begin + kAhead, length);
  for (int first = begin; first < end; first += kStep) {
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
#pragma unroll
      for (int c = 0; c < kWidth; ++c) row[kBefore + i][c] = to_float(next.token[i].values[c]);
    }
    from += kStep * stride;
    if (first + kStep < end) next.load(from, stride, first + kStep + kAhead, length);
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      if (first + i < end) {
        float value[kWidth], mirrored[kWidth];
#pragma unroll
        for (int c = 0; c < kWidth; ++c) {
          value[c] = pre_activation<kTaps, false>(row, i, taps, c);
          if (in.silu) value[c] *= sigmoid(value[c]);
          if (!kBoth) continue;
          mirrored[c] = pre_activation<kTaps, true>(row, i + kAhead, mirrored_taps, c);
          if (in.silu) mirrored[c] *= sigmoid(mirrored[c]);
        }
        store(out, value);
        if (kBoth) store(mirrored_out, mirrored);
      }
      out += work.out[0].token_stride;
      if (kBoth) mirrored_out += work.out[1].token_stride;
    }
#pragma unroll
    for (int i = 0; i < kBefore; ++i) {
#pragma unroll
      for (int c = 0; c < kWidth; ++c) row[i][c] = row[i + kStep][c];
    }
  }
}

// The gradient at one branch's pre-activation, and its share in the parameters' gradients.
template <class T, int kTaps, bool kMirrored, int kWidth, int kSize>
__device__ void backward_token(float (&slope)[kWidth], float (&sums)[kTaps + 1][kWidth],
                               const Window<kSize, kWidth>& window, int first,
                               const Taps<kTaps, kWidth>& taps, bool silu, bool owned) {
#pragma unroll
  for (int c = 0; c < kWidth; ++c) {
    if (silu) {
      const float pre = pre_activation<kTaps, kMirrored>(window.row, first, taps, c);
      const float s = sigmoid(pre);
      slope[c] *= s * (1 + pre * (1 - s));
    }
    if (!owned) continue;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      sums[k][c] += slope[c] * window.row[first + (kMirrored ? kTaps - 1 - k : k)][c];
    }
    sums[kTaps][c] += slope[c];
  }
}

// The block's sum over its runs, to parts[row][channel].
template <int kWidth>
__device__ void sum_runs(const float (&mine)[kWidth], float* parts_row, int64_t channel,
                         int64_t channels) {
  __shared__ float runs[kRuns][kLanes * kWidth];
  __syncthreads();
#pragma unroll
  for (int c = 0; c < kWidth; ++c) runs[threadIdx.y][c * kLanes + threadIdx.x] = mine[c];
  __syncthreads();
  if (threadIdx.y >= kWidth || channel >= channels) return;
  float sum = 0;
#pragma unroll
  for (int run = 0; run < kRuns; ++run) sum += runs[run][threadIdx.y * kLanes + threadIdx.x];
  parts_row[channel + threadIdx.y] = sum;
}

template <class T, int kTaps, bool kBoth, int kWidth>
__global__ void __launch_bounds__(kLanes* kRuns)
    backward_kernel(const __grid_constant__ Backward<T> work, int64_t run) {
  const Inputs<T>& in = work.in;
  const Place<kWidth> at(in.channels, in.length, run);
  constexpr int kHalo = kTaps - 1, kAhead = kBoth ? kHalo : 0, kSize = kTaps + kAhead;
  float sums[kTaps + 1][kWidth] = {}, mirrored_sums[kTaps + 1][kWidth] = {};

  if (at.channel < in.channels && at.begin < at.end) {
    const Taps<kTaps, kWidth> taps(in.parameters[0], at.channel);
    const Taps<kTaps, kWidth> mirrored_taps(in.parameters[kBoth ? 1 : 0], at.channel);
    const auto x_at = [&](float(&to)[kWidth], int64_t token) {
      load_token(to, in.x, at.sample, token, in.length, at.channel);
    };
    Window<kSize, kWidth> window;
    Window<kTaps, kWidth> slopes;            // of the tokens t - kHalo .. t
    Window<2 * kTaps - 1, kWidth> mirrored;  // of the tokens t - 2 kHalo .. t
    const int64_t start = at.begin - kAhead;
#pragma unroll
    for (int i = 1; i < kSize; ++i) x_at(window.row[i], start - kTaps + i);

      // At token t all slopes that x at t - kHalo has a share in are known.
#pragma unroll 2
    for (int64_t t = start; t < at.end + kHalo; ++t) {
      const bool owned = t >= at.begin && t < at.end;
      window.shift();
      slopes.shift();
      x_at(window.row[kSize - 1], t + kAhead);
      load_token(slopes.row[kTaps - 1], work.grad[0], at.sample, t, in.length, at.channel);
      backward_token<T, kTaps, false>(slopes.row[kTaps - 1], sums, window, 0, taps, in.silu, owned);
      if (kBoth) {
        mirrored.shift();
        float(&slope)[kWidth] = mirrored.row[2 * kTaps - 2];
        load_token(slope, work.grad[1], at.sample, t, in.length, at.channel);
        backward_token<T, kTaps, true>(slope, mirrored_sums, window, kAhead, mirrored_taps, in.silu,
                                       owned);
      }
      if (t - kHalo < at.begin) continue;
      float grad_x[kWidth] = {};
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
#pragma unroll
        for (int c = 0; c < kWidth; ++c) {
          grad_x[c] += taps.weight[k][c] * slopes.row[kTaps - 1 - k][c];
          if (kBoth) grad_x[c] += mirrored_taps.weight[k][c] * mirrored.row[k][c];
        }
      }
      store(work.grad_x.at(at.sample, t - kHalo) + at.channel, grad_x);
    }
  }

  constexpr int kBranches = kBoth ? 2 : 1, kSums = kBranches * (kTaps + 1);
  float* parts = work.workspace + (at.sample * gridDim.y + at.part) * kSums * in.channels;
#pragma unroll
  for (int k = 0; k <= kTaps; ++k) {
    sum_runs(sums[k], parts + k * in.channels, at.channel, in.channels);
    if (kBoth) {
      sum_runs(mirrored_sums[k], parts + (kTaps + 1 + k) * in.channels, at.channel, in.channels);
    }
  }
}

// Puts the sum of column [branch][tap, bias last][channel] where it belongs.
struct StoreParameters {
  ParameterGradients to[kMaxBranches];
  int64_t channels;
  int taps;

  __device__ void operator()(int64_t column, float sum) const {
    const int64_t channel = column % channels, k = column / channels % (taps + 1);
    const ParameterGradients& branch = to[column / channels / (taps + 1)];
    if (k < taps) {
      branch.weight[channel * taps + k] = sum;
    } else if (branch.bias != nullptr) {
      branch.bias[channel] = sum;
    }
  }
};

// Calls launch with the number of taps, whether there are two branches, and the number of channels
// that a thread can take at once, as types.
template <class T, int kWide, class Launch>
void dispatch(const Inputs<T>& in, bool aligned, const Launch& launch) {
  const auto with_width = [&](auto taps, auto branches) {
    aligned ? launch(taps, branches, Constant<kWide>()) : launch(taps, branches, Constant<1>());
  };
  const auto with_branches = [&](auto taps) {
    in.branches == 2 ? with_width(taps, Constant<2>()) : with_width(taps, Constant<1>());
  };
  switch (in.taps) {
    case 1:
      return with_branches(Constant<1>());
    case 2:
      return with_branches(Constant<2>());
    case 3:
      return with_branches(Constant<3>());
    default:
      return with_branches(Constant<4>());
  }
}

template <class T, int kWide>
bool aligned(const Rows<T>& rows) {
  return reinterpret_cast<uintptr_t>(rows.data) % (kWide * sizeof(T)) == 0 &&
         rows.batch_stride % kWide == 0 && rows.token_stride % kWide == 0;
}

template <int kWidth>
dim3 grid(int64_t batch, int64_t channels, int64_t blocks) {
  const int64_t groups = (channels + kLanes * kWidth - 1) / (kLanes * kWidth);
  return dim3(static_cast<unsigned>(batch * groups), static_cast<unsigned>(blocks));
}

}  // namespace

int64_t workspace_size(int64_t batch, int64_t length, int64_t channels, int taps, int branches) {
  return batch * cut(length).blocks * branches * (taps + 1) * channels;
}

template <class T>
void forward(const Forward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  if (in.batch * in.length * in.channels == 0) return;
  constexpr int kWide = 4;
  bool wide = in.channels % kWide == 0 && aligned<const T, kWide>(in.x);
  for (int i = 0; i < in.branches; ++i) wide = wide && aligned<T, kWide>(work.out[i]);
  const Cut tokens = cut(in.length);
  dispatch<T, kWide>(in, wide, [&](auto taps, auto branches, auto width) {
    forward_kernel<T, decltype(taps)::value, decltype(branches)::value == 2, decltype(width)::value>
        <<<grid<decltype(width)::value>(in.batch, in.channels, tokens.blocks), dim3(kLanes, kRuns),
           0, stream>>>(work, tokens.run);
  });
}

template <class T>
void backward(const Backward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  constexpr int kWide = 2;
  const Cut tokens = cut(in.length);
  if (in.batch * in.length * in.channels > 0) {
    bool wide =
        in.channels % kWide == 0 && aligned<const T, kWide>(in.x) && aligned<T, kWide>(work.grad_x);
    for (int i = 0; i < in.branches; ++i) wide = wide && aligned<const T, kWide>(work.grad[i]);
    dispatch<T, kWide>(in, wide, [&](auto taps, auto branches, auto width) {
      backward_kernel<T, decltype(taps)::value, decltype(branches)::value == 2,
                      decltype(width)::value>
          <<<grid<decltype(width)::value>(in.batch, in.channels, tokens.blocks),
             dim3(kLanes, kRuns), 0, stream>>>(work, tokens.run);
    });
  }
  const int64_t parts = in.batch * tokens.blocks;
  const int64_t columns = in.branches * (in.taps + 1) * in.channels;
  if (columns == 0) return;
  const StoreParameters to{{work.parameters[0], work.parameters[1]}, in.channels, in.taps};
  sum_rows<<<static_cast<unsigned>((columns + 31) / 32), dim3(32, kSumRows), 0, stream>>>(
      work.workspace, in.length > 0 ? parts : 0, columns, to);
}

template void forward(const Forward<float>&, cudaStream_t);
template void forward(const Forward<__half>&, cudaStream_t);
template void forward(const Forward<__nv_bfloat16>&, cudaStream_t);
template void backward(const Backward<float>&, cudaStream_t);
template void backward(const Backward<__half>&, cudaStream_t);
template void backward(const Backward<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::conv::cuda
