#include "nn/official.h"

#include <nlohmann/json.hpp>

#include "support/support.h"

namespace vim::test {

nn::Weights OfficialModel::with_prefix(const std::string& prefix) const {
  nn::Weights found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), tensor);
  }
  return found;
}

std::shared_ptr<nn::Classifier> OfficialModel::build() const {
  const auto model = nn::make_classifier(config);
  nn::Weights weights = with_prefix("param/");
  for (const auto& entry : model->named_buffers())
    weights.emplace(entry.key(), entry.value());  // derived
  nn::load_weights(*model, weights, "fixture");
  return model;
}

nn::ModelConfig translate_official(const std::string& text) {
  const auto official = nlohmann::json::parse(text);
  const auto flag = [&](const char* name) { return official.value(name, false); };
  nn::ModelConfig config;
  config.image_size = {official.at("img_size"), official.at("img_size")};
  config.patch_size = official.at("patch_size");
  config.stride = official.at("stride");
  config.depth = official.at("depth");
  config.embed_dim = official.at("embed_dim");
  config.num_classes = official.at("num_classes");
  config.divide_out = flag("if_divide_out");
  config.position_embedding = flag("if_abs_pos_embed");
  if (flag("if_bidirectional")) {
    config.direction = nn::Direction::kLayerPairs;
  } else if (flag("if_bimamba")) {
    config.direction = nn::Direction::kShared;
  } else {
    config.direction =
        official.at("bimamba_type") == "v2" ? nn::Direction::kFull : nn::Direction::kForward;
  }
  if (!flag("if_cls_token")) {
    config.class_token = nn::ClassToken::kNone;
  } else if (flag("use_double_cls_token")) {
    config.class_token = nn::ClassToken::kDouble;
  } else {
    config.class_token =
        flag("use_middle_cls_token") ? nn::ClassToken::kMiddle : nn::ClassToken::kHead;
  }
  const std::string pool = official.at("final_pool_type");
  config.pool = pool == "mean"   ? nn::Pool::kMean
                : pool == "none" ? nn::Pool::kLast
                                 : nn::Pool::kMax;
  if (flag("if_rope")) {
    config.rotary = flag("if_rope_residual") ? nn::Rotary::kInputAndResidual : nn::Rotary::kInput;
    config.rotary_grid = official.value("pt_hw_seq_len", 14);
  }
  config.quirks = {.zero_dt_proj_b_bias = true,
                   .lecun_absolute_trunc = true,
                   .v1_official_grad = true,
                   .rope_odd_len_skips_first = true,
                   .pair_no_div2 = true};
  return config;
}

OfficialModel read_official(const std::string& fixture_name) {
  OfficialModel model;
  model.file = io::read_safetensors(fixture(fixture_name + ".safetensors"));
  model.config = translate_official(model.file.metadata.at("config"));
  return model;
}

}  // namespace vim::test
