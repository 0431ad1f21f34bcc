#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "data/images.h"
#include "support/support.h"
#include "vim/data/normalize.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

TEST_CASE("Resize, centre crop and normalise are torchvision's") {
  if (!fs::exists(fixture("data/evaluation.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/evaluation.safetensors"));
  vim::RandomStream random(0, vim::Purpose::kTransform);

  const auto crop_of = [&](std::vector<Transform> transforms) {
    Sample sample = {as_mat(file.tensors.at("input"))};
    Pipeline{std::move(transforms), {112, 112}}.apply(sample, random);
    return sample.image;
  };
  const cv::Mat crop = crop_of({Resize{.size = 128}, CenterCrop{.size = 112}});
  const Difference off = difference(crop, as_mat(file.tensors.at("crop")));
  CHECK(off.largest <= 1);
  CHECK(off.share <= 0.005);
  CHECK(equal(crop_of({Resize{}, CenterCrop{}}), crop));  // what `auto` is at 112 px: 112 / 0.875

  const std::vector<double> mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225};
  const at::Tensor normalized =
      normalize(file.tensors.at("crop").unsqueeze(0), mean, std, at::kCPU);
  CHECK(normalized.is_contiguous());
  CHECK(at::allclose(normalized[0], file.tensors.at("normalized"), 0, 2e-6));
}

TEST_CASE("Normalising keeps every image of a batch and one channel as well") {
  const at::Tensor images = at::randint(0, 256, {3, 5, 7, 1}, at::kByte);
  const at::Tensor out =
      normalize(images, std::vector<double>{0.25}, std::vector<double>{0.5}, at::kCPU);
  CHECK(out.sizes() == at::IntArrayRef({3, 1, 5, 7}));
  CHECK(at::allclose(out.squeeze(1), (images.squeeze(3) / 255.0 - 0.25) / 0.5, 0, 1e-5));
}
