// SPDX-License-Identifier: BSD-3-Clause
// Encoder: a view -> features h. Parameter names are the published ones (torchvision, timm), so that weights load both ways.
#pragma once

#include <foil/view.h>
#include <torch/nn/module.h>

namespace foil {

struct Features {
  Tensor pooled;  // [B, F]
  Tensor map;     // optional [B, C, H, W], before pooling
  Tensor tokens;  // optional [B, L, C]
};

// What an encoder is built for.
struct EncoderSizes {
  int64_t channels = 0;  // of the image after augmentation; for vectors: the width
  int64_t height = 0;
  int64_t width = 0;
};

class FOIL_API Encoder : public torch::nn::Module {
 public:
  // Called once, before the optimizer and any load of weights: layers whose shape follows from the data are registered here.
  virtual void setup(const EncoderSizes& sizes) = 0;
  virtual Features forward(const View& view) = 0;
  virtual int64_t feature_dim() const = 0;  // F, valid after setup
};

}  // namespace foil
