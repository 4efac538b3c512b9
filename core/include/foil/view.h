// SPDX-License-Identifier: BSD-3-Clause
// View: one modality of a batch of samples, as the data set delivered it or as an augmentation made it.
#pragma once

#include <foil/error.h>

#include <torch/types.h>

#include <string>
#include <vector>

namespace foil {

using at::Tensor;

// The B samples of this rank in one modality. Exactly one of `data` and `ragged` is there.
struct View {
  std::string modality = "image";
  Tensor data;  // image [B, C, H, W]: uint8 as read, float in [0, 1] once augmented; vectors [B, F]
  Tensor
      params;  // optional [B, P]: what an augmentation hands to the encoder or the loss (crop boxes, depths)
  Tensor key;  // int64 [B] on the CPU: what the draws of a row are keyed by; undefined in evaluation
  std::vector<Tensor>
      ragged;  // instead of `data`: B images [C, H_i, W_i] uint8 of different sizes, on the CPU
  // B; 0 for a view without samples.
  int64_t size() const { return data.defined() ? data.size(0) : static_cast<int64_t>(ragged.size()); }
};
// From a data set: one view a modality. After augmentation: the V views of the samples, all of B rows in the
// same order.
using Views = std::vector<View>;

}  // namespace foil
