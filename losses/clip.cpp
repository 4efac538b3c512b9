// SPDX-License-Identifier: BSD-3-Clause
// CLIP: two modalities of a sample find each other among those of the batch, by a softmax in each direction.
// Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021, figure
// 3.
//
//   s(a,b) = <z1_a, z2_b> / temperature
//   L_12   = mean over a of - sum over b in P(a) of 1/|P(a)| log softmax over b of s(a,.)
//   L_21   = the same over the columns
//   L      = (L_12 + L_21) / 2
//
// z is unit norm. P(a) is the sample itself (positives = "sample", as published) or every sample of its label
// (positives = "label": pictures that share a caption are no negatives; a sample without a label, -1, has
// itself). 1 / temperature is learned as its log (parameter logit_scale) and held between bounds after each
// step: by default ln(1/0.07) in [0, ln 100], as published. `learn_bias` adds a learned number to all
// similarities (logit_bias), which changes nothing in a softmax: for weights that hold one. Every rank takes
// its own rows and columns against all others with gradient: open_clip's local_loss with gather_with_grad.
//
//   [[loss]]
//   name = "clip"
//   temperature = 0.07
#include "cross_entropy.h"
#include "learned_temperature.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class CLIP final : public foil::Loss {
 public:
  enum class Positives { sample, label };
  struct Options : foil::TemperatureOptions {
    Positives positives = Positives::sample;
    bool learn_bias = false;
    void describe(foil::Fields& f) {
      TemperatureOptions::describe(f);
      f.choice("positives", positives, {{"sample", Positives::sample}, {"label", Positives::label}},
               "the other view of the sample, or of all that share its label");
      f.flag("learn_bias", learn_bias,
             "a learned number on all similarities (logit_bias), without effect in a softmax");
    }
  };
  explicit CLIP(const Options& options) : options_(options), temperature_(options) {}

  foil::Needs needs() const override { return {.labels = options_.positives == Positives::label}; }

  void setup(const foil::Sizes&) override {
    temperature_.setup(*this);
    if (options_.learn_bias) bias_ = register_parameter("logit_bias", torch::zeros({}, torch::kFloat));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor scale = temperature_.scale(input.z[0]);
    const Tensor alike = positives(input).to(input.z[0].scalar_type());  // [B, N]
    const Tensor forth = foil::cross_entropy(input, 0, 1, scale, alike),
                 back = foil::cross_entropy(input, 1, 0, scale, alike);
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    input.report("temperature", 1 / scale);
    const Tensor loss = (forth + back) / 2;
    return options_.learn_bias ? loss + 0 * bias_ : loss;  // a softmax does not see it
  }

  void after_step(const LossInput&) override { temperature_.bound(); }

 private:
  // Which candidates are an anchor's targets: bool [B, N].
  Tensor positives(const LossInput& input) const {
    const Tensor own = input.other_samples().logical_not();
    if (options_.positives == Positives::sample) return own;
    return own.logical_or(foil::same_class(input.label, input.gather(input.label)));
  }

  Options options_;
  foil::LearnedTemperature temperature_;
  Tensor bias_;  // []
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<CLIP>("clip",
                    {.samples = {"learn_temperature = false\ntemperature = 0.005\npositives = \"label\""}});
}
