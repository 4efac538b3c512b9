// SPDX-License-Identifier: BSD-3-Clause
// DCL and DCLW: decoupled contrastive learning, InfoNCE without the positive in the denominator.
// Yeh et al., "Decoupled contrastive learning", ECCV 2022: L_DC (equation 6) and L_DCW (section 3.3).
//
//   L_ab = mean over i of ( -w_i <a_i,b_i>/temperature + log sum over j != i of (e(a_i,a_j) + e(a_i,b_j)) )
//   e    = exp of the cosine / temperature
//   w_i  = 1 (weighting = "none"), or, of mean 1, DCLW ("von_mises_fisher"):
//          2 - N softmax_i(<a_i,b_i>/sigma) over the global batch
//   L    = (L_12 + L_21) / 2, or their sum as in the published training script (directions = "sum")
//
// z is unit norm. Against the published code (raminnakhli/Decoupled-Contrastive-Learning): it masks by adding
// log(1e-45) to the self and positive logits, which leaks below temperature 0.01; here they are left out
// exactly, and mask = "additive" reproduces the leak. Its weight carries gradient, as here; detach_weight =
// true treats it as a constant, as lightly does. N in the weight is the global batch.
//
//   [[loss]]
//   name = "dcl"
//   temperature = 0.2
//   weighting = "von_mises_fisher"
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class DCL final : public foil::Loss {
 public:
  enum class Weighting { none, von_mises_fisher };
  enum class Directions { mean, sum };
  enum class Mask { exact, additive };
  struct Options {
    double temperature = 0.1;
    Weighting weighting = Weighting::none;
    double sigma = 0.5;
    Directions directions = Directions::mean;
    bool detach_weight = false;
    Mask mask = Mask::exact;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.choice("weighting", weighting,
               {{"none", Weighting::none}, {"von_mises_fisher", Weighting::von_mises_fisher}},
               "weight of the positive term; von_mises_fisher is DCLW");
      f.number("sigma", sigma, "temperature of the von Mises-Fisher weight", foil::above(0));
      f.choice("directions", directions, {{"mean", Directions::mean}, {"sum", Directions::sum}},
               "how the two directions are joined; sum as published");
      // What reproduces published code:
      f.flag("detach_weight", detach_weight, "no gradient through the weight, as lightly");
      f.choice("mask", mask, {{"exact", Mask::exact}, {"additive", Mask::additive}},
               "additive reproduces the published code's leaking mask");
    }
  };
  explicit DCL(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const Tensor cosine = (input.z[0] * input.z[1]).sum(1);  // [B]
    const Tensor lse =
        (options_.mask == Mask::exact ? contrast::mean_lse(contrast::among(input, 1 / options_.temperature))
                                      : leaking_lse(input))
            .view({2, cosine.size(0)});
    // A batch of one sample has no negatives: nothing to push away, the positive term alone remains.
    const Tensor push = torch::where(lse.isneginf(), torch::zeros_like(lse), lse);
    const Tensor each = push - weight(input, cosine) * cosine / options_.temperature;  // [2, B]
    const Tensor forth = input.mean(each[0]), back = input.mean(each[1]);
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    return options_.directions == Directions::sum ? forth + back : (forth + back) / 2;
  }

 private:
  // With the published mask: [2B].
  Tensor leaking_lse(const LossInput& input) const {
    const Tensor s = torch::matmul(torch::cat(input.z), input.everyone().t()) / options_.temperature;
    const Tensor negative = input.other_samples(2).repeat({2, 1});  // [2B, 2N]
    return torch::logsumexp(torch::where(negative, s, s + std::log(1e-45)), 1);
  }

  // w_i of the local anchors: [B].
  Tensor weight(const LossInput& input, const Tensor& cosine) const {
    if (options_.weighting == Weighting::none) return torch::ones_like(cosine);
    const Tensor logits = input.gather(cosine / options_.sigma);  // [N]
    const Tensor share = (cosine / options_.sigma - logits.logsumexp(0)).exp();
    const Tensor w = 2 - static_cast<double>(input.global_batch()) * share;
    return options_.detach_weight ? w.detach() : w;
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<DCL>(
      "dcl", {.wider = {{"masks", 6, "mask = \"additive\" is the published constant, log(1e-45) = -103"}}});
}
