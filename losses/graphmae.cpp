// SPDX-License-Identifier: BSD-3-Clause
// GraphMAE: the features of nodes that were hidden, from the graph around them, by a scaled cosine error.
// Hou et al., "GraphMAE: self-supervised masked graph autoencoders", KDD 2022, equation 3.
//
//   c_i = cosine of x^_i and x_i
//   L   = mean over masked nodes i of (1 - c_i)^exponent             (error = "scaled_cosine")
//         mean over masked nodes i of 1 / (1 + exp(c_i))       (error = "sigmoid", of the published code)
//
// x^: what the decoder makes of view 1, whose nodes the augmentation mask_nodes has masked: those with
// another number than 0 in the first column of the view's params, all where it has none. x: the features in
// view 2, which is the graph as it is. exponent is the paper's gamma: the larger, the less a node counts that
// is nearly right. Rounding can make 1 - c_i less than 0; it is 0 then (published code: nan for an exponent
// that is no whole number). A row of zeros has c_i = 0.
//
//   [data]
//   batch_size = 0
//   [encoder]
//   name = "gcn"
//   decoder = "gcn"
//   [[augment]]
//   name = "mask_nodes"
//   views = [0]
//   [[loss]]
//   name = "graphmae"
#include "node_rows.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class GraphMAE final : public foil::Loss {
 public:
  enum class Error { scaled_cosine, sigmoid };
  struct Options {
    Error error = Error::scaled_cosine;
    double exponent = 3;
    void describe(foil::Fields& f) {
      f.choice("error", error, {{"scaled_cosine", Error::scaled_cosine}, {"sigmoid", Error::sigmoid}},
               "of a node: a power of 1 - cosine, or the logistic function of -cosine");
      f.number("exponent", exponent, "of the scaled cosine error (gamma)", foil::between(1, 16));
    }
  };
  explicit GraphMAE(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.min_views = 2, .max_views = 2, .raw_z = true, .decoded = true, .views = true, .graph = true};
  }

  Tensor forward(const LossInput& input) override {
    const Tensor& made = input.decoded[0];  // [B, F]
    const Tensor cosine = (foil::unit(made) * foil::unit(foil::own_features(input, 1, made))).sum(1);  // [B]
    const Tensor each = options_.error == Error::sigmoid ? torch::sigmoid(-cosine)
                                                         : (1 - cosine).clamp_min(0).pow(options_.exponent);
    return input.mean(each, masked(input, each));
  }

 private:
  // Which nodes of this rank were masked: bool [B].
  static Tensor masked(const LossInput& input, const Tensor& each) {
    const Tensor& params = input.views[0].params;
    if (!params.defined()) return torch::ones_like(each, torch::kBool);
    if (params.dim() != 2 || params.size(1) < 1)
      foil::fail(foil::Exit::failure, "graphmae: the params of view 1 are ", params.sizes(),
                 ", allowed: [nodes, 1], as the augmentation mask_nodes writes them.");
    return foil::own_rows(input, params.select(1, 0)).to(each.device()) != 0;
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<GraphMAE>("graphmae", {.samples = {"exponent = 1", "exponent = 2.5"}}); }
