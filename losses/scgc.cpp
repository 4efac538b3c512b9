// SPDX-License-Identifier: BSD-3-Clause
// SCGC: the nodes of a graph clustered by an encoder that does not see the edges: what influences a node in
// the graph is to be near it, all else far.
// Kulatilleke et al., "SCGC: self-supervised contrastive graph clustering", arXiv:2204.12656, equations 4 to
// 10.
//
//   s_ij = cos(z_i, z_j) / temperature,  s_ii = 0
//   C    = - mean over nodes i of log( sum_j G_ij exp(s_ij) / sum_j exp(s_ij) + guard )
//   L    = contrast_weight C + clustering_weight KL + reconstruction_weight R
//
// KL is the divergence of a sharper target from the assignments of nodes to clusters, q_ik falling with the
// distance of z_i and the centre mu_k as Student's t does (Xie et al., ICML 2016, equations 1 to 3), R the
// mean squared error of the encoder's decoder.
//
// G is the influence of nodes on each other: with B = A + I, A made symmetric and rows brought to sum 1, the
// sum B + B^2 + ... + B^order ("cumulative", as in SCGC*), B^order ("power", as in SCGC), or the weights of
// the view's edges ("given"). Sums over j have j = i with e^0, as published. The paper multiplies cosines by
// tau = 1 / temperature; the published guard is 1e-8. SCGC* has reconstruction_weight = 0 and needs no
// decoder.
//
// The centres are set once, after the first step of epoch clustering_start_epoch, to those of k-means of its
// embeddings (the published code: of a pre-trained auto-encoder). Until then `pretraining` is what is
// learned: "contrast", L without KL, or "reconstruction", R alone, as an auto-encoder is trained. The target
// is made of the step's own assignments, those that the paper takes from a forward pass before it.
//
// C is quadratic in the nodes by its formula; the cosines are held a block at a time. A node that nothing
// influences is no anchor.
//
//   [data]
//   batch_size = 0
//   [[loss]]
//   name = "scgc"
//   clusters = 7
//   clustering_start_epoch = 50
#include "graph_clustering.h"

#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

// log sum_j exp(scale <a_i, b_j>) of unit rows a [B, D] and b [N, D], where row i of a is row offset + i of b
// and its own product is taken as 0: [B].
Tensor log_all_pairs(const Tensor& a, const Tensor& b, int64_t offset, double scale) {
  const Tensor all = torch::arange(b.size(0), torch::device(b.device()));
  const Tensor others = foil::contrast::reduce({.row = {.data = a, .id = all.narrow(0, offset, a.size(0))},
                                                .column = {.data = b, .id = all},
                                                .scale = scale},
                                               {foil::contrast::lse()})[0];
  return torch::logaddexp(others, torch::zeros_like(others));
}

class SCGC final : public foil::GraphClustering {
 public:
  using Options = foil::GraphClusteringOptions;
  explicit SCGC(const Options& options) : GraphClustering(options) {}

 protected:
  Tensor contrast(const LossInput& input, const Tensor&) override {
    const Tensor rows = foil::unit(input.z[0]), all = foil::unit(input.everyone(0));  // [B, D], [N, D]
    const Tensor near = attraction(input, rows, all);                                 // [B]
    const Tensor any = log_all_pairs(rows, all, input.offset(), scale());             // [B]
    const Tensor anchors = near.isfinite();
    const Tensor ratio = torch::where(anchors, near, any) - any;
    return -input.mean(foil::guarded_log(ratio, guard()), anchors);
  }
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<SCGC>("scgc", {.samples = {"influence = \"power\"\norder = 3\ntemperature = 1\nclusters = 3",
                                         "reconstruction_weight = 1\nclusters = 3\nguard = 1e-8"}});
}
