// SPDX-License-Identifier: BSD-3-Clause
// Pipeline: raw samples of a data set -> the views that the encoders see, by the [views] and [[augment]]
// tables.
#pragma once

#include "experiment/plan.h"

namespace foil {

class Pipeline {
 public:
  // A modality of which there is a view.
  struct Seen {
    std::string name;
    Shape shape;    // of its first view behind all augmentations
    int64_t view;   // its first
    int64_t other;  // its second; where it has none, one beyond those of training, made as the first
    std::string preparation;  // names what evaluation_view does, for protocol ids: "resize-none"; else "none"
  };

  // Makes and sets up the augmentations for the samples of this data set. Throws Error (Exit::usage), with
  // the place in the file, for a modality that there is not, an augmentation that does not fit what it is
  // given, and for images that keep different sizes.
  Pipeline(const Plan& plan, const Dataset& data, at::Device device, at::ScalarType dtype);

  // In the order of their first views.
  const std::vector<Seen>& modalities() const { return seen_; }
  // Whether there is any augmentation.
  bool augments() const { return !steps_.empty(); }

  // Raw samples of modalities()[m] as its encoder sees them in evaluation: numbers as as_input says, and the
  // deterministic augmentations of its first view (normalisation, sizes, tokens).
  View evaluation_view(const Views& raw, size_t m = 0) const;
  // View v of a training batch, `index` (int64 [B] on the CPU) its samples: every augmentation that applies
  // to it, its draws keyed by (seed, step, sample, view, position). View::key is that of (seed, step, sample,
  // view). Of a graph the samples are all nodes, whatever `index` is. v: of training, or Seen::other.
  View training_view(const Views& raw, const Tensor& index, int64_t step, int64_t v) const;
  // All views of a training batch.
  Views training_views(const Views& raw, const Tensor& index, int64_t step) const;
  // As training_views at step 0; what an augmentation throws gets the place of its table.
  Views tried_views(const Views& raw, const Tensor& index) const;

 private:
  // One augmentation and the views that it applies to; its place among the steps keys its draws.
  struct Step {
    ChosenAugmentation chosen;
    std::shared_ptr<Augmentation> augmentation;
    std::vector<bool> applies;  // by view
  };
  void choose_views(const Plan& plan, const std::vector<Modality>& modalities);
  Step step_of(const ChosenAugmentation& chosen, const std::vector<Modality>& modalities,
               const std::vector<Shape>& shapes) const;
  void apply_to_shapes(const Step& step, std::vector<Shape>& shapes) const;
  View raw_view(const Views& raw, int64_t v) const;
  View as_input(View view) const;
  View made(const Views& raw, const Tensor& index, int64_t step, int64_t v, bool placed) const;
  // The view of training whose augmentations make v.
  int64_t made_as(int64_t v) const;

  uint64_t seed_;
  at::Device device_;
  at::ScalarType dtype_;
  std::vector<size_t> modality_;  // by view: its place among the raw views
  std::vector<Step> steps_;
  std::vector<Seen> seen_;
};

}  // namespace foil
