// SPDX-License-Identifier: BSD-3-Clause
// PamC: SCGC with one node for each cluster in place of all pairs: neighbours near each other, clusters far
// from each other, in time and memory linear in nodes and edges.
// Kulatilleke et al., "Proxy approximated meta-node contrast: efficient and scalable graph clustering",
// arXiv:2208.00395, section 3.
//
//   s_ij = cos(z_i, z_j) / temperature,  s_ii = 0
//   c_k  = sum of z_i over the nodes of cluster k;  t_kl = cos(c_k, c_l) / temperature,  t_kk = 0
//   C    = - mean over nodes i of log( sum_j G_ij exp(s_ij) + guard )
//          + mean over clusters k of log( sum_l exp(t_kl) + guard )
//   L    = contrast_weight C + clustering_weight KL + reconstruction_weight R
//
// G, KL, R, the centres and what goes before them are those of SCGC. A node's cluster is the nearest centre,
// without gradient; with partition = "label" its class, and nodes without one are in none. Sums have j = i
// and l = k with e^0, as published. The paper multiplies cosines by tau = 1 / temperature; the published
// guard is 1e-10. A cluster without a node is left out, where the published code gives nan.
//
//   [data]
//   batch_size = 0
//   [[loss]]
//   name = "pamc"
//   clusters = 7
//   clustering_start_epoch = 50
#include "graph_clustering.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class PamC final : public foil::GraphClustering {
 public:
  enum class Partition { clusters, label };
  struct Options : foil::GraphClusteringOptions {
    Partition partition = Partition::clusters;
    void describe(foil::Fields& f) {
      GraphClusteringOptions::describe(f);
      f.choice("partition", partition, {{"clusters", Partition::clusters}, {"label", Partition::label}},
               "what a meta node is of: a cluster or a class");
    }
  };
  explicit PamC(const Options& options) : GraphClustering(options), partition_(options.partition) {}

  foil::Needs needs() const override {
    foil::Needs needs = GraphClustering::needs();
    needs.labels = partition_ == Partition::label;
    return needs;
  }

  void setup(const foil::Sizes& sizes) override {
    GraphClustering::setup(sizes);
    classes_ = sizes.classes;
  }

 protected:
  Tensor contrast(const LossInput& input, const Tensor& log_q) override {
    const Tensor rows = foil::unit(input.z[0]), all = foil::unit(input.everyone(0));  // [B, D], [N, D]
    const Tensor near = attraction(input, rows, all);                                 // [B]
    const Tensor anchors = near.isfinite();
    const Tensor pull = foil::guarded_log(torch::where(anchors, near, torch::zeros_like(near)), guard());
    return repulsion(input, log_q) - input.mean(pull, anchors);
  }

 private:
  // The mean over clusters: that of all ranks, on each.
  Tensor repulsion(const LossInput& input, const Tensor& log_q) const {
    const Tensor& z = input.z[0];
    const bool by_label = partition_ == Partition::label;
    const int64_t count = by_label ? classes_ : log_q.size(1);
    const Tensor cluster = by_label ? input.label : log_q.argmax(1);                         // [B]
    const Tensor member = (cluster >= 0).to(z.scalar_type()), place = cluster.clamp_min(0);  // [B]
    const Tensor none = torch::zeros({count}, z.options().requires_grad(false));
    const Tensor occupied = input.sum_ranks(none.index_add(0, place, member)) > 0;  // [K]
    const Tensor sums = input.sum_ranks(
        torch::zeros({count, z.size(1)}, none.options()).index_add(0, place, z * member.unsqueeze(1)));
    const Tensor meta = foil::unit(sums), itself = torch::eye(count, none.options()).to(torch::kBool);
    const Tensor cosine = torch::matmul(meta, meta.t()).masked_fill(itself, 0);  // [K, K]
    // Kept for tests alone.
    input.keep("meta_nodes", sums);
    input.keep("meta_cosines", cosine);
    const Tensor t = scale() * cosine;
    const Tensor away = foil::guarded_log(foil::masked_logsumexp(t, occupied.unsqueeze(0)), guard());
    return torch::where(occupied, away, none).sum() / occupied.sum().clamp_min(1);
  }

  Partition partition_;
  int64_t classes_ = 0;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<PamC>("pamc", {.samples = {"influence = \"power\"\norder = 3\ntemperature = 1\nclusters = 3",
                                         "reconstruction_weight = 1\nclusters = 3\nguard = 1e-10",
                                         "partition = \"label\"\ntemperature = 0.5"}});
}
