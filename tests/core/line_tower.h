// SPDX-License-Identifier: BSD-3-Clause
// The smallest tower: one linear layer from vectors of four to features of three, and a linear head.
#pragma once

#include "model/tower.h"

#include <torch/nn/modules/linear.h>

#include <memory>

namespace foil::test {

struct Line final : Encoder {
  void setup(const EncoderSizes& sizes) override {
    layer_ = register_module("layer", torch::nn::Linear(sizes.channels, 3));
  }
  Features forward(const View& view) override { return {layer_->forward(view.data), {}, {}, {}}; }
  int64_t feature_dim() const override { return 3; }
  torch::nn::Linear layer_{nullptr};
};

inline std::shared_ptr<Tower> line_tower(int64_t width) {
  const auto encoder = std::make_shared<Line>();
  encoder->setup({4, 0, 0});
  return std::make_shared<Tower>(encoder, HeadOptions{.kind = HeadOptions::Kind::linear, .dims = {width}},
                                 ModelOptions{});
}

}  // namespace foil::test
