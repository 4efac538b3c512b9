// SPDX-License-Identifier: BSD-3-Clause
// SigLIP: every pair of the batch is a yes-or-no question of its own; no softmax, no denominator.
// Zhai et al., "Sigmoid loss for language image pre-training", ICCV 2023, equation (1).
//
//   x(a,b) = <z1_a, z2_b> / temperature + bias
//   L      = 1/N sum over all N^2 pairs (a,b) of -log sigmoid(x if a = b, else -x)
//
// z is unit norm. Temperature and bias are learned (parameters logit_scale, the log of the inverse, and
// logit_bias) and start at 0.1 and -10, as published: without the bias the N - 1 negatives of an anchor
// outweigh its positive at first. The temperature is held between bounds, as in open_clip's training. The sum
// is divided by N, not by the number of pairs. Every rank takes its own rows against all columns.
//
//   [[loss]]
//   name = "siglip"
#include "learned_temperature.h"

#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class SigLIP final : public foil::Loss {
 public:
  struct Options : foil::TemperatureOptions {
    double bias = -10;
    Options() { temperature = 0.1; }
    void describe(foil::Fields& f) {
      TemperatureOptions::describe(f);
      f.number("bias", bias, "added to the similarities at the start");
    }
  };
  explicit SigLIP(const Options& options) : options_(options), temperature_(options) {}

  void setup(const foil::Sizes&) override {
    temperature_.setup(*this);
    bias_ = register_parameter("logit_bias", torch::full({}, options_.bias, torch::kFloat));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor scale = temperature_.scale(input.z[0]);
    contrast::Pairs pairs = contrast::between(input, 0, 1, scale);
    pairs.row.offset = bias_.expand({input.z[0].size(0)});
    const Tensor others = contrast::mean_sum(pairs, contrast::Phi::softplus);              // [B]
    const Tensor own = foil::softplus(-scale * (input.z[0] * input.z[1]).sum(1) - bias_);  // [B]
    input.report("temperature", 1 / scale);
    input.report("bias", bias_.clone());
    return input.mean(others + own);
  }

  void after_step(const LossInput&) override { temperature_.bound(); }

 private:
  Options options_;
  foil::LearnedTemperature temperature_;
  Tensor bias_;  // []
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<SigLIP>("siglip"); }
