#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <opencv2/core.hpp>

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

// In the middle of a cell, whole; small images are enlarged by whole factors, pixel by pixel.
void draw(const cv::Mat& image, cv::Mat sheet, int row, int column) {
  cv::Mat rgb = with_channels(image, 3);
  const int longest = std::max(rgb.cols, rgb.rows);
  const double scale = longest > kCell ? static_cast<double>(kCell) / longest : kCell / longest;
  const auto side = [&](int length) {
    return std::clamp<int>(std::lround(length * scale), 1, kCell);
  };
  rgb = resize(rgb, {side(rgb.cols), side(rgb.rows)},
               scale > 1 ? Filter::kNearest : Filter::kBicubic);
  const cv::Point corner(kGap + column * (kCell + kGap) + (kCell - rgb.cols) / 2,
                         kGap + row * (kCell + kGap) + (kCell - rgb.rows) / 2);
  rgb.copyTo(sheet(cv::Rect(corner, rgb.size())));
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

// What the model sees, as bytes again.
std::vector<cv::Mat> seen_by_model(const Batch& batch, int64_t classes, const PreviewCommand& c) {
  Augmenter augmenter(c.data, classes, 0, {.seed = c.seed});
  const at::Tensor std = at::tensor(c.data.std).view({1, -1, 1, 1});
  const at::Tensor mean = at::tensor(c.data.mean).view({1, -1, 1, 1});
  const at::Tensor bytes = ((augmenter(batch).images * std + mean) * 255)
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

std::string column_names(const PreviewCommand& c) {
  std::vector<std::string> names = {"as read"};
  for (const Transform& transform : c.data.train_transforms) {
    names.push_back(std::visit([](const auto& t) { return std::string(t.kName); }, transform));
  }
  names.emplace_back("erased and mixed");
  return join(names, " | ");
}

}  // namespace

void preview(const PreviewCommand& c) {
  const auto dataset = open_dataset(c.data, Split::kTrain);
  const int64_t count = std::min(c.images, dataset->size());
  std::vector<Pick> picks = training_order(
      {.size = dataset->size(), .batch_size = count, .repeats = c.data.repeats}, c.seed, c.epoch);
  picks.resize(std::min<size_t>(picks.size(), count));
  auto rows = transform_all(*dataset, c, picks);
  const Batch batch = batch_of(rows, *dataset, picks, c.epoch);
  const std::vector<cv::Mat> seen =
      seen_by_model(batch, static_cast<int64_t>(dataset->classes().size()), c);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].push_back(seen[i]);

  const auto length = [](size_t cells) { return kGap + static_cast<int>(cells) * (kCell + kGap); };
  cv::Mat sheet(length(rows.size()), length(rows[0].size()), CV_8UC3, cv::Scalar::all(32));
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t column = 0; column < rows[row].size(); ++column) {
      draw(rows[row][column], sheet, static_cast<int>(row), static_cast<int>(column));
    }
  }
  write_atomically(c.output, encode_png(sheet));
  std::cout << "columns: " << column_names(c) << "\n";
  for (size_t row = 0; row < rows.size(); ++row) {
    const int64_t label = batch.labels[static_cast<int64_t>(row)].item<int64_t>();
    std::cout << "row " << row + 1 << ": " << dataset->name(picks[row].id) << " ("
              << dataset->classes()[label] << ")\n";
  }
}

}  // namespace vim::data
