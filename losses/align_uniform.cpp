// SPDX-License-Identifier: BSD-3-Clause
// Alignment and uniformity: positives close, everything spread over the sphere.
// Wang & Isola, "Understanding contrastive representation learning through alignment and uniformity on the
// hypersphere", ICML 2020, section 4.1.
//
//   L_align   = mean over i of |x_i - y_i|^alignment_power
//   L_uniform = log mean over pairs i < j of exp(-uniformity_scale |x_i - x_j|^2), the mean of both views
//   L         = alignment_weight L_align + uniformity_weight L_uniform
//
// z is unit norm. The defaults are those of the published STL-10 example; for ImageNet its authors take
// weights 3 and 1 and uniformity_scale 3. Pairs are pairs of the global batch. A norm has no derivative at 0:
// below power 2, equal embeddings have gradient 0.
//
//   [[loss]]
//   name = "align_uniform"
//   uniformity_weight = 0.5
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class AlignUniform final : public foil::Loss {
 public:
  struct Options {
    double alignment_weight = 1;
    double uniformity_weight = 1;
    double alignment_power = 2;
    double uniformity_scale = 2;
    void describe(foil::Fields& f) {
      f.number("alignment_weight", alignment_weight, "factor of the alignment", foil::at_least(0));
      f.number("uniformity_weight", uniformity_weight, "factor of the uniformity", foil::at_least(0));
      // fp32 holds no larger power of 2, the largest distance, and its gradient.
      f.number("alignment_power", alignment_power, "power of the distance between positives",
               foil::above_up_to(0, 100));
      f.number("uniformity_scale", uniformity_scale, "multiplies the squared distances of the uniformity",
               foil::above(0));
    }
  };
  explicit AlignUniform(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const Tensor align = input.mean(power((input.z[0] - input.z[1]).square().sum(1)));
    const Tensor uniform = (uniformity(input, 0) + uniformity(input, 1)) / 2;
    input.report("align", align);
    input.report("uniform", uniform);
    return options_.alignment_weight * align + options_.uniformity_weight * uniform;
  }

 private:
  // Distances to the power asked, from squared distances.
  Tensor power(const Tensor& squared) const {
    if (options_.alignment_power == 2) return squared;
    const Tensor zero = squared == 0;
    return squared.masked_fill(zero, 1).pow(options_.alignment_power / 2).masked_fill(zero, 0);
  }

  // The value of the global batch, on every rank.
  Tensor uniformity(const LossInput& input, size_t v) const {
    const Tensor& x = input.z[v];  // [B, D]
    const int64_t global = input.global_batch();
    if (global < 2) return torch::zeros({}, x.options());  // no pairs
    const double t = options_.uniformity_scale;
    foil::contrast::Pairs pairs = foil::contrast::within(input, x, 2 * t);
    for (foil::contrast::Side* side : {&pairs.row, &pairs.column})
      if (side->data.defined()) side->offset = -t * side->data.square().sum(1);
    const Tensor rows = foil::contrast::reduce(pairs, {foil::contrast::lse()})[0];  // [B]
    return input.gather(rows).logsumexp(0) -
           std::log(static_cast<double>(global) * static_cast<double>(global - 1));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<AlignUniform>(
      "align_uniform",
      {.wider = {
           {"precision", 8,
            "a squared distance of near rows is a difference of numbers near 2, times uniformity_scale"}}});
}
