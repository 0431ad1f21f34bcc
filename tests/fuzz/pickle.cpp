// The pickle by itself: in a zip archive its checksum guards it, so that changed bytes rarely get
// as far as the reader.
#include "io/pickle.h"

#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <sstream>

#include "fuzz/target.h"
#include "fuzz/tensors.h"
#include "io/malformed.h"
#include "io/torch_pickle.h"

namespace vim::fuzz {
namespace {

at::Tensor storage_of_zeros(const io::StorageId& id, at::ScalarType type) {
  constexpr int64_t kMost = 4096;
  if (id.elements < 0 || id.elements > kMost) throw io::Malformed{"more elements than there are"};
  return at::zeros({id.elements}, type);
}

}  // namespace

void read(std::string_view bytes) {
  std::istringstream stream{std::string(bytes)};
  try {
    const io::Pickle pickle = io::read_pickle(stream, bytes.size());
    touch(io::Flattener(pickle, storage_of_zeros).flatten());
  } catch (const io::Malformed& malformed) {
    if (malformed.what.empty()) std::abort();
  }
}

}  // namespace vim::fuzz
