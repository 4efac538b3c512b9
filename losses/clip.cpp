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
    const auto [forth, back] =
        foil::cross_entropies(input, scale, {mean_of_positives(input, 1), mean_of_positives(input, 0)});
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    input.report("temperature", 1 / scale);
    const Tensor loss = (forth + back) / 2;
    return options_.learn_bias ? loss + 0 * bias_ : loss;  // a softmax does not see it
  }

  void after_step(const LossInput&) override { temperature_.bound(); }

 private:
  // Of view v the mean over an anchor's positives, in fp64 [B, D]; undefined where each has one.
  Tensor mean_of_positives(const LossInput& input, int64_t v) const {
    if (options_.positives == Positives::sample) return {};
    const Tensor label = input.gather(input.label), own = -1 - torch::arange(label.size(0), label.options());
    const Tensor of = std::get<1>(at::_unique(torch::where(label == -1, own, label), true, true));  // [N]
    const Tensor z = input.everyone(v).to(torch::kDouble), sum = torch::zeros_like(z).index_add(0, of, z);
    const Tensor count = torch::bincount(of).unsqueeze(1),
                 rows = of.narrow(0, input.offset(), input.label.size(0));
    return sum.index_select(0, rows) / count.index_select(0, rows);
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
