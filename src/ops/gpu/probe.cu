// A kernel that does nothing, to ask whether this build's kernels can be loaded.
#include "ops/gpu/probe.h"

namespace vim::ops {
namespace {

__global__ void nothing() {}

}  // namespace

cudaError_t probe() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, nothing);
}

}  // namespace vim::ops
