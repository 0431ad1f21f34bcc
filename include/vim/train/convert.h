// What vim-convert does with tensor files: our checkpoints, plain weights, PyTorch's files. What is
// written is read again by read_tensors; a checkpoint of vim-train stays one where its weights keep
// their type and its file the extension .safetensors. All throw Error, which names the file.
#pragma once

#include <filesystem>
#include <optional>
#include <ostream>
#include <vector>

#include "vim/train/predictor.h"

namespace vim::train {

enum class StorageType { kFp64, kFp32, kFp16, kBf16 };

struct InspectOptions {
  bool statistics = false;  // of every tensor's values
  int64_t depth = 100;      // levels of names to show; those below are summed up
};
// The tree of names with shapes and types; then the metadata.
void inspect_file(const std::filesystem::path& file, const InspectOptions& options,
                  std::ostream& out);

// Into the format that the extension of `to` says; every real number of the weights as `precision`.
void convert_file(const std::filesystem::path& from, const std::filesystem::path& to,
                  std::optional<StorageType> precision);

// The chosen weights alone, with configuration and classes where the file has them: in safetensors
// under their plain names, in a PyTorch file as the dict "model", as the official ones are.
void extract_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                     WeightChoice choice);

// Without the state of optimiser, scheduler and gradient scaler: for evaluation, not to resume.
void strip_file(const std::filesystem::path& from, const std::filesystem::path& to);

// The mean of the weights, and of the averaged weights, of files of the same model; the rest is the
// last one's.
void average_files(const std::vector<std::filesystem::path>& from, const std::filesystem::path& to);

// Whether both hold the same; else says what differs.
bool same_files(const std::filesystem::path& a, const std::filesystem::path& b, std::ostream& out);

// Says of each file what it is and how many values are not finite, or how it is damaged. Whether
// all are good.
bool verify_files(const std::vector<std::filesystem::path>& files, std::ostream& out);

}  // namespace vim::train
