// A tensor file, as vim-convert reads it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "train/checkpoint.h"
#include "vim/io/tensor_file.h"

namespace vim::train {

struct TensorSource {
  // A checkpoint of ours is verified when it is read; of others the formats' own checks must do.
  explicit TensorSource(const std::filesystem::path& path);
  io::TensorFile file;
  std::optional<Checkpoint> checkpoint;
};

// "Float [3, 4]"
std::string described(const at::Tensor& tensor);

int64_t count_not_finite(const at::Tensor& tensor);

// "mean 0.1, std 2, from -3 to 4", of the finite values, and how many are not.
std::string statistics_of(const at::Tensor& tensor);

}  // namespace vim::train
