// What PyTorch's pickles mean: from values to named tensors.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/pickle.h"
#include "vim/io/tensor_file.h"

namespace vim::io {

// What a persistent id says: ("storage", type, key, place, elements[, view]).
struct StorageId {
  std::string key;
  std::optional<at::ScalarType> type;  // nothing where the elements are bytes of any type
  std::string type_name;
  int64_t elements = 0;
  int64_t offset = 0;  // of a view into a larger storage (legacy)
};

// The elements of a storage, as this type. Throws Malformed where there are none.
using Storages = std::function<at::Tensor(const StorageId&, at::ScalarType)>;

// The arguments of torch._utils._rebuild_tensor and its later versions.
struct TensorPlan {
  StorageId storage;
  std::string type_name;
  std::optional<at::ScalarType> type;  // nothing where we know no such type
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
};

// Follows the values from the root. What it meets is bounded, so that no pickle keeps it for long.
class Flattener {
 public:
  Flattener(const Pickle& pickle, Storages storages)
      : pickle_(pickle), storages_(std::move(storages)) {}

  TensorFile flatten() {
    visit(pickle_.root, "", 0);
    return std::move(content_);
  }

  StorageId storage_id(const Value& persistent) const;

 private:
  const Value& at(uint32_t position) const { return pickle_.values[position]; }
  const Value& item(const Value& value, size_t index, Kind kind, const char* what) const;
  int64_t whole_number(const Value& list, size_t index, const char* what) const;
  std::vector<int64_t> whole_numbers(const Value& list, size_t index, const char* what) const;

  void visit(uint32_t position, const std::string& path, int depth);
  void visit_pairs(const Value& value, size_t first, const std::string& path, int depth);
  void visit_object(const Value& object, const std::string& path, int depth);
  bool add_tensor(const Value& object, const std::string& path);
  void note(const std::string& path, const nlohmann::json& value);
  TensorPlan plan(const Value& arguments, bool typed) const;
  at::Tensor build(const TensorPlan& plan) const;

  const Pickle& pickle_;
  Storages storages_;
  TensorFile content_;
  int64_t visits_ = 0;
};

}  // namespace vim::io
