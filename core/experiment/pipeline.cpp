// SPDX-License-Identifier: BSD-3-Clause
// The modality of each view, the augmentations in their order, and the keys of a view's draws.
#include "experiment/pipeline.h"

#include "config/allowed.h"
#include "data/loader.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

bool ragged(const Shape& shape) {
  return std::find(shape.sizes.begin(), shape.sizes.end(), -1) != shape.sizes.end();
}

std::vector<std::string> names_of(const std::vector<Modality>& modalities) {
  std::vector<std::string> names;
  for (const Modality& modality : modalities) names.push_back(modality.name);
  return names;
}

// "image, audio or text"
std::string kinds_text(const std::vector<Kind>& kinds) {
  std::string text;
  for (size_t i = 0; i < kinds.size(); ++i)
    text += std::string(i == 0 ? "" : i + 1 == kinds.size() ? " or " : ", ") + name_of(kinds[i]);
  return text;
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

Pipeline::Pipeline(const Plan& plan, const Dataset& data, at::Device device, at::ScalarType dtype)
    : seed_(static_cast<uint64_t>(plan.run.seed)), device_(device), dtype_(dtype) {
  const std::vector<Modality> modalities = data.modalities();
  choose_views(plan, modalities);
  std::vector<Shape> shapes;  // by view
  for (const size_t m : modality_) shapes.push_back(modalities[m].shape);
  for (const ChosenAugmentation& chosen : plan.augment) {
    Step step = step_of(chosen, modalities, shapes);
    chosen.placed([&] { step.augmentation->setup(data); });
    apply_to_shapes(step, shapes);
    const std::string name = step.augmentation->evaluation_name();
    for (Seen& seen : seen_)
      if (step.applies[static_cast<size_t>(seen.view)] && !name.empty())
        seen.preparation += (seen.preparation.empty() ? "" : "-") + name;
    steps_.push_back(std::move(step));
  }
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (ragged(shapes[v])) {
      fail(Exit::usage, plan.data.place, ": the images of '", plan.data.component->name,
           "' differ in size: the first [[augment]]", v == 0 ? "" : " of view " + std::to_string(v),
           " must bring them to one size (random_resized_crop).");
    }
  }
  for (Seen& seen : seen_) {
    if (seen.preparation.empty()) seen.preparation = "none";
    seen.shape = shapes[static_cast<size_t>(seen.view)];
  }
}

// The modality of each view: those of views.of, or the only one there is.
void Pipeline::choose_views(const Plan& plan, const std::vector<Modality>& modalities) {
  const std::vector<std::string>& of = plan.views.of;
  const std::vector<std::string> names = names_of(modalities);
  if (of.empty() && names.size() > 1) {
    fail(Exit::usage, plan.data.place, ": the data set '", plan.data.component->name, "' has the modalities ",
         allowed_choice(names), ": say in [views] of what the views are.");
  }
  for (int64_t v = 0; v < plan.views.count; ++v) {
    const std::string name = of.empty() ? names.at(0) : of[static_cast<size_t>(v)];
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw Error("unknown modality '" + name + "' in views.of." + known_names("modalities", name, names),
                  Exit::usage, "views.of");
    }
    const auto same = [&](const Seen& seen) { return seen.name == name; };
    const auto seen = std::find_if(seen_.begin(), seen_.end(), same);
    if (seen == seen_.end()) {
      seen_.push_back({name, {}, v, -1, ""});
    } else if (seen->other < 0) {
      seen->other = v;
    }
    modality_.push_back(static_cast<size_t>(found - names.begin()));
  }
  for (size_t m = 0; m < seen_.size(); ++m)
    if (seen_[m].other < 0) seen_[m].other = plan.views.count + static_cast<int64_t>(m);
}

int64_t Pipeline::made_as(int64_t v) const {
  const auto count = static_cast<int64_t>(modality_.size());
  return v < count ? v : seen_.at(static_cast<size_t>(v - count)).view;
}

