#include "train/tensor_source.h"

#include <ATen/ATen.h>

#include "vim/core/text.h"

namespace vim::train {
namespace {

at::Tensor finite(const at::Tensor& tensor) {
  return tensor.is_floating_point() ? at::isfinite(tensor) : at::ones_like(tensor, at::kBool);
}

}  // namespace

TensorSource::TensorSource(const std::filesystem::path& path) {
  if (is_checkpoint(path)) {
    checkpoint = load_checkpoint(path);
    file = to_file(*checkpoint);
  } else {
    file = io::read_tensors(path);
  }
}

std::string described(const at::Tensor& tensor) {
  return concat(c10::getDtypeNames(tensor.scalar_type()).first, " ", tensor.sizes());
}

int64_t count_not_finite(const at::Tensor& tensor) {
  return tensor.numel() - finite(tensor).sum().item<int64_t>();
}

std::string statistics_of(const at::Tensor& tensor) {
  if (tensor.numel() == 0 || tensor.is_complex()) return "";
  const at::Tensor values = tensor.to(at::kDouble).masked_select(finite(tensor));
  std::string text;
  if (values.numel() > 0) {
    text = concat("mean ", values.mean().item<double>(), ", std ",
                  values.std(/*unbiased=*/false).item<double>(), ", from ",
                  values.min().item<double>(), " to ", values.max().item<double>());
  }
  const int64_t bad = tensor.numel() - values.numel();
  return bad == 0 ? text : concat(text, text.empty() ? "" : ", ", bad, " NOT FINITE");
}

}  // namespace vim::train
