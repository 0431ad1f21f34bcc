#include "train/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using nlohmann::json;

namespace vim::train {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Progress, epoch, step_in_epoch, step,
                                                epoch_loss_sum, epoch_skipped, skipped, best,
                                                best_epoch, headline, ema_headline)

namespace {

constexpr const char* kFormat = "vim checkpoint 2";
constexpr std::string_view kExtension = ".safetensors";

std::string hash_of(const at::Tensor& tensor) {
  return hex(hash64(tensor.const_data_ptr(), tensor.nbytes()));
}

// Of all metadata but itself.
std::string digest(const std::map<std::string, std::string>& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    if (key != "digest") text += concat(key, '\0', value.size(), '\0', value);
  }
  return hex(hash64(text));
}

// A hash of every tensor's name, type and shape.
std::string layout(const io::TensorFile& file) {
  std::string text;
  for (const auto& [name, tensor] : file.tensors) {
    text += concat(name, '\0', tensor.scalar_type(), tensor.sizes(), '\0');
  }
  return hex(hash64(text));
}

void add(io::TensorFile& file, const std::string& prefix,
         const std::map<std::string, at::Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    file.tensors.emplace(prefix + name, tensor.detach().cpu().contiguous());
  }
}

std::map<std::string, at::Tensor> with_prefix(const io::TensorFile& file,
                                              const std::string& prefix) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) tensors.emplace(name.substr(prefix.size()), tensor);
  }
  return tensors;
}

// That the file is what save_checkpoint writes, byte by byte: the hashes guard data and metadata;
// the rest of the header, names, types, shapes and blanks, follows from these.
void verify(const io::TensorFile& file, const fs::path& path) {
  const auto damaged = [&](const std::string& what) {
    throw Error(
        concat(path.string(), ": damaged checkpoint (", what, "); resume from another one"));
  };
  if (file.metadata.at("digest") != digest(file.metadata))
    damaged("its metadata have another hash");
  const json hashes = json::parse(file.metadata.at("hashes"));
  if (hashes.size() != file.tensors.size()) damaged("tensors are missing");
  for (const auto& [name, tensor] : file.tensors) {
    if (hashes.value(name, "") != hash_of(tensor)) damaged("tensor " + name + " has another hash");
  }
  if (file.metadata.at("layout") != layout(file)) damaged("its tensors have other shapes");
  if (!io::has_written_header(path, file)) damaged("its header is not as it was written");
}

// From the header alone, which is not verified here.
int64_t step_of(const fs::path& path) {
  const auto metadata = io::read_safetensors_metadata(path);
  const auto progress = metadata.find("progress");
  const json parsed = progress == metadata.end()
                          ? json()
                          : json::parse(progress->second, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("step") || !parsed["step"].is_number_integer()) {
    throw Error(concat(path.string(), ": not a checkpoint of vim-train, or damaged"));
  }
  return parsed["step"];
}

}  // namespace

io::TensorFile to_file(const Checkpoint& checkpoint) {
  io::TensorFile file;
  add(file, "model/", checkpoint.model);
  add(file, "ema/", checkpoint.ema);
  add(file, "optimizer/", checkpoint.optimizer);
  file.metadata = {{"config", checkpoint.config},
                   {"version", checkpoint.version},
                   {"classes", json(checkpoint.classes).dump()},
                   {"progress", json(checkpoint.progress).dump()},
                   {"processes", std::to_string(checkpoint.processes)}};
  return file;
}

bool is_checkpoint(const fs::path& path) {
  try {
    const auto metadata = io::read_safetensors_metadata(path);
    const auto format = metadata.find("format");
    return format != metadata.end() && format->second == kFormat;
  } catch (const Error&) {  // of another format
    return false;
  }
}

