// The picture of vim-bench model: two panels of lines over the image size, written as SVG.
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <sstream>

#include "train/benchmark_report.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

struct Line {
  std::string label;
  std::vector<std::pair<double, double>> points;  // image size, value
};

// In the order of the results. A result that did not fit, or without such a value, is no point.
std::vector<Line> lines_of(const std::vector<BenchmarkResult>& results,
                           const std::function<double(const BenchmarkResult&)>& value) {
  std::vector<Line> lines;
  for (const BenchmarkResult& r : results) {
    const std::string label = concat(r.model, ", ", name_of(r.mode), ", batch ", r.batch);
    auto line = std::ranges::find(lines, label, &Line::label);
    if (line == lines.end()) line = lines.insert(line, {label, {}});
    if (r.fits && value(r) > 0) line->points.emplace_back(r.image_size, value(r));
  }
  for (Line& line : lines) std::ranges::sort(line.points);
  return lines;
}

constexpr double kWidth = 520, kHeight = 360, kLeft = 70, kRight = 20, kTop = 40, kBottom = 50;
constexpr double kEntry = 18;  // of the legend
constexpr const char* kColors[] = {"#1b6ca8", "#c8553d", "#3a7d44", "#8a5a9e",
                                   "#b8860b", "#4a4a4a", "#d17a9a", "#5aa9a3"};

// As many looks as there are colours, then the same ones dashed.
std::string stroke(size_t line) {
  const size_t colors = std::size(kColors);
  return concat("stroke='", kColors[line % colors], "' stroke-width='2'",
                line / colors % 2 == 1 ? " stroke-dasharray='6 3'" : "");
}

// 1, 2 and 5 times the powers of ten: the largest below the values up to the smallest above them.
std::vector<double> ticks_around(double low, double high) {
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::floor(std::log10(low))) - 1;; ++power) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double tick = digit * std::pow(10.0, power);
      if (tick <= low) ticks.clear();
      ticks.push_back(tick);
      if (tick >= high && ticks.size() > 1) return ticks;
    }
  }
}

std::string tick_label(double value) {
  std::ostringstream text;
  text << value;
  return value >= 1e5 ? fixed(value, 0) : text.str();
}

// Positions within a panel: sizes linear, values logarithmic.
struct Axes {
  std::set<double> sizes;
  std::vector<double> ticks;

  explicit Axes(const std::vector<Line>& lines) {
    double low = 1e300, high = 0;
    for (const Line& line : lines) {
      for (const auto& [size, value] : line.points) {
        sizes.insert(size);
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
    if (high > 0) ticks = ticks_around(low, high);
  }
  bool empty() const { return ticks.empty(); }
  double x(double size) const {
    const double range = std::max(1.0, *sizes.rbegin() - *sizes.begin());
    return kLeft + (size - *sizes.begin()) / range * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    const double share = std::log(value / ticks.front()) / std::log(ticks.back() / ticks.front());
    return kHeight - kBottom - share * (kHeight - kBottom - kTop);
  }
};

std::string text(double x, double y, const std::string& anchor, const std::string& what) {
  return concat("<text x='", fixed(x, 1), "' y='", fixed(y, 1), "' text-anchor='", anchor, "'>",
                what, "</text>\n");
}

// The label of a size only where the one before leaves room for it.
void draw_axes(std::ostream& out, const Axes& axes, const std::string& title) {
  out << text(kLeft, 24, "start", title);
  for (const double tick : axes.ticks) {
    const double y = axes.y(tick);
    out << concat("<path d='M", kLeft, " ", fixed(y, 1), "H", kWidth - kRight,
                  "' stroke='#ddd'/>\n");
    out << text(kLeft - 8, y + 4, "end", tick_label(tick));
  }
  constexpr double kLabel = 34;
  double free_from = -1e300;
  for (const double size : axes.sizes) {
    const double x = axes.x(size);
    if (x < free_from) continue;
    free_from = x + kLabel;
    out << text(x, kHeight - kBottom + 20, "middle", fixed(size, 0));
  }
  out << text((kLeft + kWidth) / 2, kHeight - 8, "middle", "image size (pixels)");
}

std::string panel(const std::vector<Line>& lines, const std::string& title, double offset) {
  const Axes axes(lines);
  if (axes.empty()) return "";
  std::ostringstream out;
  out << concat("<g transform='translate(", offset, ",0)'>\n");
  draw_axes(out, axes, title);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string path;
    for (const auto& [size, value] : lines[i].points) {
      const std::string x = fixed(axes.x(size), 1), y = fixed(axes.y(value), 1);
      path += concat(path.empty() ? "M" : "L", x, " ", y);
      out << concat("<circle cx='", x, "' cy='", y, "' r='3' fill='",
                    kColors[i % std::size(kColors)], "'/>\n");
    }
    if (!path.empty()) out << concat("<path d='", path, "' fill='none' ", stroke(i), "/>\n");
  }
  out << "</g>\n";
  return out.str();
}

}  // namespace

std::string as_svg(const std::vector<BenchmarkResult>& results) {
  const auto speed =
      lines_of(results, [](const BenchmarkResult& r) { return r.images_per_second; });
  const auto memory = lines_of(results, [](const BenchmarkResult& r) { return r.memory / 1e9; });
  const std::string second = panel(memory, "peak memory (GB)", kWidth);
  const double width = second.empty() ? kWidth : 2 * kWidth;
  const double height = kHeight + kEntry * static_cast<double>(speed.size()) + 30;
  std::ostringstream out;
  out << concat("<svg xmlns='http://www.w3.org/2000/svg' width='", width, "' height='", height,
                "' font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' "
                "fill='white'/>\n");
  out << panel(speed, "images a second", 0) << second;
  for (size_t i = 0; i < speed.size(); ++i) {
    const double y = kHeight + kEntry * static_cast<double>(i) + 20;
    out << concat("<path d='M", kLeft, " ", y - 4, "h22' ", stroke(i), "/>\n");
    out << text(kLeft + 30, y, "start", speed[i].label);
  }
  out << "</svg>\n";
  return out.str();
}

}  // namespace vim::train
