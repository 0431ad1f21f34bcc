#include "train/benchmark_report.h"

#include <nlohmann/json.hpp>

#include "vim/config/codec.h"
#include "vim/core/text.h"
#include "vim/core/version.h"

namespace vim::train {
namespace {

template <class... Cells>
std::string row(const Cells&... cells) {
  constexpr int kWidths[] = {18, 10, 6, 6, 7, 6, 10, 10, 9};
  return line_of(kWidths, /*left=*/1, cells...);
}

}  // namespace

std::string name_of(Precision precision) {
  return config::Leaf<Precision>::write(precision).text;
}

const char* name_of(BenchmarkMode mode) {
  return mode == BenchmarkMode::kTrain ? "train" : "inference";
}

std::string table_header() {
  return row("model", "mode", "type", "pixels", "tokens", "batch", "ms", "images/s", "memory");
}

std::string table_row(const BenchmarkResult& r) {
  if (!r.fits) {
    return row(r.model, name_of(r.mode), name_of(r.precision), r.image_size, r.tokens, r.batch, "-",
               "-", "too large");
  }
  return row(r.model, name_of(r.mode), name_of(r.precision), r.image_size, r.tokens, r.batch,
             fixed(r.milliseconds, 3), fixed(r.images_per_second, 1),
             r.memory > 0 ? concat(fixed(r.memory / 1e9, 2), " GB") : "-");
}

std::string as_json(const std::vector<BenchmarkResult>& results) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BenchmarkResult& r : results) {
    nlohmann::ordered_json entry = {
        {"model", r.model},           {"device", r.device},
        {"mode", name_of(r.mode)},    {"precision", name_of(r.precision)},
        {"image_size", r.image_size}, {"tokens", r.tokens},
        {"batch", r.batch},           {"fits", r.fits}};
    if (r.fits) {
      entry["milliseconds"] = r.milliseconds;
      entry["images_per_second"] = r.images_per_second;
      entry["peak_memory_bytes"] = r.memory;
    }
    list.push_back(std::move(entry));
  }
  const nlohmann::ordered_json all = {{"version", version()}, {"results", std::move(list)}};
  return all.dump(2) + "\n";
}

}  // namespace vim::train
