// SPDX-License-Identifier: BSD-3-Clause
// A sound augmentation, and the same with one bug each, as people write them: to test the tests. The sound
// one crops an image to a drawn place and scales it by a drawn brightness; in evaluation it crops the middle.
// It takes images of different sizes too.
#include <foil/plugin.h>

#include <algorithm>

namespace {

using foil::Tensor;

enum class Bug {
  none,
  draws_from_the_global_generator,
  draws_by_batch_position,
  draws_without_the_step,
  counts_its_calls,
  writes_into_its_view,
  makes_its_view_anew,
  shape_after_is_the_shape_before,
  fails_without_samples,
  leaves_bytes_as_they_are,
  makes_fp32_of_fp64,
  evaluation_is_random,
  evaluation_has_no_name,
  divides_by_the_brightest,
  looks_at_the_batch,
  all_ragged_images_as_the_first,
  leaves_vectors_to_libtorch,
};

constexpr int64_t kSide = 12;

template <Bug bug>
class Planted final : public foil::Augmentation {
 public:
  struct Options {
    double strength = 0.4;
    void describe(foil::Fields& f) {
      f.number("strength", strength, "of the brightness", foil::between(0, 1));
    }
  };
  explicit Planted(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override {
    if (bug == Bug::leaves_vectors_to_libtorch) return {foil::Kind::image, foil::Kind::vector};
    return {foil::Kind::image};
  }
  foil::Shape shape_after(const foil::Shape& before) const override {
    if (bug == Bug::shape_after_is_the_shape_before) return before;
    return {before.kind, {before.sizes.at(0), kSide, kSide}, before.range};
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    ++calls_;
    const int64_t batch = view.size();
    if (bug == Bug::fails_without_samples && batch == 0) throw std::out_of_range("no sample");
    if (bug == Bug::writes_into_its_view && view.data.defined()) view.data.fill_(1);
    std::vector<Tensor> images;
    for (int64_t b = 0; b < batch; ++b) images.push_back(crop(image_of(view, b), draws(context, b)));
    Tensor all =
        batch > 0 ? torch::stack(images) : view.data.slice(2, 0, kSide).slice(3, 0, kSide).to(at::kFloat);
    if (bug == Bug::looks_at_the_batch && batch > 0) all = all - all.mean({0}, true);
    if (bug == Bug::divides_by_the_brightest) all = all / all.amax({1, 2, 3}, true);
    return with(view, all);
  }

  bool accepts_ragged() const override { return true; }

  foil::View evaluate(const foil::View& view) override {
    std::vector<Tensor> images;
    for (int64_t b = 0; b < view.size(); ++b) {
      const Tensor image = widened(image_of(view, b));
      const int64_t top = (image.size(1) - kSide) / 2, left = (image.size(2) - kSide) / 2;
      images.push_back(image.slice(1, top, top + kSide).slice(2, left, left + kSide));
    }
    Tensor all = torch::stack(images);
    if (bug == Bug::evaluation_is_random) all = all + 0.1 * torch::rand_like(all);
    return with(view, all);
  }
  std::string evaluation_name() const override { return bug == Bug::evaluation_has_no_name ? "" : "middle"; }

 private:
  static Tensor widened(const Tensor& image) {
    if (bug == Bug::leaves_bytes_as_they_are)
      return image.to(image.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    if (bug == Bug::makes_fp32_of_fp64)
      return foil::as_float_image(image.unsqueeze(0)).squeeze(0).to(at::kFloat);
    return foil::as_float_image(image.unsqueeze(0)).squeeze(0);
  }
  static Tensor image_of(const foil::View& view, int64_t b) {
    if (view.data.defined()) return view.data[b];
    return view.ragged[bug == Bug::all_ragged_images_as_the_first ? 0 : static_cast<size_t>(b)];
  }
  foil::Draws draws(const foil::AugmentContext& context, int64_t b) const {
    if (bug == Bug::draws_by_batch_position) return {context.key(), static_cast<uint64_t>(b)};
    if (bug == Bug::counts_its_calls) return {context.key(), static_cast<uint64_t>(calls_ * 100 + b)};
    if (bug == Bug::draws_without_the_step) {
      foil::AugmentContext other = context;
      other.step = 0;
      return other.draws(b);
    }
    return context.draws(b);
  }
  Tensor crop(const Tensor& bytes, foil::Draws draws) const {
    const bool left_alone = bug == Bug::leaves_vectors_to_libtorch && bytes.dim() == 1;
    const Tensor image = left_alone ? bytes : widened(bytes);  // [C, H, W]
    const int64_t top = draws.below(image.size(1) - kSide + 1), left = draws.below(image.size(2) - kSide + 1);
    const double light =
        bug == Bug::draws_from_the_global_generator ? torch::rand({}).item<double>() : draws.uniform();
    return image.slice(1, top, top + kSide).slice(2, left, left + kSide) * (1 - options_.strength * light);
  }
  static foil::View with(const foil::View& view, const Tensor& data) {
    foil::View out;
    if (bug != Bug::makes_its_view_anew) out = view;
    out.ragged.clear();
    out.data = data;
    return out;
  }

  Options options_;
  int64_t calls_ = 0;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.augmentation<Planted<Bug::none>>("sound");
  plugin.augmentation<Planted<Bug::draws_from_the_global_generator>>("draws_from_the_global_generator");
  plugin.augmentation<Planted<Bug::draws_by_batch_position>>("draws_by_batch_position");
  plugin.augmentation<Planted<Bug::draws_without_the_step>>("draws_without_the_step");
  plugin.augmentation<Planted<Bug::counts_its_calls>>("counts_its_calls");
  plugin.augmentation<Planted<Bug::writes_into_its_view>>("writes_into_its_view");
  plugin.augmentation<Planted<Bug::makes_its_view_anew>>("makes_its_view_anew");
  plugin.augmentation<Planted<Bug::shape_after_is_the_shape_before>>("shape_after_is_the_shape_before");
  plugin.augmentation<Planted<Bug::fails_without_samples>>("fails_without_samples");
  plugin.augmentation<Planted<Bug::leaves_bytes_as_they_are>>("leaves_bytes_as_they_are");
  plugin.augmentation<Planted<Bug::makes_fp32_of_fp64>>("makes_fp32_of_fp64");
  plugin.augmentation<Planted<Bug::evaluation_is_random>>("evaluation_is_random");
  plugin.augmentation<Planted<Bug::evaluation_has_no_name>>("evaluation_has_no_name");
  plugin.augmentation<Planted<Bug::divides_by_the_brightest>>("divides_by_the_brightest");
  plugin.augmentation<Planted<Bug::looks_at_the_batch>>("looks_at_the_batch");
  plugin.augmentation<Planted<Bug::all_ragged_images_as_the_first>>("all_ragged_images_as_the_first");
  plugin.augmentation<Planted<Bug::leaves_vectors_to_libtorch>>("leaves_vectors_to_libtorch");
}
