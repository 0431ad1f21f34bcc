#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "data/tools/inventory.h"
#include "data/tools/parallel.h"
#include "data/tools/probe.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

// Of values 0..255, summed as whole numbers, so that the order does not matter.
struct Sums {
  std::array<uint64_t, 3> values{}, squares{};
  uint64_t pixels = 0;

  void add(const cv::Mat& rgb) {
    for (int y = 0; y < rgb.rows; ++y) {
      const uint8_t* row = rgb.ptr(y);
      std::array<uint64_t, 3> sum{}, square{};
      for (int x = 0; x < rgb.cols; ++x) {
        for (int c = 0; c < 3; ++c) {
          const uint32_t value = row[3 * x + c];
          sum[c] += value;
          square[c] += value * value;
        }
      }
      for (int c = 0; c < 3; ++c) {
        values[c] += sum[c];
        squares[c] += square[c];
      }
    }
    pixels += rgb.total();
  }
  void add(const Sums& other) {
    for (int c = 0; c < 3; ++c) {
      values[c] += other.values[c];
      squares[c] += other.squares[c];
    }
    pixels += other.pixels;
  }
  double mean(int c) const {
    return static_cast<double>(values[c]) / static_cast<double>(pixels) / 255;
  }
  double deviation(int c) const {
    const double square =
        static_cast<double>(squares[c]) / static_cast<double>(pixels) / (255 * 255);
    return std::sqrt(std::max(0.0, square - mean(c) * mean(c)));
  }
};

struct Stats {
  Sums sums;
  std::map<std::string, int64_t> images;  // by split/class
  std::vector<int> widths, heights;
  int64_t unreadable = 0;
};

Stats gather(const StatsCommand& c) {
  const Inventory inventory = take_inventory(c.data);
  std::vector<size_t> images;
  for (size_t i = 0; i < inventory.items.size(); ++i) {
    if (inventory.items[i].named != Encoding::kNone) images.push_back(i);
  }
  Stats stats;
  std::mutex mutex;
  for_each_in_parallel(static_cast<int64_t>(images.size()), c.workers, "stats", [&](int64_t i) {
    const Item& item = inventory.items[images[i]];
    cv::Mat image;
    try {
      image = pixels_of(inventory.read(images[i]));
    } catch (const Error&) {
      const std::lock_guard lock(mutex);
      ++stats.unreadable;
      return;
    }
    Sums sums;
    sums.add(image);
    const std::lock_guard lock(mutex);
    stats.sums.add(sums);
    stats.widths.push_back(image.cols);
    stats.heights.push_back(image.rows);
    ++stats.images[item.split.empty() ? item.label : concat(item.split, "/", item.label)];
  });
  if (stats.widths.empty()) throw Error(concat(c.data.root, ": has no image that can be read"));
  std::ranges::sort(stats.widths);
  std::ranges::sort(stats.heights);
  return stats;
}

nlohmann::ordered_json as_json(const Stats& s) {
  const auto side = [](const std::vector<int>& sorted) {
    return nlohmann::ordered_json{{"smallest", sorted.front()},
                                  {"median", sorted[sorted.size() / 2]},
                                  {"largest", sorted.back()}};
  };
  nlohmann::ordered_json json = {{"images", s.widths.size()}, {"unreadable", s.unreadable}};
  for (int c = 0; c < 3; ++c) {
    json["mean"].push_back(s.sums.mean(c));
    json["std"].push_back(s.sums.deviation(c));
  }
  json["width"] = side(s.widths);
  json["height"] = side(s.heights);
  json["classes"] = s.images;
  return json;
}

std::string as_text(const Stats& s) {
  const auto numbers = [](auto value) {
    return concat("[", fixed(value(0), 4), ", ", fixed(value(1), 4), ", ", fixed(value(2), 4), "]");
  };
  const auto side = [](const std::vector<int>& sorted) {
    return concat(sorted.front(), " to ", sorted.back(), ", median ", sorted[sorted.size() / 2]);
  };
  std::string text = concat(
      "images: ", with_separators(static_cast<long long>(s.widths.size())), "\n",
      s.unreadable > 0 ? concat("unreadable: ", s.unreadable, "; `vim-data check` names them\n")
                       : "",
      "mean: ", numbers([&](int c) { return s.sums.mean(c); }), "\n",
      "std: ", numbers([&](int c) { return s.sums.deviation(c); }), "\n", "width: ", side(s.widths),
      "\n", "height: ", side(s.heights), "\n");
  int64_t most = 1;
  size_t longest = 0;
  for (const auto& [name, count] : s.images) {
    most = std::max(most, count);
    longest = std::max(longest, name.size());
  }
  constexpr int kBar = 40;
  for (const auto& [name, count] : s.images) {
    text += concat(name, std::string(longest - name.size() + 2, ' '),
                   std::string(std::max<int64_t>(1, kBar * count / most), '#'), " ", count, "\n");
  }
  return text;
}

}  // namespace

void stats(const StatsCommand& command) {
  const Stats gathered = gather(command);
  std::cout << as_text(gathered);
  if (command.json) write_atomically(*command.json, as_json(gathered).dump(2) + "\n");
}

}  // namespace vim::data
