#include "io/torch_pickle.h"

#include <ATen/ops/as_strided.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/malformed.h"
#include "io/torch_types.h"
#include "vim/core/text.h"

namespace vim::io {
namespace {

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxVisits = 500'000;  // a value counts as often as something refers to it
constexpr size_t kMaxName = 1024;
constexpr size_t kMaxDimensions = 64;               // of LibTorch's kernels
constexpr int64_t kMaxExpanded = int64_t{1} << 31;  // bytes of a tensor that repeats its storage

}  // namespace

const Value& Flattener::item(const Value& value, size_t index, Kind kind, const char* what) const {
  if (index >= value.items.size() || at(value.items[index]).kind != kind) {
    throw Malformed{concat("a tensor has no ", what)};
  }
  return at(value.items[index]);
}

int64_t Flattener::whole_number(const Value& list, size_t index, const char* what) const {
  const int64_t number = item(list, index, Kind::kInt, what).integer;
  if (number < 0) throw Malformed{concat("a tensor has the ", what, " ", number)};
  return number;
}

std::vector<int64_t> Flattener::whole_numbers(const Value& list, size_t index,
                                              const char* what) const {
  // torch.Size(numbers) in some pickles.
  const Value* numbers = index < list.items.size() ? &at(list.items[index]) : &list;
  if (numbers->kind == Kind::kObject) numbers = &at(numbers->items[kObjectArguments]);
  if (numbers->kind != Kind::kSequence) throw Malformed{concat("a tensor has no ", what)};
  if (numbers->items.size() == 1 && at(numbers->items[0]).kind == Kind::kSequence) {
    numbers = &at(numbers->items[0]);
  }
  if (numbers->items.size() > kMaxDimensions) {
    throw Malformed{concat("a tensor has more than ", kMaxDimensions, " dimensions")};
  }
  std::vector<int64_t> result;
  for (size_t i = 0; i < numbers->items.size(); ++i) {
    result.push_back(whole_number(*numbers, i, what));
  }
  return result;
}

StorageId Flattener::storage_id(const Value& persistent) const {
  const Value& id = item(persistent, 0, Kind::kSequence, "storage");
  if (item(id, 0, Kind::kText, "storage").text != "storage") {
    throw Malformed{"it refers to something that is no storage"};
  }
  StorageId storage;
  storage.type_name = item(id, 1, Kind::kGlobal, "storage type").text;
  storage.type = type_of_storage(storage.type_name);
  storage.key = item(id, 2, Kind::kText, "storage key").text;
  storage.elements = whole_number(id, 4, "storage size");
  if (id.items.size() > 5 && at(id.items[5]).kind == Kind::kSequence) {
    storage.offset = whole_number(at(id.items[5]), 1, "view offset");
  }
  return storage;
}

// `typed`: the storage says what its elements are; else the eighth argument (_rebuild_tensor_v3).
TensorPlan Flattener::plan(const Value& arguments, bool typed) const {
  TensorPlan plan;
  plan.storage = storage_id(item(arguments, 0, Kind::kPersistent, "storage"));
  plan.type_name = plan.storage.type_name;
  plan.type = plan.storage.type;
  if (!typed) {
    plan.type_name = item(arguments, 6, Kind::kGlobal, "dtype").text;
    plan.type = type_called(plan.type_name);
  }
  plan.offset = whole_number(arguments, 1, "storage offset");
  plan.sizes = whole_numbers(arguments, 2, "shape");
  plan.strides = whole_numbers(arguments, 3, "strides");
  if (plan.sizes.size() != plan.strides.size()) {
    throw Malformed{"a tensor has another number of strides than of dimensions"};
  }
  return plan;
}

at::Tensor Flattener::build(const TensorPlan& plan) const {
  const at::Tensor storage = storages_(plan.storage, *plan.type);
  int64_t end = 1, elements = 1, offset = plan.offset;
  bool overflow = __builtin_add_overflow(offset, plan.storage.offset, &offset);
  bool empty = false;
  for (size_t i = 0; i < plan.sizes.size(); ++i) {
    int64_t reach = 0;
    const int64_t size = std::max<int64_t>(plan.sizes[i], 1);
    empty |= plan.sizes[i] == 0;
    overflow |= __builtin_mul_overflow(size - 1, plan.strides[i], &reach);
    overflow |= __builtin_add_overflow(end, reach, &end);
    overflow |= __builtin_mul_overflow(elements, size, &elements);
  }
  int64_t bytes = 0;
  overflow |=
      __builtin_mul_overflow(elements, static_cast<int64_t>(c10::elementSize(*plan.type)), &bytes);
  overflow |= __builtin_add_overflow(end, offset, &end);
  if (overflow || (empty ? offset : end) > storage.numel()) {
    throw Malformed{concat("a tensor reaches beyond the ", storage.numel(),
                           " elements of its storage '", plan.storage.key, "'")};
  }
  if (!empty && elements > storage.numel() && bytes > kMaxExpanded) {
    throw Malformed{concat("a tensor repeats its storage '", plan.storage.key, "' to ",
                           as_bytes(static_cast<double>(bytes)))};
  }
  return at::as_strided(storage, plan.sizes, plan.strides, offset);
}

// Whether the object is a tensor. Each of the wrappers around one holds the next as an argument.
bool Flattener::add_tensor(const Value& object, const std::string& path) {
  const Value* arguments = &object;
  std::string callable = object.text;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    arguments =
        arguments->kind == Kind::kObject ? &at(arguments->items[kObjectArguments]) : arguments;
    const bool typed =
        callable == "torch._utils._rebuild_tensor_v2" || callable == "torch._utils._rebuild_tensor";
    if (typed || callable == "torch._utils._rebuild_tensor_v3") {
      const TensorPlan found = plan(*arguments, typed);
      if (found.type) {
        content_.tensors.insert_or_assign(path.empty() ? "tensor" : path, build(found));
      } else {
        note(path, {{"class", found.type_name}});
      }
      return true;
    }
    if (callable == "torch._utils._rebuild_parameter" ||
        callable == "torch._utils._rebuild_parameter_with_state" ||
        callable == "torch.nn.parameter.Parameter") {
      arguments = &item(*arguments, 0, Kind::kObject, "data");
      callable = arguments->text;
    } else if (callable == "torch._tensor._rebuild_from_type_v2") {
      callable = item(*arguments, 0, Kind::kGlobal, "type").text;
      arguments = &item(*arguments, 2, Kind::kSequence, "arguments");
    } else {
      return false;
    }
  }
  throw Malformed{"a tensor is nested too deeply"};
}

