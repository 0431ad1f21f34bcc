#include "train/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
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

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Progress, epoch, step_in_epoch, step, epoch_loss_sum, best,
                                   headline, ema_headline)

namespace {

constexpr const char* kFormat = "vim checkpoint 1";
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

void add(io::TensorFile& file, json& hashes, const std::string& prefix,
         const std::map<std::string, at::Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor host = tensor.detach().cpu().contiguous();
    hashes[prefix + name] = hash_of(host);
    file.tensors.emplace(prefix + name, host);
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
}

}  // namespace

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint) {
  io::TensorFile file;
  json hashes = json::object();
  add(file, hashes, "model/", checkpoint.model);
  add(file, hashes, "ema/", checkpoint.ema);
  add(file, hashes, "optimizer/", checkpoint.optimizer);
  file.metadata = {{"format", kFormat},
                   {"config", checkpoint.config},
                   {"version", checkpoint.version},
                   {"classes", json(checkpoint.classes).dump()},
                   {"progress", json(checkpoint.progress).dump()},
                   {"hashes", hashes.dump()}};
  file.metadata["digest"] = digest(file.metadata);
  io::write_safetensors(path, file);
}

Checkpoint load_checkpoint(const fs::path& path) {
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
  std::vector<fs::path> candidates;
  if (fs::is_directory(folder)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == kExtension) candidates.push_back(entry.path());
    }
  }
  std::optional<FoundCheckpoint> newest;
  for (const fs::path& path : candidates) {
    try {
      Checkpoint checkpoint = load_checkpoint(path);
      if (!newest || checkpoint.progress.step > newest->checkpoint.progress.step) {
        newest = {path, std::move(checkpoint)};
      }
    } catch (const Error& damage) {
      log::warning(concat("passed over: ", damage.what()));
    }
  }
  return newest;
}

}  // namespace vim::train