// Which views it applies to: those that are of its kinds by now, of its modality, among those that its table
// names. `shapes`: of each view so far.
Pipeline::Step Pipeline::step_of(const ChosenAugmentation& chosen, const std::vector<Modality>& modalities,
                                 const std::vector<Shape>& shapes) const {
  Step step{chosen, chosen.make<Augmentation>(), std::vector<bool>(modality_.size(), false)};
  const std::vector<std::string> names = names_of(modalities);
  if (!chosen.modality.empty() && std::find(names.begin(), names.end(), chosen.modality) == names.end()) {
    fail(Exit::usage, chosen.place, ": unknown modality '", chosen.modality, "' in augment.modality.",
         known_names("modalities", chosen.modality, names));
  }
  const std::vector<Kind> kinds = step.augmentation->kinds();
  std::string views;
  for (size_t v = 0; v < modality_.size(); ++v) {
    const Modality& of = modalities[modality_[v]];
    const auto& named = chosen.views;
    const bool asked =
        named.empty() || std::find(named.begin(), named.end(), static_cast<int64_t>(v)) != named.end();
    const bool fits = std::find(kinds.begin(), kinds.end(), shapes[v].kind) != kinds.end();
    step.applies[v] = asked && fits && (chosen.modality.empty() || chosen.modality == of.name);
    if (asked && !named.empty() && !step.applies[v] && views.empty())
      views = fmt::format("view {} is of '{}' ({})", v, of.name, name_of(shapes[v].kind));
  }
  if (views.empty() && std::find(step.applies.begin(), step.applies.end(), true) == step.applies.end()) {
    for (const Seen& seen : seen_)
      views += fmt::format("{}'{}' ({})", views.empty() ? "the views are of " : ", ", seen.name,
                           name_of(shapes[static_cast<size_t>(seen.view)].kind));
  }
  if (!views.empty())
    fail(Exit::usage, chosen.place, ": the augmentation '", chosen.component->name, "' is for ",
         chosen.modality.empty() ? "" : "'" + chosen.modality + "', ", kinds_text(kinds), "; ", views, ".");
  return step;
}

void Pipeline::apply_to_shapes(const Step& step, std::vector<Shape>& shapes) const {
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (!step.applies[v]) continue;
    if (ragged(shapes[v]) && !step.augmentation->accepts_ragged()) {
      fail(Exit::usage, step.chosen.place, ": the augmentation '", step.chosen.component->name,
           "' is given images of different sizes, allowed: behind one that brings them to one size "
           "(random_resized_crop).");
    }
    shapes[v] = step.chosen.placed([&] { return step.augmentation->shape_after(shapes[v]); });
  }
}

View Pipeline::raw_view(const Views& raw, int64_t v) const {
  return on_device(raw.at(modality_[static_cast<size_t>(v)]), device_);
}

// What a tower takes: floats of the run's precision on its device, images in [0, 1], waves in [-1, 1]; of
// text the numbers of its bytes or tokens, of a graph also the weights of its edges.
View Pipeline::as_input(View view) const {
  view = on_device(std::move(view), device_);
  if (view.kind == Kind::text) {
    view.data = view.data.to(at::kLong);
    return view;
  }
  if (view.data.scalar_type() == at::kByte) view.data = as_float_image(view.data);
  if (view.data.scalar_type() == at::kShort) view.data = as_float_wave(view.data);
  view.data = view.data.to(dtype_);
  if (view.edges.weight.defined()) view.edges.weight = view.edges.weight.to(dtype_);
  return view;
}

View Pipeline::made(const Views& raw, const Tensor& index, int64_t step, int64_t v, bool placed) const {
  const int64_t as = made_as(v);
  View view = raw_view(raw, as);
  const Tensor samples = view.kind == Kind::graph ? torch::arange(view.size(), torch::kLong) : index;
  AugmentContext context{seed_, step, v, 0, samples};
  for (const Step& one : steps_) {
    const auto apply = [&] { return one.augmentation->apply(view, context); };
    if (one.applies[static_cast<size_t>(as)]) view = placed ? one.chosen.placed(apply) : apply();
    ++context.position;
  }
  view.key = draw_keys(context);  // last: an augmentation may make its view anew
  return as_input(std::move(view));
}

View Pipeline::evaluation_view(const Views& raw, size_t m) const {
  const int64_t v = seen_.at(m).view;
  View view = raw_view(raw, v);
  for (const Step& step : steps_) {
    if (step.applies[static_cast<size_t>(v)]) view = step.augmentation->evaluate(view);
  }
  return as_input(std::move(view));
}

View Pipeline::training_view(const Views& raw, const Tensor& index, int64_t step, int64_t v) const {
  return made(raw, index, step, v, /*placed=*/false);
}

Views Pipeline::training_views(const Views& raw, const Tensor& index, int64_t step) const {
  Views views;
  for (size_t v = 0; v < modality_.size(); ++v)
    views.push_back(training_view(raw, index, step, static_cast<int64_t>(v)));
  return views;
}

Views Pipeline::tried_views(const Views& raw, const Tensor& index) const {
  Views views;
  for (size_t v = 0; v < modality_.size(); ++v)
    views.push_back(made(raw, index, 0, static_cast<int64_t>(v), /*placed=*/true));
  return views;
}

}  // namespace foil
