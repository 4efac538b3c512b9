// SPDX-License-Identifier: BSD-3-Clause
// Augmentation: View -> View, batched, on the view's device. Its randomness is a pure function of (seed, step, sample id, view,
// position in the pipeline), so a sample's view has the same bits on any rank and at any batch position.
#pragma once

#include <foil/random.h>
#include <foil/view.h>

namespace foil {

// The place of one application of an augmentation.
struct AugmentContext {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t view = 0;      // which view of the sample
  int64_t position = 0;  // in the pipeline
  Tensor index;          // int64 [B] on the CPU: sample ids (rows of the training set)

  // The Philox key of this place; combine with the sample id.
  uint64_t key() const {
    return mix_key(mix_key(mix_key(seed, static_cast<uint64_t>(step)), static_cast<uint64_t>(view)), static_cast<uint64_t>(position));
  }
  // The draws of batch row b.
  Draws draws(int64_t b) const { return Draws(key(), static_cast<uint64_t>(index.const_data_ptr<int64_t>()[b])); }
};

class FOIL_API Augmentation {
 public:
  virtual ~Augmentation() = default;
  // The augmented view; must not write into its input. Images are float [B, C, H, W] in [0, 1]. An augmentation that says
  // accepts_ragged() may be the first of a pipeline over images of different sizes: it then gets View::ragged and returns `data`.
  virtual View apply(const View& view, const AugmentContext& context) = 0;
  virtual bool accepts_ragged() const { return false; }
  // The view in evaluation, without randomness; unchanged unless the augmentation also prepares (normalisation, sizes). What it does
  // then is named by evaluation_name, which becomes part of the protocol of every result.
  virtual View evaluate(const View& view) { return view; }
  virtual std::string evaluation_name() const { return {}; }
  // Channels, height, width after this augmentation, from those before.
  virtual std::vector<int64_t> shape_after(const std::vector<int64_t>& before) const { return before; }
};

}  // namespace foil