void seal(io::TensorFile& file) {
  json hashes = json::object();
  for (const auto& [name, tensor] : file.tensors) hashes[name] = hash_of(tensor);
  file.metadata["format"] = kFormat;
  file.metadata["hashes"] = hashes.dump();
  file.metadata["layout"] = layout(file);
  file.metadata["digest"] = digest(file.metadata);
}

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint) {
  io::TensorFile file = to_file(checkpoint);
  seal(file);
  io::write_safetensors(path, file);
}

Checkpoint load_checkpoint(const fs::path& path) {
  if (fs::is_directory(path)) {
    throw Error(
        concat(path.string(),
               ": is a folder; name a file, such as checkpoints/best.safetensors of a run"));
  }
  const io::TensorFile file = io::read_safetensors(path);
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) {
    throw Error(concat(path.string(), ": not a checkpoint of vim-train (its metadata name no \"",
                       kFormat, "\"); give one from a run's checkpoints folder"));
  }
  try {
    verify(file, path);
    Checkpoint checkpoint;
    checkpoint.config = file.metadata.at("config");
    checkpoint.version = file.metadata.at("version");
    checkpoint.classes = json::parse(file.metadata.at("classes"));
    checkpoint.progress = json::parse(file.metadata.at("progress"));
    const auto processes = file.metadata.find("processes");
    if (processes != file.metadata.end()) checkpoint.processes = json::parse(processes->second);
    checkpoint.model = with_prefix(file, "model/");
    checkpoint.ema = with_prefix(file, "ema/");
    checkpoint.optimizer = with_prefix(file, "optimizer/");
    return checkpoint;
  } catch (const json::exception& problem) {
    throw Error(concat(path.string(), ": damaged checkpoint (", problem.what(),
                       "); resume from another one"));
  } catch (const std::out_of_range&) {
    throw Error(concat(path.string(),
                       ": damaged checkpoint (metadata are missing); resume from another one"));
  }
}

RunConfig config_of(const Checkpoint& checkpoint, const std::string& source,
                    const std::vector<std::string>& overrides) {
  return config::load_text<RunConfig>(checkpoint.config, "the configuration in " + source,
                                      overrides);
}

bool chooses_ema(const Checkpoint& checkpoint, WeightChoice choice, const std::string& source) {
  const Progress& progress = checkpoint.progress;
  const bool ema = choice == WeightChoice::kEma ||
                   (choice == WeightChoice::kAuto && progress.ema_headline > progress.headline);
  if (ema && checkpoint.ema.empty()) {
    throw UsageError(concat(
        source, " holds no averaged weights (ema.enabled was false); take those of the model"));
  }
  return ema;
}

const nn::Weights& chosen_weights(const Checkpoint& checkpoint, WeightChoice choice,
                                  const std::string& source) {
  return chooses_ema(checkpoint, choice, source) ? checkpoint.ema : checkpoint.model;
}

std::optional<FoundCheckpoint> newest_checkpoint(const fs::path& folder) {
  const auto pass_over = [](const Error& damage) {
    log::warning(concat("passed over: ", damage.what()));
  };
  std::multimap<int64_t, fs::path, std::greater<>> candidates;  // by step
  if (fs::is_directory(folder)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != kExtension) continue;
      try {
        candidates.emplace(step_of(entry.path()), entry.path());
      } catch (const Error& damage) {
        pass_over(damage);
      }
    }
  }
  // Of two of the same step, "last" is written last.
  const fs::path last = folder / concat("last", kExtension);
  for (auto group = candidates.begin(); group != candidates.end();) {
    const auto [begin, end] = candidates.equal_range(group->first);
    std::vector<fs::path> paths;
    for (auto item = begin; item != end; ++item) paths.push_back(item->second);
    std::ranges::sort(paths, {},
                      [&](const fs::path& path) { return std::pair(path != last, path); });
    for (const fs::path& path : paths) {
      try {
        return FoundCheckpoint{path, load_checkpoint(path)};
      } catch (const Error& damage) {
        pass_over(damage);
      }
    }
    group = end;
  }
  return std::nullopt;
}

}  // namespace vim::train
