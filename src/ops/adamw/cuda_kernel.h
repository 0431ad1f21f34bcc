// The CUDA kernels of a step of AdamW over a list of tensors, without torch. Launchers neither wait
// nor allocate, and can be captured into a graph; the same arguments give the same bits.
#pragma once

#include <cuda_runtime_api.h>
#include <stdint.h>

namespace vim::ops::adamw::cuda {

struct Parameter {
  float *value, *exp_avg, *exp_avg_sq;
  float* average;         // or null
  const float* gradient;  // or null: only the average moves
  int64_t size;
  float lr_scale, weight_decay;
};

// As many as fit into a launch's arguments, which are 32,764 bytes.
inline constexpr int kMaxParameters = 500;

struct Parameters {
  int count;
  int first_chunk[kMaxParameters + 1];  // of each, counted from this list's first; the last: of all
  Parameter at[kMaxParameters];
};

// A block's share of a tensor.
inline constexpr int kChunk = 8192;
inline int64_t chunks_of(int64_t size) {
  return (size + kChunk - 1) / kChunk;
}

struct Settings {
  double beta1, beta2, eps, max_norm, average_decay;
  const double* lr;         // on the device, as all pointers
  const float* loss_scale;  // or null
  float* overflow;          // null where loss_scale is
};

// What the launches of a step tell each other, on the device.
struct Total {
  float norm;    // of the gradients, divided by the loss scale
  float factor;  // of the gradients
  float skip;    // 1: no parameter moves
};
struct Rates {
  float step_size, inverse_root, decay;  // of one parameter
};
struct Partial {
  float squares, overflow;  // of one chunk
};

// Of the gradients of these parameters, into partials[chunk].
cudaError_t sum_squares(const Parameters& parameters, const Settings& settings, Partial* partials,
                        cudaStream_t stream);

// From all partials, `chunks` of them (0: the gradients' norm does not matter), to the total;
// counts the step of these parameters and prepares their rates.
cudaError_t finish(const Parameters& parameters, const Settings& settings, const Partial* partials,
                   int64_t chunks, float* steps, Rates* rates, Total* total, cudaStream_t stream);

cudaError_t update(const Parameters& parameters, const Settings& settings, const Rates* rates,
                   const Total* total, cudaStream_t stream);

}  // namespace vim::ops::adamw::cuda
