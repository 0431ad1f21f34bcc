#include "vim/train/convert.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "train/checkpoint.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/io/tensor_file.h"
#include "vim/nn/import.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

constexpr size_t kShownText = 60;
constexpr std::array<std::string_view, 4> kTraining = {"optimizer", "lr_scheduler", "scaler",
                                                       "epoch"};

at::ScalarType type_of(StorageType precision) {
  static constexpr std::array kTypes = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16};
  return kTypes[static_cast<size_t>(precision)];
}

// A checkpoint of ours is verified when it is read; of others the formats' own checks must do.
struct Source {
  explicit Source(const fs::path& path) {
    if (is_checkpoint(path)) {
      checkpoint = load_checkpoint(path);
      file = to_file(*checkpoint);
    } else {
      file = io::read_tensors(path);
    }
  }
  io::TensorFile file;
  std::optional<Checkpoint> checkpoint;
};

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

at::Tensor finite(const at::Tensor& tensor) {
  return tensor.is_floating_point() ? at::isfinite(tensor) : at::ones_like(tensor, at::kBool);
}

int64_t count_not_finite(const at::Tensor& tensor) {
  return tensor.numel() - finite(tensor).sum().item<int64_t>();
}

std::string statistics_of(const at::Tensor& tensor) {
  if (tensor.numel() == 0 || tensor.is_complex()) return "";
  const at::Tensor values = tensor.to(at::kDouble).masked_select(finite(tensor));
  std::string text;
  if (values.numel() > 0) {
    text = concat("  mean ", values.mean().item<double>(), ", std ",
                  values.std(/*unbiased=*/false).item<double>(), ", from ",
                  values.min().item<double>(), " to ", values.max().item<double>());
  }
  const int64_t bad = tensor.numel() - values.numel();
  return bad == 0 ? text : concat(text, "  ", bad, " NOT FINITE");
}

// Names and texts may come from anybody, and go to a terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = '?';
  }
  return text;
}

std::string described(const at::Tensor& tensor) {
  return concat(c10::toString(tensor.scalar_type()), " ", tensor.sizes());
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

Tensors mean_of(const std::vector<Tensors>& files) {
  Tensors result;
  for (const auto& [name, tensor] : files.back()) {
    std::vector<at::Tensor> tensors;
    for (const Tensors& file : files) {
      const auto found = file.find(name);
      if (found == file.end() || file.size() != files.back().size()) {
        throw Error(concat("cannot average: not every file has ", name,
                           ", or one has more; give checkpoints of one model"));
      }
      tensors.push_back(found->second);
    }
    result.emplace(name, mean_of(tensors, name));
  }
  return result;
}

}  // namespace

void inspect_file(const fs::path& path, bool statistics, std::ostream& out) {
  const Source source(path);
  std::string section;
  int64_t values = 0;
  for (const auto& [name, tensor] : source.file.tensors) {
    const size_t slash = name.rfind('/');
    const std::string of = slash == std::string::npos ? "" : name.substr(0, slash + 1);
    if (of != section) out << printable(of) << "\n";
    section = of;
    out << (of.empty() ? "" : "  ") << printable(name.substr(of.size())) << "  "
        << described(tensor) << (statistics ? statistics_of(tensor) : "") << "\n";
    values += tensor.numel();
  }
  out << source.file.tensors.size() << " tensors, " << with_separators(values) << " values\n";
  for (const auto& [key, text] : source.file.metadata) {
    if (text.find('\n') != std::string::npos) {
      out << "\n" << printable(key) << ":\n" << printable(text) << "\n";
    } else {
      out << printable(key) << ": " << printable(text.substr(0, kShownText))
          << (text.size() > kShownText ? "..." : "") << "\n";
    }
  }
}

void convert_file(const fs::path& from, const fs::path& to, std::optional<StorageType> precision) {
  Source source(from);
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
  const Source source(from);
  io::TensorFile result;
  if (source.checkpoint) {
    result.tensors = chosen_weights(*source.checkpoint, choice, from.string());
    for (const char* key : {"config", "classes"}) {
      result.metadata.emplace(key, source.file.metadata.at(key));
    }
  } else {
    result.tensors = nn::find_weights(source.file, choice == WeightChoice::kEma);
  }
  if (result.tensors.empty()) {
    throw Error(concat(from.string(), ": it holds no such weights; see vim-convert inspect"));
  }
  io::write_tensors(to, result);
}

void strip_file(const fs::path& from, const fs::path& to) {
  Source source(from);
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
    Source source(path);
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
    result->model = mean_of(models);
    result->ema = mean_of(averages);
    result->optimizer.clear();
    return write(to, *result);
  }
  last.tensors = mean_of(files);
  io::write_tensors(to, last);
}

bool same_files(const fs::path& a, const fs::path& b, std::ostream& out) {
  const Source left(a), right(b);
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

void verify_file(const fs::path& path, std::ostream& out) {
  const Source source(path);
  int64_t bad = 0;
  for (const auto& [name, tensor] : source.file.tensors) bad += count_not_finite(tensor);
  out << path.string() << ": "
      << (source.checkpoint ? concat("a good checkpoint, step ", source.checkpoint->progress.step)
                            : "a readable tensor file")
      << ", " << source.file.tensors.size() << " tensors";
  if (bad > 0) out << ", " << bad << " values NOT FINITE";
  out << "\n";
}

}  // namespace vim::train
