#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "data/encode.h"
#include "data/resize.h"
#include "data/sample_maker.h"
#include "data/sampler.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/augmenter.h"
#include "vim/data/commands.h"
#include "vim/data/image.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

constexpr int kCell = 160, kGap = 4;
constexpr int kCaption = 20;       // height of a line of text: over the columns, below each row
constexpr double kFontSize = 0.8;  // of OpenCV's plain font, whose letters are then 8 pixels high

struct Sheet {
  Sheet(size_t rows, size_t columns)
      : image(kGap + kCaption + static_cast<int>(rows) * (kCell + kGap + kCaption),
              kGap + static_cast<int>(columns) * (kCell + kGap), CV_8UC3, cv::Scalar::all(32)) {}
  static cv::Point cell(int row, int column) {
    return {kGap + column * (kCell + kGap), kGap + kCaption + row * (kCell + kGap + kCaption)};
  }
  cv::Mat image;
};

// From the upper left corner on, cut off where it would be wider.
void write(std::string text, int width, cv::Point corner, Sheet& sheet) {
  const auto size = [&] {
    return cv::getTextSize(text, cv::FONT_HERSHEY_PLAIN, kFontSize, 1, nullptr);
  };
  while (!text.empty() && size().width > width) text.pop_back();
  cv::putText(sheet.image, text, corner + cv::Point(0, kCaption - 6), cv::FONT_HERSHEY_PLAIN,
              kFontSize, cv::Scalar::all(220), 1, cv::LINE_AA);
}

// In the middle of a cell, whole; small images are enlarged by whole factors, pixel by pixel.
void draw(const cv::Mat& image, Sheet& sheet, int row, int column) {
  cv::Mat rgb = with_channels(image, 3);
  const int longest = std::max(rgb.cols, rgb.rows);
  const double scale = longest > kCell ? static_cast<double>(kCell) / longest : kCell / longest;
  const auto side = [&](int length) {
    return std::clamp<int>(std::lround(length * scale), 1, kCell);
  };
  rgb = resize(rgb, {side(rgb.cols), side(rgb.rows)},
               scale > 1 ? Filter::kNearest : Filter::kBicubic);
  const cv::Point corner =
      Sheet::cell(row, column) + cv::Point((kCell - rgb.cols) / 2, (kCell - rgb.rows) / 2);
  rgb.copyTo(sheet.image(cv::Rect(corner, rgb.size())));
}

// Each image as it was read and after each transform, with the random numbers of training.
std::vector<std::vector<cv::Mat>> transform_all(const Dataset& dataset, const PreviewCommand& c,
                                                const std::vector<Pick>& picks) {
  std::vector<std::vector<cv::Mat>> rows;
  for (const Pick& pick : picks) {
    Sample sample = dataset.get(pick.id);
    RandomStream random = transform_stream(c.seed, c.epoch, pick, dataset.size());
    std::vector<cv::Mat>& row = rows.emplace_back(1, sample.image);
    for (const Transform& transform : c.data.train_transforms) {
      Pipeline{{transform}, c.input}.apply(sample, random);
      row.push_back(sample.image);
    }
  }
  return rows;
}

Batch batch_of(const std::vector<std::vector<cv::Mat>>& rows, const Dataset& dataset,
               const std::vector<Pick>& picks, int64_t epoch) {
  const cv::Mat& first = rows.front().back();
  Batch batch;
  const auto count = static_cast<int64_t>(rows.size());
  batch.images = at::empty({count, first.rows, first.cols, first.channels()}, at::kByte);
  batch.labels = at::empty({count}, at::kLong);
  batch.epoch = epoch;
  for (int64_t i = 0; i < count; ++i) {
    const cv::Mat& image = rows[i].back();
    if (image.size() != first.size()) {
      throw Error(
          "the images have different sizes after data.train_transforms; let them end with "
          "a transform that fixes the size");
    }
    cv::Mat to(image.size(), image.type(), batch.images[i].mutable_data_ptr<uint8_t>());
    image.copyTo(to);
    batch.labels.mutable_data_ptr<int64_t>()[i] = dataset.get(picks[i].id).label;
  }
  return batch;
}

