#include "vim/train/convert.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "train/checkpoint.h"
#include "train/tensor_source.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/io/tensor_file.h"
#include "vim/nn/import.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

constexpr std::array<std::string_view, 4> kTraining = {"optimizer", "lr_scheduler", "scaler",
                                                       "epoch"};

at::ScalarType type_of(StorageType precision) {
  static constexpr std::array kTypes = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16};
  return kTypes[static_cast<size_t>(precision)];
}

// What is left out would be lost.
void require_other_file(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  if (fs::equivalent(from, to, problem)) {
    throw UsageError(concat(to.string(), ": is the file to read; name another one to write"));
  }
}

// As a checkpoint, where it was one and still can be.
void write(const fs::path& to, const Checkpoint& checkpoint) {
  if (to.extension() == ".safetensors") {
    save_checkpoint(to, checkpoint);
  } else {
    io::write_tensors(to, to_file(checkpoint));
  }
}

bool is_of_training(const std::string& name) {
  return std::ranges::find(kTraining, name.substr(0, name.find('/'))) != kTraining.end();
}

// Mean in double precision; what is no real number must be equal in all.
at::Tensor mean_of(const std::vector<at::Tensor>& tensors, const std::string& name) {
  if (!tensors.front().is_floating_point()) return tensors.back();
  at::Tensor sum = at::zeros(tensors.front().sizes(), at::kDouble);
  for (const at::Tensor& tensor : tensors) {
    if (tensor.sizes() != sum.sizes()) {
      throw Error(concat("cannot average ", name, ": its shapes are ", sum.sizes(), " and ",
                         tensor.sizes(), "; give checkpoints of one model"));
    }
    sum += tensor;
  }
  return (sum / static_cast<double>(tensors.size())).to(tensors.back().scalar_type());
}

using Tensors = std::map<std::string, at::Tensor>;

void require_same_names(const std::vector<Tensors>& files, const std::vector<fs::path>& paths) {
  for (size_t i = 0; i + 1 < files.size(); ++i) {
    for (const auto& [with, without] : {std::pair(i, files.size() - 1), {files.size() - 1, i}}) {
      for (const auto& [name, tensor] : files[with]) {
        if (files[without].contains(name)) continue;
        throw Error(concat("cannot average: ", paths[with].string(), " has ", name, " and ",
                           paths[without].string(), " has not; give checkpoints of one model"));
      }
    }
  }
}

// `paths` are those of the files.
Tensors mean_of(const std::vector<Tensors>& files, const std::vector<fs::path>& paths) {
  require_same_names(files, paths);
  Tensors result;
  for (const auto& [name, tensor] : files.back()) {
    std::vector<at::Tensor> tensors;
    for (const Tensors& file : files) tensors.push_back(file.at(name));
    result.emplace(name, mean_of(tensors, name));
  }
  return result;
}

}  // namespace

void convert_file(const fs::path& from, const fs::path& to, std::optional<StorageType> precision) {
  require_other_file(from, to);
  TensorSource source(from);
  if (!precision) {
    return source.checkpoint ? write(to, *source.checkpoint) : io::write_tensors(to, source.file);
  }
  for (auto& [name, tensor] : source.file.tensors) {
    if (tensor.is_floating_point() && !is_of_training(name))
      tensor = tensor.to(type_of(*precision));
  }
  io::write_tensors(to, source.file);
}

void extract_weights(const fs::path& from, const fs::path& to, WeightChoice choice) {
  require_other_file(from, to);
  const TensorSource source(from);
  io::TensorFile result;
  Tensors weights;
  if (source.checkpoint) {
    weights = chosen_weights(*source.checkpoint, choice, from.string());
    for (const char* key : {"config", "classes"}) {
      result.metadata.emplace(key, source.file.metadata.at(key));
    }
  } else {
    weights = nn::find_weights(source.file, choice == WeightChoice::kEma);
  }
  if (weights.empty()) {
    throw Error(concat(from.string(), ": it holds no such weights; see vim-convert inspect"));
  }
  // Safetensors keep metadata apart; of a PyTorch file they would become more of the weights.
  const std::string prefix = to.extension() == ".safetensors" ? "" : "model/";
  for (const auto& [name, tensor] : weights) result.tensors.emplace(prefix + name, tensor);
  io::write_tensors(to, result);
}

