// SPDX-License-Identifier: BSD-3-Clause
// CSGCL: GRACE in which nodes of strong communities weigh more, in a graph whose communities are known.
// Chen et al., "CSGCL: community-strength-enhanced graph contrastive learning", IJCAI 2023, its team-up
// objective.
//
//   g(e)    = min( max(0, (e - strength_start_epoch) / strength_epochs), strength_weight ), e the epoch
//   s(a,c)  = ( <z_a, z_c> + g (strength_a + strength_c) ) / temperature
//   l_12(i) = - log exp s(1i,2i) / ( sum over j of exp s(1i,2j) + sum over j != i of exp s(1i,1j) )
//   L       = mean over i of (l_12(i) + l_21(i)) / 2
//
// z is unit norm. The strength of a node is that of its community, its share of the modularity; the
// augmentation community_strength writes it into the first column of params of the first view. It is a
// constant; that of the anchor stands in numerator and denominator and is left out here. Everything is a
// log-sum-exp, so that a weight of 10 at a low temperature does not overflow in fp32, as published code does.
// Memory is linear in the nodes, as in grace.
//
//   [[augment]]
//   name = "community_strength"
//   [[loss]]
//   name = "csgcl"
//   temperature = 0.3
//   strength_weight = 1
//   strength_start_epoch = 500
#include "view_contrast.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class CSGCL final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.4;
    double strength_weight = 1;
    int64_t strength_start_epoch = 500;
    int64_t strength_epochs = 100;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("strength_weight", strength_weight, "the most that a strength is multiplied by",
               foil::at_least(0));
      f.integer("strength_start_epoch", strength_start_epoch, "the last epoch without strengths",
                foil::at_least(0));
      f.integer("strength_epochs", strength_epochs, "epochs in which their weight grows by 1",
                foil::at_least(1));
    }
  };
  explicit CSGCL(const Options& options) : options_(options) {}

  foil::Needs needs() const override { return {.views = true, .graph = true}; }

  Tensor forward(const LossInput& input) override {
    const Tensor added = weight(input.epoch) * strength(input);  // [N]
    const Tensor forth = direction(input, 0, 1, added), back = direction(input, 1, 0, added);
    input.report("loss_1_2", forth);
    input.report("loss_2_1", back);
    return (forth + back) / 2;
  }

 private:
  double weight(int64_t epoch) const {
    const double since = static_cast<double>(epoch - options_.strength_start_epoch);
    return std::min(std::max(0.0, since / static_cast<double>(options_.strength_epochs)),
                    options_.strength_weight);
  }

  // Of every node: [N].
  static Tensor strength(const LossInput& input) {
    const Tensor& params = input.views.at(0).params;
    if (!params.defined())
      foil::fail(foil::Exit::failure, "CSGCL: the first view has no params, allowed: [", input.global_batch(),
                 ", P], the strength of each node's community first. The augmentation "
                 "community_strength writes them.");
    if (params.dim() != 2 || params.size(0) != input.global_batch() || params.size(1) == 0)
      foil::fail(foil::Exit::failure, "CSGCL: params of the first view are ", params.sizes(), ", allowed: [",
                 input.global_batch(), ", P], the strength of each node's community first");
    return params.select(1, 0);
  }

  Tensor direction(const LossInput& input, size_t from, size_t to, const Tensor& added) const {
    foil::ViewContrast contrast{from, to, options_.temperature};
    contrast.added = added;
    return input.mean(contrast(input));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<CSGCL>("csgcl", {.samples = {"strength_start_epoch = 0\nstrength_epochs = 1"}});
}
