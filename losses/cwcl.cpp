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
    const Tensor other = input.other_samples();  // [B, N]
    const Tensor alike = (1 + torch::matmul(input.z[0].detach(), input.everyone(0).detach().t())) / 2;
    const Tensor weight = torch::where(other, alike, torch::ones_like(alike));  // [B, N]
    const Tensor own = other.logical_not().to(weight.scalar_type());            // [B, N]
    const Tensor forth = foil::cross_entropy(input, 0, 1, scale, weight);
    const Tensor back =
        foil::cross_entropy(input, 1, 0, scale, options_.reverse == Reverse::weighted ? weight : own);
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    input.report("temperature", 1 / scale);
    return options_.directions == Directions::sum ? forth + back : (forth + back) / 2;
  }

  void after_step(const LossInput&) override { temperature_.bound(); }

 private:
  Options options_;
  foil::LearnedTemperature temperature_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<CWCL>("cwcl"); }
