// SPDX-License-Identifier: BSD-3-Clause
// BYOL: each view predicts the momentum encoder's projection of every other one; there are no negatives.
// Grill et al., "Bootstrap your own latent", NeurIPS 2020, equation 2 and its symmetric form.
//
//   L = mean over ordered pairs v != w, v at full size, and samples i of (2 - 2 <p_wi, t_vi>)
//   p, t: prediction and target, unit norm
//
// p is the predictor on the online projection, t the projection by the momentum encoder. With directions =
// "sum" the pairs are added: the paper's two terms for two views; with more, where small crops predict the
// full views, solo-learn's. lightly's value is L / 2 - 1. On the nodes of a graph this is BGRL (Thakoor et
// al., "Large-scale representation learning on graphs via bootstrapping", ICLR 2022, equation 1), whose value
// is L - 2. PyGCL's has the opposite sign, so that minimising it drives the views apart.
//
//   [[loss]]
//   name = "byol"
//   [predictor]
//   hidden = [512]
//   [momentum]
//   value = 0.99
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class BYOL final : public foil::Loss {
 public:
  enum class Directions { mean, sum };
  struct Options {
    Directions directions = Directions::mean;
    void describe(foil::Fields& f) {
      f.choice("directions", directions, {{"mean", Directions::mean}, {"sum", Directions::sum}},
               "how the pairs of views are joined; sum as published");
    }
  };
  explicit BYOL(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.max_views = foil::any_number, .predictor = true, .target = true};
  }

  Tensor forward(const LossInput& input) override {
    Tensor sum = torch::zeros({}, input.p[0].options());
    int64_t pairs = 0;
    for (size_t v = 0; v < input.target.size(); ++v) {
      for (size_t w = 0; w < input.p.size(); ++w) {
        if (v == w) continue;
        const Tensor term = 2 - 2 * input.mean((input.p[w] * input.target[v]).sum(1));
        input.report("loss_" + std::to_string(w + 1) + "_" + std::to_string(v + 1), term);
        sum = sum + term;
        ++pairs;
      }
    }
    return options_.directions == Directions::mean ? sum / static_cast<double>(pairs) : sum;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<BYOL>("byol"); }
