// SPDX-License-Identifier: BSD-3-Clause
// The augmentations in their order, and the keys of a view's draws.
#include "experiment/pipeline.h"

#include <algorithm>

namespace foil {
namespace {

bool ragged(const std::vector<int64_t>& shape) {
  return std::find(shape.begin(), shape.end(), -1) != shape.end();
}

// What an encoder's draws are keyed by: (seed, step, view, sample).
Tensor draw_keys(const AugmentContext& place) {
  const uint64_t key =
      mix_key(mix_key(mix_key(place.seed, name_key("encoder")), static_cast<uint64_t>(place.step)),
              static_cast<uint64_t>(place.view));
  Tensor keys = torch::empty_like(place.index, at::MemoryFormat::Contiguous);
  const Tensor index = place.index.contiguous();
  for (int64_t b = 0; b < keys.size(0); ++b)
    keys.mutable_data_ptr<int64_t>()[b] =
        static_cast<int64_t>(mix_key(key, static_cast<uint64_t>(index.const_data_ptr<int64_t>()[b])));
  return keys;
}

}  // namespace

Pipeline::Pipeline(const Plan& plan, const std::vector<int64_t>& shape, at::Device device,
                   at::ScalarType dtype)
    : seed_(static_cast<uint64_t>(plan.run.seed)), views_(plan.views.count), device_(device), dtype_(dtype) {
  std::vector<std::vector<int64_t>> shapes(static_cast<size_t>(views_), shape);  // by view
  for (const ChosenAugmentation& chosen : plan.augment) {
    Step step{chosen, chosen.make<Augmentation>(), std::vector<bool>(shapes.size(), chosen.views.empty())};
    for (const int64_t v : chosen.views) step.applies[static_cast<size_t>(v)] = true;
    for (size_t v = 0; v < shapes.size(); ++v) {
      if (!step.applies[v]) continue;
      if (ragged(shapes[v]) && !step.augmentation->accepts_ragged()) {
        fail(Exit::usage, chosen.place, ": the augmentation '", chosen.component->name,
             "' is given images of different sizes, allowed: behind one that brings them to one size "
             "(random_resized_crop).");
      }
      shapes[v] = chosen.placed([&] { return step.augmentation->shape_after(shapes[v]); });
    }
    if (const std::string name = step.augmentation->evaluation_name(); step.applies[0] && !name.empty())
      preparation_ += (preparation_.empty() ? "" : "-") + name;
    steps_.push_back(std::move(step));
  }
  if (preparation_.empty()) preparation_ = "none";
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (ragged(shapes[v])) {
      fail(Exit::usage, plan.data.place, ": the images of '", plan.data.component->name,
           "' differ in size: the first [[augment]]", v == 0 ? "" : " of view " + std::to_string(v),
           " must bring them to one size (random_resized_crop).");
    }
  }
  shape_ = shapes[0];
}

View Pipeline::on_device(View view) const {
  if (view.data.defined()) view.data = view.data.to(device_);
  return view;
}

// What the tower takes: floats of the run's precision on its device; bytes become [0, 1].
View Pipeline::as_input(View view) const {
  if (view.data.scalar_type() == at::kByte) view.data = as_float_image(view.data);
  view.data = view.data.to(device_, dtype_);
  return view;
}

View Pipeline::made(const View& raw, const Tensor& index, int64_t step, int64_t v, bool placed) const {
  View view = on_device(raw);
  AugmentContext context{seed_, step, v, 0, index};
  for (const Step& one : steps_) {
    const auto apply = [&] { return one.augmentation->apply(view, context); };
    if (one.applies_to(v)) view = placed ? one.chosen.placed(apply) : apply();
    ++context.position;
  }
  view.key = draw_keys(context);  // last: an augmentation may make its view anew
  return as_input(std::move(view));
}

View Pipeline::evaluation_view(const View& raw) const {
  View view = on_device(raw);
  for (const Step& step : steps_) {
    if (step.applies_to(0)) view = step.augmentation->evaluate(view);
  }
  return as_input(std::move(view));
}

View Pipeline::training_view(const View& raw, const Tensor& index, int64_t step, int64_t v) const {
  return made(raw, index, step, v, /*placed=*/false);
}

Views Pipeline::training_views(const View& raw, const Tensor& index, int64_t step) const {
  Views views;
  for (int64_t v = 0; v < views_; ++v) views.push_back(training_view(raw, index, step, v));
  return views;
}

Views Pipeline::tried_views(const View& raw, const Tensor& index) const {
  Views views;
  for (int64_t v = 0; v < views_; ++v) views.push_back(made(raw, index, 0, v, /*placed=*/true));
  return views;
}

}  // namespace foil
