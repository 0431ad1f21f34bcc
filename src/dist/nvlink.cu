// In CUDA for its runtime alone, which CMake links with what holds a file of this language.
#include <cuda_runtime_api.h>

#include "dist/nvlink.h"

namespace vim::dist {

// Over NVLink a GPU's atomic operations work on another's memory, over PCI Express they do not.
bool is_linked_to_others(int device, int size) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count < size) return false;
  for (int other = 0; other < count; ++other) {
    int atomics = 0;
    if (other != device && (cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported,
                                                      device, other) != cudaSuccess ||
                            atomics == 0)) {
      return false;
    }
  }
  return true;
}

}  // namespace vim::dist
