#include "train/dump.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using nlohmann::json;

namespace vim::train {
namespace {

constexpr const char* kFormat = "vim dump 1";
constexpr std::string_view kWeights = "weights/";

std::string input_name(int rank, size_t batch, size_t index) {
  return concat("inputs/", rank, "/", batch, "/", index);
}

std::vector<tasks::Inputs> inputs_of(const io::TensorFile& file, int rank) {
  std::vector<tasks::Inputs> batches;
  const auto find = [&](size_t index) {
    return file.tensors.find(input_name(rank, batches.size(), index));
  };
  for (auto found = find(0); found != file.tensors.end(); found = find(0)) {
    tasks::Inputs inputs;
    for (; found != file.tensors.end(); found = find(inputs.size())) {
      inputs.push_back(found->second);
    }
    batches.push_back(std::move(inputs));
  }
  return batches;
}

}  // namespace

void save_dump(const fs::path& path, const Dump& dump) {
  io::TensorFile file;
  std::vector<int> ranks;
  for (const auto& [name, tensor] : dump.weights) {
    file.tensors.emplace(concat(kWeights, name), tensor.detach());
  }
  for (const auto& [rank, batches] : dump.inputs) {
    ranks.push_back(rank);
    for (size_t b = 0; b < batches.size(); ++b) {
      for (size_t i = 0; i < batches[b].size(); ++i) {
        file.tensors.emplace(input_name(rank, b, i), batches[b][i]);
      }
    }
  }
  file.metadata = {{"format", kFormat},
                   {"config", dump.config},
                   {"version", dump.version},
                   {"dump", json{{"step", dump.step},
                                 {"processes", dump.processes},
                                 {"loss_scale", dump.loss_scale},
                                 {"ranks", ranks}}
                                .dump()}};
  io::write_safetensors(path, file);
}

Dump load_dump(const fs::path& path) {
  const io::TensorFile file = io::read_safetensors(path);
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) {
    throw Error(concat(path.string(), ": not a dump of vim-train (its metadata name no \"", kFormat,
                       "\"); give one from a run's dumps folder"));
  }
  try {
    Dump dump;
    dump.config = file.metadata.at("config");
    dump.version = file.metadata.at("version");
    const json numbers = json::parse(file.metadata.at("dump"));
    dump.step = numbers.at("step");
    dump.processes = numbers.at("processes");
    dump.loss_scale = numbers.at("loss_scale");
    for (const int rank : numbers.at("ranks").get<std::vector<int>>()) {
      dump.inputs.emplace(rank, inputs_of(file, rank));
    }
    for (const auto& [name, tensor] : file.tensors) {
      if (name.starts_with(kWeights)) dump.weights.emplace(name.substr(kWeights.size()), tensor);
    }
    return dump;
  } catch (const json::exception& problem) {
    throw Error(concat(path.string(), ": damaged dump (", problem.what(), ")"));
  } catch (const std::out_of_range&) {
    throw Error(concat(path.string(), ": damaged dump (metadata are missing)"));
  }
}

Faults agree(dist::ProcessGroup& group, const FiniteGuard::Report& report) {
  static_assert(std::is_trivially_copyable_v<FiniteGuard::Report>);
  const std::string own(reinterpret_cast<const char*>(&report), sizeof report);
  std::vector<FiniteGuard::Report> reports;
  for (const std::string& bytes : group.all_gather(own)) {
    std::memcpy(&reports.emplace_back(), bytes.data(), sizeof report);
  }
  Faults faults;
  for (const auto& each : reports) {
    if (each.faults == 0) continue;
    faults.first = faults.count == 0 ? each.first : std::min(faults.first, each.first);
    faults.count = std::max(faults.count, each.faults);
  }
  std::vector<int> by_loss, all;
  for (int rank = 0; rank < std::ssize(reports); ++rank) {
    const auto& each = reports[static_cast<size_t>(rank)];
    if (each.faults == 0 || each.first != faults.first) continue;
    all.push_back(rank);
    if (!std::isfinite(each.loss)) by_loss.push_back(rank);
  }
  if (all.empty()) return faults;
  faults.ranks = by_loss.empty() ? all : std::vector<int>{by_loss.front()};
  const auto& told = reports[static_cast<size_t>(faults.ranks.front())];
  faults.loss = told.loss;
  faults.loss_scale = told.loss_scale;
  return faults;
}

void gather(dist::ProcessGroup& group, const Faults& faults, const nn::Weights& weights,
            const std::vector<tasks::Inputs>& batches, Dump& dump) {
  const auto fetch = [&](const at::Tensor& own, int rank) {
    at::Tensor copy = own.detach().clone(at::MemoryFormat::Contiguous);
    group.broadcast(copy, rank);
    return copy.cpu();
  };
  for (const auto& [name, tensor] : weights) {
    dump.weights[name] = fetch(tensor, faults.ranks.front());
  }
  for (const int rank : faults.ranks) {
    for (const tasks::Inputs& batch : batches) {
      tasks::Inputs& inputs = dump.inputs[rank].emplace_back();
      for (const at::Tensor& tensor : batch) inputs.push_back(fetch(tensor, rank));
    }
  }
}

}  // namespace vim::train
