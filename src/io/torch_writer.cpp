// PyTorch's own writer makes the archive; the pickle in it is ours, since the one that LibTorch
// writes calls functions that torch.load(weights_only=True) refuses.
#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <vector>

#include "io/torch_types.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/io/torch_file.h"

namespace fs = std::filesystem;

namespace vim::io {
namespace {

constexpr size_t kMaxDepth = 64;

// A dict of dicts, whose leaves are texts and tensors.
struct Tree {
  std::map<std::string, Tree> children;
  const std::string* text = nullptr;
  const at::Tensor* tensor = nullptr;
};

class Pickler {
 public:
  // The pickle, protocol 2. `tensors` gets the tensors in the order of their storages' keys.
  static std::string write(const Tree& root, std::vector<at::Tensor>& tensors) {
    Pickler pickler(tensors);
    pickler.out_ = "\x80\x02";
    pickler.value(root);
    pickler.out_ += '.';
    return std::move(pickler.out_);
  }

 private:
  explicit Pickler(std::vector<at::Tensor>& tensors) : tensors_(tensors) {}

  void value(const Tree& tree) {
    if (tree.tensor != nullptr) return tensor(*tree.tensor);
    if (tree.text != nullptr) return text(*tree.text);
    out_ += "}(";
    for (const auto& [name, child] : tree.children) {
      text(name);
      value(child);
    }
    out_ += 'u';
  }

  void number(int64_t value) {
    out_ += "\x8a\x08";
    raw(value);
  }

  void text(std::string_view value) {
    out_ += 'X';
    raw(static_cast<uint32_t>(value.size()));
    out_ += value;
  }

  void numbers(at::IntArrayRef values) {
    out_ += '(';
    for (const int64_t value : values) number(value);
    out_ += 't';
  }

  // _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, OrderedDict())
  void tensor(const at::Tensor& source) {
    const at::Tensor stored = source.detach().cpu().contiguous();
    out_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    text("storage");
    out_ += concat("ctorch\n", storage_of_type(stored.scalar_type()), "\n");
    text(std::to_string(tensors_.size()));
    text("cpu");
    number(stored.numel());
    out_ += "tQ";
    number(0);
    numbers(stored.sizes());
    numbers(stored.strides());
    out_ +=
        "\x89"
        "ccollections\nOrderedDict\n)RtR";
    tensors_.push_back(stored);
  }

  template <class T>
  void raw(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string out_;
  std::vector<at::Tensor>& tensors_;
};

Tree& place(Tree& root, const fs::path& path, const std::string& name) {
  Tree* tree = &root;
  size_t begin = 0, depth = 0;
  for (size_t slash = 0; slash != std::string::npos; begin = slash + 1) {
    slash = name.find('/', begin);
    tree = &tree->children[name.substr(begin, slash - begin)];
    if (tree->text != nullptr || tree->tensor != nullptr || ++depth > kMaxDepth) {
      throw Error(concat(path.string(), ": cannot write '", name,
                         "': another name leads through it, or it is nested too deeply"));
    }
    if (slash == std::string::npos) break;
  }
  if (!tree->children.empty()) {
    throw Error(concat(path.string(), ": cannot write '", name, "': other names lead through it"));
  }
  return *tree;
}

Tree make_tree(const fs::path& path, const TensorFile& content) {
  Tree root;
  for (const auto& [name, text] : content.metadata) place(root, path, name).text = &text;
  for (const auto& [name, tensor] : content.tensors) {
    if (storage_of_type(tensor.scalar_type()).empty()) {
      throw Error(concat(path.string(), ": cannot write tensor '", name,
                         "': PyTorch's files have no storage for ",
                         c10::toString(tensor.scalar_type())));
    }
    place(root, path, name).tensor = &tensor;
  }
  return root;
}

}  // namespace

void write_torch(const fs::path& path, const TensorFile& content) {
  std::vector<at::Tensor> tensors;
  const std::string pickle = Pickler::write(make_tree(path, content), tensors);
  write_atomically(path, [&](FileWriter& file) {
    // The archive is made by C code, through which no exception may pass.
    std::exception_ptr failure;
    const auto write = [&](const void* data, size_t size) -> size_t {
      try {
        if (failure == nullptr) file.write(data, size);
      } catch (...) {
        failure = std::current_exception();
      }
      return failure == nullptr ? size : 0;
    };
    try {
      caffe2::serialize::PyTorchStreamWriter archive(write);
      archive.writeRecord("data.pkl", pickle.data(), pickle.size());
      archive.writeRecord("byteorder", "little", std::strlen("little"));
      for (size_t i = 0; i < tensors.size(); ++i) {
        archive.writeRecord(concat("data/", i), tensors[i].const_data_ptr(), tensors[i].nbytes());
      }
      archive.writeEndOfFile();
    } catch (const std::exception&) {
      if (failure == nullptr) throw;
    }
    if (failure != nullptr) std::rethrow_exception(failure);
  });
}

}  // namespace vim::io