void strip_file(const fs::path& from, const fs::path& to) {
  require_other_file(from, to);
  TensorSource source(from);
  if (source.checkpoint) {
    source.checkpoint->optimizer.clear();
    return write(to, *source.checkpoint);
  }
  std::erase_if(source.file.tensors, [](const auto& item) { return is_of_training(item.first); });
  std::erase_if(source.file.metadata, [](const auto& item) { return is_of_training(item.first); });
  io::write_tensors(to, source.file);
}

void average_files(const std::vector<fs::path>& from, const fs::path& to) {
  std::vector<Tensors> models, averages, files;
  std::optional<Checkpoint> result;
  io::TensorFile last;
  for (const fs::path& path : from) {
    TensorSource source(path);
    std::erase_if(source.file.tensors, [](const auto& item) { return is_of_training(item.first); });
    if (source.checkpoint) {
      models.push_back(source.checkpoint->model);
      averages.push_back(source.checkpoint->ema);
      result = std::move(source.checkpoint);
    }
    last = source.file;
    files.push_back(std::move(source.file.tensors));
  }
  if (models.size() == from.size()) {
    result->model = mean_of(models, from);
    result->ema = mean_of(averages, from);
    result->optimizer.clear();
    return write(to, *result);
  }
  last.tensors = mean_of(files, from);
  io::write_tensors(to, last);
}

bool same_files(const fs::path& a, const fs::path& b, std::ostream& out) {
  const TensorSource left(a), right(b);
  bool same = true;
  const auto differs = [&](const auto&... what) {
    out << concat(what...) << "\n";
    same = false;
  };
  for (const auto& [name, tensor] : left.file.tensors) {
    const auto found = right.file.tensors.find(name);
    if (found == right.file.tensors.end()) {
      differs(name, ": only in ", a.string());
    } else if (described(tensor) != described(found->second)) {
      differs(name, ": ", described(tensor), " and ", described(found->second));
    } else if (!tensor.equal(found->second)) {
      const at::Tensor distance = (tensor.to(at::kDouble) - found->second.to(at::kDouble)).abs();
      differs(name, ": differs by up to ", distance.max().item<double>(), ", on average by ",
              distance.mean().item<double>());
    }
  }
  for (const auto& [name, tensor] : right.file.tensors) {
    if (!left.file.tensors.contains(name)) differs(name, ": only in ", b.string());
  }
  std::set<std::string> keys;
  for (const auto* metadata : {&left.file.metadata, &right.file.metadata}) {
    for (const auto& [key, text] : *metadata) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const auto x = left.file.metadata.find(key), y = right.file.metadata.find(key);
    if (x == left.file.metadata.end() || y == right.file.metadata.end() || x->second != y->second) {
      differs("metadata '", key, "' differs");
    }
  }
  return same;
}

bool verify_files(const std::vector<fs::path>& files, std::ostream& out) {
  size_t good = 0;
  for (const fs::path& path : files) {
    try {
      const TensorSource source(path);
      int64_t bad = 0;
      for (const auto& [name, tensor] : source.file.tensors) bad += count_not_finite(tensor);
      out << path.string() << ": "
          << (source.checkpoint
                  ? concat("a good checkpoint, step ", source.checkpoint->progress.step)
                  : "a readable tensor file")
          << ", " << source.file.tensors.size() << " tensors";
      if (bad > 0) out << ", " << bad << " values NOT FINITE";
      out << "\n";
      ++good;
    } catch (const Error& damage) {
      out << damage.what() << "\n";
    }
  }
  return good == files.size();
}

}  // namespace vim::train
