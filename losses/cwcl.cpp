// SPDX-License-Identifier: BSD-3-Clause
// CWCL: a trained modality learns from a pretrained one not only who belongs together but how alike others
// are. Srinivasa et al., "CWCL: cross-modal transfer with continuously weighted contrastive loss", NeurIPS
// 2023, equations (3) and (4).
//
//   s(a,b) = <z1_a, z2_b> / temperature
//   w(a,b) = (1 + <z1_a, z1_b>) / 2, 1 for a = b; a constant
//   L_12   = mean over a of - sum over b of w(a,b) / sum over b of w(a,b)  log softmax over b of s(a,.)
//   L_21   = mean over b of - log softmax over a of s(., b) at a = b
//   L      = (L_12 + L_21) / 2, or their sum as published (directions = "sum")
//
// z is unit norm; the first view is the pretrained modality, whose tower may be frozen, the second the
// trained one. The second direction is plain InfoNCE (reverse = "sample"), or weighted by w as well
// ("weighted"). Weights are about 1/2 where the first modality tells nothing apart: the loss lives from the
// structure of z1. 1 / temperature is learned as in CLIP (parameter logit_scale).
//
//   [[loss]]
//   name = "cwcl"
//   directions = "sum"
#include "cross_entropy.h"
#include "learned_temperature.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class CWCL final : public foil::Loss {
 public:
  enum class Directions { mean, sum };
  enum class Reverse { sample, weighted };
  struct Options : foil::TemperatureOptions {
    Directions directions = Directions::mean;
    Reverse reverse = Reverse::sample;
    void describe(foil::Fields& f) {
      TemperatureOptions::describe(f);
      f.choice("directions", directions, {{"mean", Directions::mean}, {"sum", Directions::sum}},
               "how the two directions are joined; sum as published");
      f.choice("reverse", reverse, {{"sample", Reverse::sample}, {"weighted", Reverse::weighted}},
               "from the trained modality back: its own sample is the target, or all by their weights");
    }
  };
  explicit CWCL(const Options& options) : options_(options), temperature_(options) {}

  void setup(const foil::Sizes&) override { temperature_.setup(*this); }

  Tensor forward(const LossInput& input) override {
    const Tensor scale = temperature_.scale(input.z[0]);
    const Tensor target = options_.reverse == Reverse::weighted ? weighted_mean(input, 0) : Tensor();
    const auto [forth, back] = foil::cross_entropies(input, scale, {weighted_mean(input, 1), target});
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    input.report("temperature", 1 / scale);
    return options_.directions == Directions::sum ? forth + back : (forth + back) / 2;
  }

  void after_step(const LossInput&) override { temperature_.bound(); }

 private:
  // sum over b of w(a,b) z_b / sum over b of w(a,b), of view v: fp64 [B, D]. The sums of all a are two small
  // matrices: sum over b of <z1_a, z1_b> z_b = z1_a (sum over b of z1_b z_b').
  static Tensor weighted_mean(const LossInput& input, int64_t v) {
    const auto wide = [](const Tensor& x) { return x.to(torch::kDouble); };
    const Tensor one = wide(input.z[0].detach()), everyone = wide(input.everyone(0).detach());
    const Tensor z = wide(input.everyone(v)), own = (1 - one.square().sum(1, true)) / 2;  // w(a,a) is 1
    const Tensor sum = (z.sum(0) + torch::matmul(one, torch::matmul(everyone.t(), z))) / 2;
    const Tensor weight =
        (static_cast<double>(z.size(0)) + torch::matmul(one, everyone.sum(0)).unsqueeze(1)) / 2;
    return (sum + own * wide(input.z[static_cast<size_t>(v)])) / (weight + own);
  }

  Options options_;
  foil::LearnedTemperature temperature_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<CWCL>("cwcl"); }
