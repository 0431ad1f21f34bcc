#include "train/benchmark_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "vim/config/codec.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

const char* name_of(BenchmarkMode mode) {
  return mode == BenchmarkMode::kTrain ? "train" : "inference";
}

std::string name_of(Precision precision) {
  return config::Leaf<Precision>::write(precision).text;
}

template <class... Cells>
std::string row(const Cells&... cells) {
  constexpr int kWidths[] = {18, 10, 6, 6, 7, 6, 10, 10, 9};
  std::ostringstream out;
  int column = 0;
  const auto cell = [&](const auto& value) {
    out << (column == 0 ? std::left : std::right) << std::setw(kWidths[column]) << value << " ";
    ++column;
  };
  (cell(cells), ...);
  return out.str() + "\n";
}

// --- The picture -------------------------------------------------------------------------------

using Value = std::function<double(const BenchmarkResult&)>;
struct Line {
  std::string label;
  std::vector<std::pair<double, double>> points;  // image size, value
};

std::vector<Line> lines_of(const std::vector<BenchmarkResult>& results, const Value& value) {
  std::map<std::string, Line> lines;
  for (const BenchmarkResult& r : results) {
    const std::string label = concat(r.model, ", ", name_of(r.mode), ", batch ", r.batch);
    lines[label].label = label;
    if (r.fits && value(r) > 0) lines[label].points.emplace_back(r.image_size, value(r));
  }
  std::vector<Line> list;
  for (auto& [label, line] : lines) {
    std::ranges::sort(line.points);
    list.push_back(std::move(line));
  }
  return list;
}

constexpr double kWidth = 520, kHeight = 360, kLeft = 70, kTop = 40, kBottom = 50;
constexpr const char* kColors[] = {"#1b6ca8", "#c8553d", "#3a7d44", "#8a5a9e",
                                   "#b8860b", "#4a4a4a", "#d17a9a", "#5aa9a3"};

// Positions within a panel: sizes linear, values logarithmic between powers of ten.
struct Axes {
  double low_size = 1e30, high_size = 0;
  int low_power = 100, high_power = -100;

  explicit Axes(const std::vector<Line>& lines) {
    for (const Line& line : lines) {
      for (const auto& [size, value] : line.points) {
        low_size = std::min(low_size, size);
        high_size = std::max(high_size, size);
        low_power = std::min(low_power, static_cast<int>(std::floor(std::log10(value))));
        high_power = std::max(high_power, static_cast<int>(std::ceil(std::log10(value))));
      }
    }
    high_power = std::max(high_power, low_power + 1);
  }
  double x(double size) const {
    return kLeft + (size - low_size) / std::max(1.0, high_size - low_size) * (kWidth - kLeft - 20);
  }
  double y(double value) const {
    const double share = (std::log10(value) - low_power) / (high_power - low_power);
    return kHeight - kBottom - share * (kHeight - kBottom - kTop);
  }
};

std::string text(double x, double y, const std::string& anchor, const std::string& what) {
  return concat("<text x='", fixed(x, 1), "' y='", fixed(y, 1), "' text-anchor='", anchor, "'>",
                what, "</text>\n");
}

void draw_axes(std::ostream& out, const Axes& axes, const std::vector<Line>& lines,
               const std::string& title) {
  out << text(kLeft, 24, "start", title);
  for (int power = axes.low_power; power <= axes.high_power; ++power) {
    const double value = std::pow(10.0, power), y = axes.y(value);
    out << concat("<path d='M", kLeft, " ", fixed(y, 1), "H", kWidth - 20, "' stroke='#ddd'/>\n");
    out << text(kLeft - 8, y + 4, "end", power < 0 ? fixed(value, -power) : fixed(value, 0));
  }
  std::vector<double> sizes;
  for (const Line& line : lines) {
    for (const auto& point : line.points) sizes.push_back(point.first);
  }
  std::ranges::sort(sizes);
  const auto repeated = std::ranges::unique(sizes);
  sizes.erase(repeated.begin(), repeated.end());
  for (const double size : sizes) {
    out << text(axes.x(size), kHeight - kBottom + 20, "middle", fixed(size, 0));
  }
  out << text((kLeft + kWidth) / 2, kHeight - 8, "middle", "image size (pixels)");
}

// A panel; the legend stands in the first one only.
std::string panel(const std::vector<Line>& lines, const std::string& title, double offset) {
  const Axes axes(lines);
  std::ostringstream out;
  out << concat("<g transform='translate(", offset, ",0)'>\n");
  if (axes.high_size > 0) draw_axes(out, axes, lines, title);
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* color = kColors[i % std::size(kColors)];
    std::string path;
    for (const auto& [size, value] : lines[i].points) {
      path +=
          concat(path.empty() ? "M" : "L", fixed(axes.x(size), 1), " ", fixed(axes.y(value), 1));
      out << concat("<circle cx='", fixed(axes.x(size), 1), "' cy='", fixed(axes.y(value), 1),
                    "' r='3' fill='", color, "'/>\n");
    }
    out << concat("<path d='", path, "' fill='none' stroke='", color, "' stroke-width='2'/>\n");
  }
  out << "</g>\n";
  return out.str();
}

}  // namespace

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
    nlohmann::ordered_json entry = {{"model", r.model},
                                    {"mode", name_of(r.mode)},
                                    {"precision", name_of(r.precision)},
                                    {"image_size", r.image_size},
                                    {"tokens", r.tokens},
                                    {"batch", r.batch},
                                    {"fits", r.fits}};
    if (r.fits) {
      entry["milliseconds"] = r.milliseconds;
      entry["images_per_second"] = r.images_per_second;
      entry["peak_memory_bytes"] = r.memory;
    }
    list.push_back(std::move(entry));
  }
  return list.dump(2) + "\n";
}

std::string as_svg(const std::vector<BenchmarkResult>& results) {
  const auto speed =
      lines_of(results, [](const BenchmarkResult& r) { return r.images_per_second; });
  const auto memory = lines_of(results, [](const BenchmarkResult& r) { return r.memory / 1e9; });
  constexpr double kEntry = 18;
  const double height = kHeight + kEntry * static_cast<double>(speed.size()) + 20;
  std::ostringstream out;
  out << concat("<svg xmlns='http://www.w3.org/2000/svg' width='", 2 * kWidth, "' height='", height,
                "' font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' "
                "fill='white'/>\n");
  out << panel(speed, "images a second", 0) << panel(memory, "peak memory (GB)", kWidth);
  for (size_t i = 0; i < speed.size(); ++i) {
    const double y = kHeight + kEntry * static_cast<double>(i) + 10;
    out << concat("<rect x='", kLeft, "' y='", y - 9, "' width='14' height='4' fill='",
                  kColors[i % std::size(kColors)], "'/>\n");
    out << text(kLeft + 22, y - 2, "start", speed[i].label);
  }
  out << "</svg>\n";
  return out.str();
}

}  // namespace vim::train
