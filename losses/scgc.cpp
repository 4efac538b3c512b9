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

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// log sum_j exp(scale <a_i, b_j>) of unit rows a [B, D] and b [N, D], where row i of a is row offset + i of b
// and its own product is taken as 0: [B].
class AllPairs : public torch::autograd::Function<AllPairs> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& a, const Tensor& b, int64_t offset,
                        double scale) {
    Tensor sum = torch::empty({a.size(0)}, a.options());
    each_block(a, b, offset, scale, [&](int64_t from, int64_t to, const Tensor& s, const Tensor&) {
      sum.slice(0, from, to).copy_(s.logsumexp(1));
    });
    context->save_for_backward({a, b, sum});
    context->saved_data["offset"] = offset;
    context->saved_data["scale"] = scale;
    return sum;
  }
  static variable_list backward(AutogradContext* context, variable_list gradient) {
    if (at::GradMode::is_enabled()) foil::fail(foil::Exit::failure, "scgc has no second derivative.");
    const variable_list saved = context->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1];
    const double scale = context->saved_data["scale"].toDouble();
    Tensor by_a = torch::zeros_like(a), by_b = torch::zeros_like(b);
    each_block(a, b, context->saved_data["offset"].toInt(), scale,
               [&](int64_t from, int64_t to, const Tensor& s, const Tensor& own) {
                 Tensor share = (s - saved[2].slice(0, from, to).unsqueeze(1)).exp_();  // [b, N]
                 share.scatter_(1, own, 0);
                 share.mul_(scale * gradient[0].slice(0, from, to).unsqueeze(1));
                 by_a.slice(0, from, to).copy_(torch::matmul(share, b));
                 by_b.addmm_(share.t(), a.slice(0, from, to));
               });
    return {by_a, by_b, Tensor(), Tensor()};
  }

 private:
  // act(from, to, the scaled products [b, N], the columns [b, 1] of the rows themselves).
  static void each_block(const Tensor& a, const Tensor& b, int64_t offset, double scale,
                         const std::function<void(int64_t, int64_t, const Tensor&, const Tensor&)>& act) {
    const int64_t step = std::max<int64_t>(1, (int64_t{1} << 21) / b.size(0));
    for (int64_t from = 0; from < a.size(0); from += step) {
      const int64_t to = std::min(a.size(0), from + step);
      Tensor s = torch::matmul(a.slice(0, from, to), b.t()).mul_(scale);
      const Tensor own =
          torch::arange(offset + from, offset + to, a.options().dtype(torch::kLong)).unsqueeze(1);
      act(from, to, s.scatter_(1, own, 0), own);
    }
  }
};

class SCGC final : public foil::GraphClustering {
 public:
  using Options = foil::GraphClusteringOptions;
  explicit SCGC(const Options& options) : GraphClustering(options) {}

 protected:
  Tensor contrast(const LossInput& input, const Tensor&) override {
    const Tensor rows = foil::unit(input.z[0]), all = foil::unit(input.everyone(0));  // [B, D], [N, D]
    const Tensor near = attraction(input, rows, all);                                 // [B]
    const Tensor any = AllPairs::apply(rows, all, input.offset(), scale());           // [B]
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
