// The CUDA kernels of a step of AdamW over a list of tensors, without torch. Launchers neither wait
// nor allocate, and can be captured into a graph; the same arguments give the same bits.
#pragma once

#include <cuda_runtime_api.h>
#include <stdint.h>

namespace vim::ops::adamw::cuda {

// As many as fit into a launch's arguments, which are 32,764 bytes.
inline constexpr int kMaxGradients = 1000;
inline constexpr int kMaxParameters = 500;

// Tensors whose numbers are shared out in chunks.
template <class T, int kMax>
struct List {
  int count;
  int first_chunk[kMax + 1];  // of each, counted from this list's first; the last: of all
  T at[kMax];
};

struct Gradient {
  const float* values;
  int64_t size;
};
using Gradients = List<Gradient, kMaxGradients>;

struct Parameter {
  float *value, *exp_avg, *exp_avg_sq;
  float* average;         // or null
  const float* gradient;  // or null: only the average moves
  int64_t size;
  float lr_scale, weight_decay;
};
using Parameters = List<Parameter, kMaxParameters>;

// A block's share of a tensor.
inline constexpr int kChunk = 8192;
inline int64_t chunks_of(int64_t size) {
  return (size + kChunk - 1) / kChunk;
}

struct Partial {
  float squares, overflow;  // of one chunk
};

// Into partials[chunk].
cudaError_t sum_squares(const Gradients& gradients, Partial* partials, cudaStream_t stream);

// From all partials, `chunks` of them. Pointers are on the device; loss_scale and overflow may be
// null.
cudaError_t finish_norm(const Partial* partials, int64_t chunks, const float* loss_scale,
                        float* norm, float* overflow, cudaStream_t stream);

struct Settings {
  double beta1, beta2, eps, max_norm, average_decay;
  const double* lr;                       // on the device, as all pointers
  const float *norm, *loss_scale, *skip;  // null where there is none
};
struct Rates {
  float step_size, inverse_root, decay;  // of one parameter
};

// Counts the step of these parameters and prepares their rates.
cudaError_t prepare(const Parameters& parameters, const Settings& settings, float* steps,
                    Rates* rates, cudaStream_t stream);
cudaError_t update(const Parameters& parameters, const Settings& settings, const Rates* rates,
                   cudaStream_t stream);

}  // namespace vim::ops::adamw::cuda
