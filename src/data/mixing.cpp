#include "data/mixing.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "vim/core/error.h"
#include "vim/core/random.h"

namespace vim::data {
namespace {

enum Row : int64_t { kShare, kWeight, kTop, kBottom, kLeft, kRight, kRows };

// Marsaglia & Tsang, "A simple method for generating gamma variables", 2000.
double gamma(double shape, RandomStream& random) {
  if (shape < 1) {
    return gamma(shape + 1, random) * std::pow(1 - random.uniform(), 1 / shape);
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double beta(double alpha, RandomStream& random) {
  const double a = gamma(alpha, random), b = gamma(alpha, random);
  return a + b > 0 ? a / (a + b) : 0.5;
}

struct Range {
  int64_t begin, end;
};

// Of a side that is `length` pixels long, a random part around a random centre, cut off at the
// ends.
Range around(int64_t length, double share, RandomStream& random) {
  const auto cut = static_cast<int64_t>(static_cast<double>(length) * share);
  const int64_t center = random.below(length);
  return {std::max<int64_t>(0, center - cut / 2), std::min(length, center + (cut + 1) / 2)};
}

Range between(int64_t length, const std::array<double, 2>& minmax, RandomStream& random) {
  const auto low = static_cast<int64_t>(static_cast<double>(length) * minmax[0]);
  const auto high = static_cast<int64_t>(static_cast<double>(length) * minmax[1]);
  const int64_t cut = low + random.below(std::max<int64_t>(1, high - low));
  const int64_t begin = random.below(length - cut + 1);
  return {begin, begin + cut};
}

Mix draw_mix(const MixingConfig& c, int64_t height, int64_t width, RandomStream& random) {
  if (random.uniform() >= c.p) return {};
  const bool cut = c.cuts() && (c.mixup_alpha <= 0 || random.uniform() < c.switch_p);
  if (!cut) {
    const double share = beta(c.mixup_alpha, random);
    return {.share = share, .weight = share};
  }
  const bool minmax = c.cutmix_minmax[1] > 0;
  const double drawn = minmax ? 1 : beta(c.cutmix_alpha, random);
  const double side = std::sqrt(1 - drawn);
  const auto part = [&](int64_t length) {
    return minmax ? between(length, c.cutmix_minmax, random) : around(length, side, random);
  };
  const Range y = part(height), x = part(width);
  const double area = static_cast<double>((y.end - y.begin) * (x.end - x.begin));
  const double kept = 1 - area / static_cast<double>(height * width);
  return {.share = c.correct_lambda || minmax ? kept : drawn,
          .weight = 1,
          .top = y.begin,
          .bottom = y.end,
          .left = x.begin,
          .right = x.end};
}

}  // namespace

void describe(config::Visitor& v, MixingConfig& c) {
  v("mixup_alpha", c.mixup_alpha,
    "Mixup: the share of an image is drawn from Beta(alpha, alpha); 0: off.", config::at_least(0));
  v("cutmix_alpha", c.cutmix_alpha, "CutMix: the same for the part that is not cut out; 0: off.",
    config::at_least(0));
  v("cutmix_minmax", c.cutmix_minmax,
    "CutMix with sides of the box between these parts of the image's instead of Beta; [0, 0]: off.",
    config::fraction);
  v("p", c.p, "Probability of either, for each batch, pair or image.", config::fraction);
  v("switch_p", c.switch_p, "Where both are on, probability of CutMix.", config::fraction);
  v("mode", c.mode,
    "What is mixed alike: the batch, a pair of images with each other, or each elem for itself.");
  v("correct_lambda", c.correct_lambda,
    "Targets follow the part that was really cut, where a box reaches over the edge.");
}

void check(const MixingConfig& c, config::Problems& problems) {
  if (c.cutmix_minmax[0] > c.cutmix_minmax[1]) {
    problems.add("cutmix_minmax", "the smallest is above the largest");
  }
}

std::vector<Mix> draw_mixes(const MixingConfig& config, int64_t batch, int64_t height,
                            int64_t width, RandomStream& random) {
  const auto draw = [&] { return draw_mix(config, height, width, random); };
  switch (config.mode) {
    case MixingConfig::Mode::kBatch:
      return std::vector<Mix>(batch, draw());
    case MixingConfig::Mode::kPair: {
      std::vector<Mix> mixes(batch);
      for (int64_t i = 0; i < batch / 2; ++i) mixes[i] = mixes[batch - 1 - i] = draw();
      return mixes;
    }
    case MixingConfig::Mode::kElem: {
      std::vector<Mix> mixes(batch);
      std::ranges::generate(mixes, draw);
      return mixes;
    }
  }
  VIM_CHECK(false);
  return {};
}

at::Tensor mixes_on(const std::vector<Mix>& mixes, at::Device device) {
  const auto batch = static_cast<int64_t>(mixes.size());
  at::Tensor host =
      at::empty({kRows, batch}, at::TensorOptions(at::kFloat).pinned_memory(device.is_cuda()));
  auto rows = host.accessor<float, 2>();
  for (int64_t i = 0; i < batch; ++i) {
    const Mix& mix = mixes[i];
    rows[kShare][i] = static_cast<float>(mix.share);
    rows[kWeight][i] = static_cast<float>(mix.weight);
    rows[kTop][i] = static_cast<float>(mix.top);
    rows[kBottom][i] = static_cast<float>(mix.bottom);
    rows[kLeft][i] = static_cast<float>(mix.left);
    rows[kRight][i] = static_cast<float>(mix.right);
  }
  return host.to(device, /*non_blocking=*/true);
}

at::Tensor mix_images(const at::Tensor& images, const at::Tensor& mixes) {
  const auto row = [&](Row r) { return mixes.select(0, r).view({-1, 1, 1, 1}); };
  const at::Tensor y = at::arange(images.size(2), mixes.options()).view({1, 1, -1, 1});
  const at::Tensor x = at::arange(images.size(3), mixes.options()).view({1, 1, 1, -1});
  const at::Tensor in_box = y.ge(row(kTop))
                                .logical_and(y.lt(row(kBottom)))
                                .logical_and(x.ge(row(kLeft)).logical_and(x.lt(row(kRight))));
  const at::Tensor weight = row(kWeight).masked_fill(in_box, 0).to(images.scalar_type());
  return at::lerp(images.flip(0), images, weight);
}

at::Tensor soft_targets(const at::Tensor& labels, int64_t classes, double smoothing,
                        const at::Tensor& mixes) {
  const auto options = labels.options().dtype(at::kFloat);
  const double off = smoothing / static_cast<double>(classes);
  at::Tensor targets = at::full({labels.size(0), classes}, off, options);
  const at::Tensor own =
      mixes.defined() ? mixes.select(0, kShare) : at::ones(labels.sizes(), options);
  targets.scatter_add_(1, labels.unsqueeze(1), ((1 - smoothing) * own).unsqueeze(1));
  if (mixes.defined()) {
    targets.scatter_add_(1, labels.flip(0).unsqueeze(1),
                         ((1 - smoothing) * (1 - own)).unsqueeze(1));
  }
  return targets;
}

}  // namespace vim::data
