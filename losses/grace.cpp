// SPDX-License-Identifier: BSD-3-Clause
// GRACE: each node tells its own row in the other view of a graph from the rows of all other nodes in both.
// Zhu et al., "Deep graph contrastive representation learning", ICML 2020 workshop, equations (1) and (2).
//
//   s(a,c)  = <z_a, z_c> / temperature
//   l_12(i) = - log exp s(1i,2i) / ( sum over j of exp s(1i,2j) + sum over j != i of exp s(1i,1j) )
//   L       = mean over i of (l_12(i) + l_21(i)) / 2
//
// z is unit norm; the head is the experiment's ([head] activation = "elu" and batch_norm = false as
// published). Nothing in it is of graphs: any two views do, and infonce on two views gives the same numbers.
// No matrix of all pairs is kept. The published code takes exponentials first and subtracts the anchor's own;
// here it is left out, and low temperatures do not overflow.
//
// Relatives: candidates = "other_view" leaves out the second sum; with directions = "first" that is the loss
// of MA-GCL (Gong et al., "MA-GCL: model augmentation tricks for graph contrastive learning", AAAI 2023),
// whose published code takes l_12 alone. "both_views_and_own" keeps j = i in the second sum: PyGCL's contrast
// of two branches with negatives of both views, whose masks let the anchor itself through. With positives =
// "label" every row of the anchor's class is one, where labels are known (-1: its own alone);
// several_positives says whether logs of shares are averaged (PyGCL's InfoNCE) or shares added (InfoNCESP).
// neighbours = "left_out": a node that the anchor has an edge to, in the anchor's view, is no negative.
//
//   [[loss]]
//   name = "grace"
//   temperature = 0.4
#include "view_contrast.h"

#include <foil/plugin.h>

namespace {

using foil::Candidates;
using foil::LossInput;
using foil::Tensor;

class GRACE final : public foil::Loss {
 public:
  enum class Directions { mean, first };
  enum class Positives { sample, label };
  enum class Neighbours { negatives, left_out };
  struct Options {
    double temperature = 0.4;
    Candidates candidates = Candidates::both_views;
    Directions directions = Directions::mean;
    Positives positives = Positives::sample;
    foil::Positives several_positives = foil::Positives::mean_of_logs;
    Neighbours neighbours = Neighbours::negatives;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.choice("candidates", candidates,
               {{"both_views", Candidates::both_views},
                {"other_view", Candidates::other_view},
                {"both_views_and_own", Candidates::both_views_and_own}},
               "which rows an anchor meets; both_views_and_own, with itself, reproduces PyGCL");
      f.choice("directions", directions, {{"mean", Directions::mean}, {"first", Directions::first}},
               "anchors of both views, or of the first");
      f.choice("positives", positives, {{"sample", Positives::sample}, {"label", Positives::label}},
               "the node's own row of the other view, or those of its class too");
      f.choice("several_positives", several_positives,
               {{"mean_of_logs", foil::Positives::mean_of_logs}, {"log_of_sum", foil::Positives::log_of_sum}},
               "how the shares of a class become one number");
      f.choice("neighbours", neighbours,
               {{"negatives", Neighbours::negatives}, {"left_out", Neighbours::left_out}},
               "whether nodes that the anchor has edges to are negatives");
    }
  };
  explicit GRACE(const Options& options) : options_(options) {
    if (options.candidates == Candidates::both_views_and_own && options.positives == Positives::label)
      foil::refuse("candidates", "both_views_and_own", "another one with positives = \"label\"");
  }

  foil::Needs needs() const override {
    const bool graph = options_.neighbours == Neighbours::left_out;
    return {.labels = options_.positives == Positives::label, .views = graph, .graph = graph};
  }

  Tensor forward(const LossInput& input) override {
    if (plain()) {
      const Tensor each = foil::both_directions(input, options_.temperature);  // [2, B]
      return (mean_of(input, "1_2", each[0]) + mean_of(input, "2_1", each[1])) / 2;
    }
    const Tensor forth = mean_of(input, "1_2", direction(input, 0, 1));
    if (options_.directions == Directions::first) return forth;
    return (forth + mean_of(input, "2_1", direction(input, 1, 0))) / 2;
  }

 private:
  // As published.
  bool plain() const {
    return options_.candidates == Candidates::both_views && options_.directions == Directions::mean &&
           options_.positives == Positives::sample && options_.neighbours == Neighbours::negatives;
  }

  Tensor direction(const LossInput& input, size_t from, size_t to) const {
    foil::ViewContrast contrast{from, to, options_.temperature, options_.candidates};
    contrast.several = options_.several_positives;
    if (options_.positives == Positives::label) contrast.label = input.gather(input.label);
    if (options_.neighbours == Neighbours::left_out) contrast.left_out = input.views.at(from).edges.ends;
    return contrast(input);
  }

  static Tensor mean_of(const LossInput& input, const std::string& views, const Tensor& each) {
    const Tensor loss = input.mean(each);
    input.keep("each_" + views, each);
    input.report("loss_" + views, loss);
    return loss;
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<GRACE>("grace", {.samples = {"candidates = \"other_view\"\ndirections = \"first\""}});
}
