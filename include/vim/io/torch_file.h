// PyTorch's files (.pth, .pt): pickled Python objects whose tensors lie beside the pickle, in a zip
// archive since PyTorch 1.6, one after another before ("legacy").
#pragma once

#include "vim/io/tensor_file.h"

namespace vim::io {

// Reads both formats. Nothing in the file is executed: the reader knows tensors, containers,
// numbers and texts, and takes every other Python object for a mere holder of its attributes.
// Trusts nothing: sizes are checked before anything is allocated, nesting and counts are bounded,
// checksums compared, and every violation is one Error that names the file and what is wrong.
//
// A nested object becomes flat: the tensor of {"model": {"head.bias": t}} is called
// "model/head.bias", that of {"state": [t]} "state/0". Numbers and texts go into the metadata under
// their names as JSON, as does an object of another class, as {"class": "module.Name"}.
// Tensors keep the strides that they were saved with, and share memory where they did.
TensorFile read_torch(const std::filesystem::path& path);

// Writes the zip format, which torch.load(weights_only=True) of Python reads: a dict of the
// metadata (those that are JSON as what they say, others as texts) and tensors, nested again at
// each '/'. Error where one name leads through another ("a" and "a/b").
void write_torch(const std::filesystem::path& path, const TensorFile& content);

}  // namespace vim::io