// Normalised images as bytes again.
std::vector<cv::Mat> as_seen(const at::Tensor& normalised, const DataConfig& data) {
  const at::Tensor std = at::tensor(data.std).view({1, -1, 1, 1});
  const at::Tensor mean = at::tensor(data.mean).view({1, -1, 1, 1});
  const at::Tensor bytes = ((normalised * std + mean) * 255)
                               .round()
                               .clamp(0, 255)
                               .to(at::kByte)
                               .permute({0, 2, 3, 1})
                               .contiguous();
  std::vector<cv::Mat> images;
  for (int64_t i = 0; i < bytes.size(0); ++i) {
    const cv::Mat view(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(2)),
                       CV_8UC(static_cast<int>(bytes.size(3))), bytes[i].data_ptr());
    images.push_back(view.clone());
  }
  return images;
}

// "0.75 cat + 0.25 dog"
std::string target_text(const at::Tensor& target, const std::vector<std::string>& classes) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < classes.size(); ++i) {
    const double share = target[static_cast<int64_t>(i)].item<double>();
    if (share >= 0.005) parts.push_back(concat(fixed(share, 2), " ", classes[i]));
  }
  return join(parts, " + ");
}

struct Column {
  std::string name;
  std::vector<cv::Mat> images;  // by row
};

// What is done to the batch, a column each, and the targets [images, classes] afterwards.
at::Tensor augment(const Batch& batch, int64_t classes, const PreviewCommand& c,
                   std::vector<Column>& columns) {
  const Augmenter::Place place = {.seed = c.seed};
  if (c.data.erasing.p > 0) {
    DataConfig without_mixing = c.data;
    without_mixing.mixing = {};
    const auto erased = Augmenter(without_mixing, classes, 0, place)(batch);
    columns.push_back({"erasing", as_seen(erased.images, c.data)});
  }
  const auto result = Augmenter(c.data, classes, 0, place)(batch);
  if (c.data.mixing.enabled()) columns.push_back({"mixing", as_seen(result.images, c.data)});
  return result.targets;
}

// Of each image its first augmentation: repeats of few images would show less.
std::vector<Pick> choose(const Dataset& dataset, const PreviewCommand& c) {
  std::vector<Pick> picks = training_order({.size = dataset.size()}, c.seed, c.epoch);
  picks.resize(std::min(picks.size(), static_cast<size_t>(c.images)));
  return picks;
}

}  // namespace

void preview(const PreviewCommand& c) {
  const auto dataset = open_dataset(c.data, Split::kTrain);
  const std::vector<Pick> picks = choose(*dataset, c);
  const auto rows = transform_all(*dataset, c, picks);
  std::vector<Column> columns = {{"as read", {}}};
  for (const Transform& transform : c.data.train_transforms) {
    columns.push_back(
        {std::visit([](const auto& t) { return std::string(t.kName); }, transform), {}});
  }
  for (const std::vector<cv::Mat>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) columns[i].images.push_back(row[i]);
  }
  const Batch batch = batch_of(rows, *dataset, picks, c.epoch);
  const at::Tensor targets =
      augment(batch, static_cast<int64_t>(dataset->classes().size()), c, columns);

  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  std::cout << "columns: " << join(names, " | ") << "\n";
  Sheet sheet(rows.size(), columns.size());
  for (size_t column = 0; column < columns.size(); ++column) {
    const int place = static_cast<int>(column);
    write(columns[column].name, kCell, {Sheet::cell(0, place).x, kGap}, sheet);
    for (size_t row = 0; row < rows.size(); ++row) {
      draw(columns[column].images[row], sheet, static_cast<int>(row), place);
    }
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::string name = dataset->name(picks[row].id);
    const std::string target = target_text(targets[static_cast<int64_t>(row)], dataset->classes());
    std::cout << "row " << row + 1 << ": " << name << ": " << target << "\n";
    write(concat(std::filesystem::path(name).filename().string(), ": ", target),
          sheet.image.cols - 2 * kGap, Sheet::cell(static_cast<int>(row), 0) + cv::Point(0, kCell),
          sheet);
  }
  write_png(c.output, sheet.image);
}

}  // namespace vim::data
