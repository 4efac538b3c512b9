// SPDX-License-Identifier: BSD-3-Clause
// Barlow Twins: the cross-correlation of two views' features towards the identity.
// Zbontar et al., "Barlow Twins: self-supervised learning via redundancy reduction", ICML 2021, equations (1)
// and (2).
//
//   zh = (z - mean) / sqrt(var + epsilon), each column over the global batch (var divides by N)
//   C  = zh_1' zh_2 / N
//   L  = scale * ( sum over d of (C_dd - 1)^2 + off_diagonal_weight * sum over d != e of C_de^2 )
//
// z as the head gives it. Mean, variance and C are those of the global batch on any number of ranks (lightly
// and solo-learn standardise each rank's part by itself, which is another loss). scale: solo-learn multiplies
// by 0.025; the published script has 1 and LARS.
//
// Of two views of a graph this is Graph Barlow Twins (Bielak et al., 2022), with off_diagonal_weight = 1/D.
// PyGCL's code divides by the deviation + epsilon instead, whose variance divides by N - 1: standardisation =
// "deviation"; with "none" zh is z.
//
//   [[loss]]
//   name = "barlow"
//   off_diagonal_weight = 0.0051
//   scale = 0.025
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class BarlowTwins final : public foil::Loss {
 public:
  enum class Standardisation { variance, deviation, none };
  struct Options {
    double off_diagonal_weight = 0.0051;
    double scale = 1;
    Standardisation standardisation = Standardisation::variance;
    double epsilon = 1e-5;
    void describe(foil::Fields& f) {
      f.number("off_diagonal_weight", off_diagonal_weight, "factor of the redundancy term (lambda)",
               foil::at_least(0));
      f.number("scale", scale, "factor of the whole loss", foil::above(0));
      f.choice("standardisation", standardisation,
               {{"variance", Standardisation::variance},
                {"deviation", Standardisation::deviation},
                {"none", Standardisation::none}},
               "what columns are divided by: the root of the variance + epsilon, as published, or PyGCL's");
      f.number("epsilon", epsilon, "added to the variances, or to PyGCL's deviations", foil::above(0));
    }
  };
  explicit BarlowTwins(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.min_views = 2, .max_views = 2, .raw_z = true}; }

  // The value of the global batch, on every rank.
  Tensor forward(const LossInput& input) override {
    const double global = static_cast<double>(input.global_batch());
    const Tensor a = standardised(input, input.z[0], global),
                 b = standardised(input, input.z[1], global);                      // [B, D]
    const Tensor correlation = input.sum_ranks(torch::matmul(a.t(), b)) / global;  // [D, D]
    const Tensor diagonal = correlation.diagonal();
    const Tensor invariance = (diagonal - 1).square().sum();
    const Tensor redundancy = (correlation - torch::diag(diagonal)).square().sum();
    input.report("invariance", invariance);
    input.report("redundancy", redundancy);
    return options_.scale * (invariance + options_.off_diagonal_weight * redundancy);
  }

 private:
  Tensor standardised(const LossInput& input, const Tensor& z, double global) const {
    if (options_.standardisation == Standardisation::none) return z;
    const Tensor centred = z - input.sum_ranks(z.sum(0)) / global;
    const Tensor squares = input.sum_ranks(centred.square().sum(0));  // [D]
    if (options_.standardisation == Standardisation::variance)
      return centred / (squares / global + options_.epsilon).sqrt();
    // The floor keeps the gradient of equal entries, whose deviation is 0, finite.
    return centred / ((squares / std::max(global - 1, 1.0)).clamp_min(1e-30).sqrt() + options_.epsilon);
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<BarlowTwins>("barlow"); }
