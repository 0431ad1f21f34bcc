// Weights from elsewhere: official Vim checkpoints, DeiT's, our own, of another size or class
// count.
#pragma once

#include <string>
#include <vector>

#include "vim/io/tensor_file.h"
#include "vim/nn/config.h"
#include "vim/nn/weights.h"

namespace vim::nn {

// The weights that a tensor file holds under the names that we, the official code and timm use:
// "model/", "state_dict/" or "param/" before the names or nothing, or, of the average, "ema/",
// "model_ema/" or "state_dict_ema/". A "module." before a name, of a model that was trained in
// parallel, is dropped. Empty where there are none.
Weights find_weights(const io::TensorFile& file, bool averaged);

// What import_weights did, by name.
struct ImportReport {
  size_t matched = 0;
  std::vector<std::string> reshaped;    // "pos_embed [1, 197, 192] to [1, 730, 192]"
  std::vector<std::string> replaced;    // the head, where the classes differ: newly initialised
  std::vector<std::string> missing;     // of the model, which keeps its initial values there
  std::vector<std::string> unexpected;  // of the file
  bool complete() const { return missing.empty() && unexpected.empty(); }
  std::string text() const;
};

// Copies weights into the model, whatever their type. A head of other classes is left as it was
// initialised; a position embedding is resized to the model's grid as config.pos_interp says (the
// file's grid is taken for square). Throws Error, which names `source` and all that differs, and
// copies nothing where anything else does not fit, or a name is missing or unexpected and
// config.init_partial does not allow it.
ImportReport import_weights(torch::nn::Module& model, const ModelConfig& config,
                            const Weights& weights, const std::string& source);

// A position embedding [1, tokens, width] for another grid of patches; the class tokens of the
// model stand among the patches (ClassToken). Throws Error where the patches that it has form no
// square.
at::Tensor resize_position_embedding(const at::Tensor& embedding, const ModelConfig& config);

}  // namespace vim::nn
