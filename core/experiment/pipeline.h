// SPDX-License-Identifier: BSD-3-Clause
// Pipeline: raw samples of a data set -> the views that the encoder sees, by the [[augment]] tables.
#pragma once

#include "experiment/plan.h"

namespace foil {

class Pipeline {
 public:
  // Makes the augmentations for samples of `shape`. Throws Error (Exit::usage), with the place in the file,
  // for an augmentation that does not fit what the one before it gives, and for images that keep different
  // sizes.
  Pipeline(const Plan& plan, const std::vector<int64_t>& shape, at::Device device, at::ScalarType dtype);

  // Of view 0 behind all augmentations: [C, H, W] or [F].
  const std::vector<int64_t>& shape() const { return shape_; }
  // Names what evaluation_view does, for protocol ids: "resize-none"; "none" where it does nothing.
  const std::string& preparation() const { return preparation_; }
  // Whether there is any augmentation.
  bool augments() const { return !steps_.empty(); }

  // Raw samples as the encoder sees them in evaluation: floats in [0, 1] and the deterministic augmentations
  // of view 0 (normalisation, sizes).
  View evaluation_view(const View& raw) const;
  // View v of a training batch, `index` (int64 [B] on the CPU) its samples: every augmentation that applies
  // to it, its draws keyed by (seed, step, sample, view, position). A view beyond those of training is made
  // as view 0. View::key is that of (seed, step, sample, view).
  View training_view(const View& raw, const Tensor& index, int64_t step, int64_t v) const;
  // All views of a training batch.
  Views training_views(const View& raw, const Tensor& index, int64_t step) const;
  // As training_views at step 0; what an augmentation throws gets the place of its table.
  Views tried_views(const View& raw, const Tensor& index) const;

 private:
  // One augmentation and the views that it applies to; its place among the steps keys its draws.
  struct Step {
    ChosenAugmentation chosen;
    std::shared_ptr<Augmentation> augmentation;
    std::vector<bool> applies;  // by view
    bool applies_to(int64_t v) const {
      return applies[static_cast<size_t>(v) < applies.size() ? static_cast<size_t>(v) : 0];
    }
  };
  View on_device(View view) const;
  View as_input(View view) const;
  View made(const View& raw, const Tensor& index, int64_t step, int64_t v, bool placed) const;

  uint64_t seed_;
  int64_t views_;
  at::Device device_;
  at::ScalarType dtype_;
  std::vector<Step> steps_;
  std::vector<int64_t> shape_;
  std::string preparation_;
};

}  // namespace foil
