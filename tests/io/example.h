// A tensor file that holds one of everything, and its comparison.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include "support/catch.h"
#include "vim/io/safetensors.h"

namespace vim::test {

using io::TensorFile;

inline bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && at::equal(a, b);
}

inline void check_same(const TensorFile& read, const TensorFile& written) {
  CHECK(read.metadata == written.metadata);
  REQUIRE(read.tensors.size() == written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    INFO(name);
    CHECK(same(read.tensors.at(name), tensor));
    CHECK(read.tensors.at(name).is_contiguous());
  }
}

inline TensorFile one_of_everything() {
  TensorFile content;
  for (auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    const at::Tensor values = at::randint(0, 2, {6, 5}, at::kLong).to(type);
    const std::string name = c10::toString(type);
    content.tensors[name] = values;
    content.tensors[name + ".transposed"] = values.t();
    content.tensors[name + ".slice"] = values.slice(0, 1, 6, 2).select(1, 3);
    content.tensors[name + ".expanded"] = values[0].expand({3, 5});
    content.tensors[name + ".scalar"] = values[0][0];
    content.tensors[name + ".empty"] = at::zeros({0, 4}, type);
  }
  content.metadata = {{"config", "a: \"b\"\n"}, {"Größe", "日本"}};
  return content;
}

}  // namespace vim::test
