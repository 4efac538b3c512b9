// SPDX-License-Identifier: BSD-3-Clause
// VICReg: invariance between views, variance and decorrelation within each.
// Bardes et al., "VICReg: variance-invariance-covariance regularization for self-supervised learning", ICLR
// 2022, equations (1)-(6).
//
//   invariance = mean over samples and features of (x - y)^2
//   variance   = mean over features of max(0, 1 - sqrt(Var(x_d) + epsilon)), the mean of both views
//   covariance = 1/D sum over d != e of Cov(x)_de^2, the sum of both views;  Var and Cov divide by N - 1
//   L          = invariance_weight invariance + variance_weight variance + covariance_weight covariance
//
// z as the head gives it. As the published code and lightly the variance term is halved; solo-learn does not,
// nor does PyGCL: a weight of 25 there is 50 here. Var and Cov are those of the global batch, N its actual
// size. A batch of one sample has variance and covariance 0.
//
//   [[loss]]
//   name = "vicreg"
//   covariance_weight = 1.0
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class VICReg final : public foil::Loss {
 public:
  struct Options {
    double invariance_weight = 25;
    double variance_weight = 25;
    double covariance_weight = 1;
    double epsilon = 1e-4;
    void describe(foil::Fields& f) {
      f.number("invariance_weight", invariance_weight, "factor of the squared differences between views",
               foil::at_least(0));
      f.number("variance_weight", variance_weight, "factor of the hinge on standard deviations",
               foil::at_least(0));
      f.number("covariance_weight", covariance_weight, "factor of the squared covariances",
               foil::at_least(0));
      f.number("epsilon", epsilon, "added to the variances", foil::above(0));
    }
  };
  explicit VICReg(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.min_views = 2, .max_views = 2, .raw_z = true}; }

  Tensor forward(const LossInput& input) override {
    const Tensor invariance = input.mean((input.z[0] - input.z[1]).square());
    Tensor variance = torch::zeros({}, input.z[0].options()), covariance = variance;
    for (const Tensor& z : input.z) {
      const Tensor c = covariances(input, z);  // [D, D], of the global batch on every rank
      const Tensor own = c.diagonal();
      variance = variance + (1 - (own + options_.epsilon).sqrt()).clamp_min(0).mean() / 2;
      covariance = covariance + (c - torch::diag(own)).square().sum() / static_cast<double>(c.size(0));
    }
    input.report("invariance", invariance);
    input.report("variance", variance);
    input.report("covariance", covariance);
    return options_.invariance_weight * invariance + options_.variance_weight * variance +
           options_.covariance_weight * covariance;
  }

 private:
  static Tensor covariances(const LossInput& input, const Tensor& z) {
    const double global = static_cast<double>(input.global_batch());
    const Tensor centred = z - input.sum_ranks(z.sum(0)) / global;  // [B, D]
    return input.sum_ranks(torch::matmul(centred.t(), centred)) / std::max(global - 1, 1.0);
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<VICReg>("vicreg"); }
