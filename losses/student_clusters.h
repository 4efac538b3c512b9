// SPDX-License-Identifier: BSD-3-Clause
// Clusters that sharpen themselves: centres that are parameters, Student-t assignments q of samples to them,
// and the divergence of a sharper target p from q. Xie et al., "Unsupervised deep embedding for clustering
// analysis", ICML 2016, equations 1 to 3; what SCGC and PamC share.
//
//   q_ik = (1 + ||z_i - mu_k||^2 / v)^(-(v+1)/2),  divided by its sum over k;   v = degrees_of_freedom
//   p_ik = q_ik^2 / f_k,  divided by its sum over k;   f_k = sum over all samples of q_ik;   no gradient
//   KL   = mean over i of sum over k of p_ik log(p_ik / q_ik)
//
// The centres are those of k-means from the embeddings of the first step of epoch `clustering_start_epoch`,
// set after that step; until then there is none of this.
#pragma once

#include <foil/plugin.h>

#include <limits>
#include <vector>

namespace foil {

struct StudentClustersOptions {
  int64_t clusters = 10;
  int64_t clustering_start_epoch = 0;
  double degrees_of_freedom = 1;
  void describe(Fields& f) {
    f.integer("clusters", clusters, "how many", at_least(2));
    f.integer("clustering_start_epoch", clustering_start_epoch,
              "k-means of its first embeddings gives the centres; before, no clustering", at_least(0));
    f.number("degrees_of_freedom", degrees_of_freedom, "of Student's t, by which distances count", above(0));
  }
};

class StudentClusters {
 public:
  explicit StudentClusters(const StudentClustersOptions& options) : options_(options) {}

  // For setup: registers the parameter `centres` [clusters, D] and the buffer `started` with `loss`.
  void setup(torch::nn::Module& loss, int64_t width) {
    centres_ = loss.register_parameter("centres", torch::randn({options_.clusters, width}));
    started_ = loss.register_buffer("started", torch::zeros({}));
  }
  bool started() const { return started_.item<double>() != 0; }

  // log q of samples z [B, D] as the head gives them: [B, clusters].
  Tensor log_assignment(const Tensor& z) const {
    const double v = options_.degrees_of_freedom;
    // Not by a product of matrices: where z is near a centre the difference would be rounding.
    const Tensor distance = torch::cdist(z, centres_, 2, /*compute_mode=*/2);
    return (-(v + 1) / 2 * (distance.square() / v).log1p()).log_softmax(1);
  }
  // The most probable cluster of samples z [N, D], the one of the nearest centre: int64 [N]; undefined before
  // there are any.
  Tensor nearest(const Tensor& z) const {
    return started() ? torch::cdist(z, centres_, 2, 2).argmin(1) : Tensor();
  }
  // log p, from log q of this rank: [B, clusters].
  static Tensor log_target(const LossInput& input, const Tensor& log_q) {
    const Tensor q = log_q.detach();
    const Tensor mass = input.sum_ranks(q.exp().sum(0));  // [clusters]
    return (2 * q - mass.clamp_min(std::numeric_limits<float>::min()).log()).log_softmax(1);
  }
  // KL, a local mean.
  static Tensor divergence(const LossInput& input, const Tensor& log_q) {
    const Tensor log_p = log_target(input, log_q);
    return input.mean((log_p.exp() * (log_p - log_q)).sum(1));
  }

  // For after_step, with what forward kept of z: the centres, when it is time.
  void start(const LossInput& input, const Tensor& z) {
    if (started() || input.epoch < options_.clustering_start_epoch) return;
    // In an order that is the samples' own: k-means begins with rows by their number.
    const Tensor all = input.gather(z).to(torch::kDouble);  // [N, D]
    const Tensor rows = all.index_select(0, along_a_line(input, all).argsort());
    const int64_t clusters = std::min(options_.clusters, rows.size(0));
    const Partition found = k_means(rows, clusters, {.seed = input.seed}, *input.ranks);
    centres_.slice(0, 0, clusters).copy_(settled(rows, found.cluster, clusters));
    started_.fill_(1);
  }

 private:
  // Positions of rows [N, D] on a line in a direction that is drawn: [N].
  static Tensor along_a_line(const LossInput& input, const Tensor& rows) {
    Draws draws = input.shared("k-means");
    std::vector<double> direction;
    for (int64_t d = 0; d < rows.size(1); ++d) direction.push_back(draws.normal());
    return torch::matmul(rows, torch::tensor(direction, torch::kDouble).to(rows.device()));
  }

  // k_means is of directions; from its clusters on, Lloyd's iteration in the space of z itself: [K, D].
  static Tensor settled(const Tensor& rows, Tensor cluster, int64_t clusters) {
    constexpr int kIterations = 100;
    Tensor centre = torch::zeros({clusters, rows.size(1)}, rows.options());
    for (int i = 0; i < kIterations; ++i) {
      const Tensor count = torch::zeros({clusters}, rows.options())
                               .index_add(0, cluster, torch::ones({rows.size(0)}, rows.options()))
                               .unsqueeze(1);
      const Tensor sum = torch::zeros_like(centre).index_add(0, cluster, rows);
      centre = torch::where(count > 0, sum / count.clamp_min(1), centre);
      const Tensor nearest = std::get<1>(torch::cdist(rows, centre, 2, 2).min(1));
      if (nearest.equal(cluster)) break;
      cluster = nearest;
    }
    return centre;
  }

  StudentClustersOptions options_;
  Tensor centres_, started_;
};

}  // namespace foil
