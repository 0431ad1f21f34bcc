// The fixtures of the official Python code, as our configuration and tensors.
#pragma once

#include <map>
#include <string>

#include "vim/io/safetensors.h"
#include "vim/nn/model.h"
#include "vim/nn/weights.h"

namespace vim::test {

struct OfficialModel {
  nn::ModelConfig config;
  io::TensorFile file;

  const at::Tensor& operator[](const std::string& name) const { return file.tensors.at(name); }
  // The tensors whose names start with `prefix`, without it.
  nn::Weights with_prefix(const std::string& prefix) const;
  // A model with the file's parameters.
  std::shared_ptr<nn::Classifier> build() const;
};

// Translates the official constructor arguments (the file's `config` metadata).
nn::ModelConfig translate_official(const std::string& json);

OfficialModel read_official(const std::string& fixture_name);

}  // namespace vim::test