void Flattener::note(const std::string& path, const nlohmann::json& value) {
  content_.metadata.insert_or_assign(
      path.empty() ? "value" : path,
      value.is_string() ? value.get<std::string>()
                        : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Flattener::visit_object(const Value& object, const std::string& path, int depth) {
  if (add_tensor(object, path)) return;
  const bool is_dict = object.text == "collections.OrderedDict" ||
                       object.text == "collections.defaultdict" || object.text == "builtins.dict" ||
                       object.text == "__builtin__.dict";
  if (!is_dict) {
    note(path, {{"class", object.text}});
    const Value& state = at(object.items[kObjectState]);
    if (state.kind == Kind::kDict) visit_pairs(state, 0, path, depth);
  } else if (const Value& arguments = at(object.items[kObjectArguments]);
             arguments.kind == Kind::kSequence) {
    for (const uint32_t list : arguments.items) {  // OrderedDict([(key, value), ...])
      if (at(list).kind != Kind::kSequence) continue;
      for (const uint32_t pair : at(list).items) {
        if (at(pair).kind == Kind::kSequence && at(pair).items.size() == 2) {
          visit_pairs(at(pair), 0, path, depth);
        }
      }
    }
  }
  visit_pairs(object, kObjectPairs, path, depth);
}

void Flattener::visit_pairs(const Value& value, size_t first, const std::string& path, int depth) {
  for (size_t i = first; i + 1 < value.items.size(); i += 2) {
    const Value& key = at(value.items[i]);
    const std::string name = key.kind == Kind::kText  ? key.text
                             : key.kind == Kind::kInt ? std::to_string(key.integer)
                                                      : std::to_string((i - first) / 2);
    visit(value.items[i + 1], path.empty() ? name : path + "/" + name, depth + 1);
  }
}

void Flattener::visit(uint32_t position, const std::string& path, int depth) {
  if (++visits_ > kMaxVisits) throw Malformed{concat("it holds more than ", kMaxVisits, " values")};
  if (depth > kMaxDepth) throw Malformed{concat("it is nested more than ", kMaxDepth, " deep")};
  if (path.size() > kMaxName) throw Malformed{"it holds a name without end"};
  const Value& value = at(position);
  switch (value.kind) {
    case Kind::kNone:
      return note(path, nullptr);
    case Kind::kBool:
      return note(path, value.integer != 0);
    case Kind::kInt:
      return note(path, value.integer);
    case Kind::kFloat:
      return std::isfinite(value.real) ? note(path, value.real)
                                       : note(path, std::to_string(value.real));
    case Kind::kText:
      return note(path, value.text);
    case Kind::kBytes:
      return note(path, {{"bytes", value.text.size()}});
    case Kind::kGlobal:
      return note(path, {{"class", value.text}});
    case Kind::kPersistent:
      return note(path, {{"class", "storage"}});
    case Kind::kSequence:
      for (size_t i = 0; i < value.items.size(); ++i) {
        const std::string name = std::to_string(i);
        visit(value.items[i], path.empty() ? name : path + "/" + name, depth + 1);
      }
      return;
    case Kind::kDict:
      return visit_pairs(value, 0, path, depth);
    case Kind::kObject:
      return visit_object(value, path, depth);
  }
}

}  // namespace vim::io
