// SPDX-License-Identifier: BSD-3-Clause
// What SCGC and PamC share: an encoder of nodes that does not see the edges learns from a contrast of nodes
// that influence each other, from the clusters of its embeddings and, where it has a decoder, from its error.
//
//   L = contrast_weight C + clustering_weight KL + reconstruction_weight R
//   R = mean over nodes and features of (x^ - x)^2,  x^: what the encoder's decoder gives
//
// C is the loss's own, KL that of student_clusters.h. Before there are clusters, `pretraining` is learned.
#pragma once

#include "influence.h"
#include "node_rows.h"
#include "student_clusters.h"

#include <foil/plugin.h>

namespace foil {

struct GraphClusteringOptions {
  enum class Pretraining { contrast, reconstruction };
  double temperature = 4;
  double contrast_weight = 1;
  double clustering_weight = 0.1;
  double reconstruction_weight = 0;
  double guard = 0;
  InfluenceOptions influence = {};
  StudentClustersOptions clusters = {};
  Pretraining pretraining = Pretraining::contrast;
  void describe(Fields& f) {
    f.number("temperature", temperature, "divides the cosines (1 / tau)", above(0));
    f.number("contrast_weight", contrast_weight, "factor of the contrast of neighbours (alpha)", at_least(0));
    f.number("clustering_weight", clustering_weight, "factor of the divergence of the clusters (beta)",
             at_least(0));
    f.number("reconstruction_weight", reconstruction_weight, "factor of the decoder's squared error",
             at_least(0));
    f.number("guard", guard, "added in the logarithms of the contrast; published code", between(0, 1));
    influence.describe(f);
    clusters.describe(f);
    f.choice("pretraining", pretraining,
             {{"contrast", Pretraining::contrast}, {"reconstruction", Pretraining::reconstruction}},
             "what is learned before there are clusters: all but them, or the decoder's error alone");
  }
};

class GraphClustering : public Loss {
 public:
  explicit GraphClustering(const GraphClusteringOptions& options)
      : options_(options), influence_(options.influence), clusters_(options.clusters) {}

  Needs needs() const override {
    return {
        .min_views = 1, .max_views = 1, .raw_z = true, .decoded = decodes(), .views = true, .graph = true};
  }

  void setup(const Sizes& sizes) override { clusters_.setup(*this, sizes.z_dim); }

  Tensor forward(const LossInput& input) override {
    input.keep("z", input.z[0]);
    const bool clustered = clusters_.started();
    Tensor error;  // R
    if (decodes()) {
      error = input.mean((input.decoded[0] - own_features(input, 0, input.decoded[0])).square());
      input.report("reconstruction", error);
      if (!clustered && pretrains_decoder()) return error;
    }
    const Tensor log_q = clusters_.log_assignment(input.z[0]);  // [B, clusters]
    const Tensor near = contrast(input, log_q);
    input.report("contrast", near);
    Tensor value = options_.contrast_weight * near;
    if (error.defined()) value = value + options_.reconstruction_weight * error;
    if (!clustered) return value;
    const Tensor divergence = StudentClusters::divergence(input, log_q);
    input.report("clustering", divergence);
    return value + options_.clustering_weight * divergence;
  }

  void after_step(const LossInput& input) override { clusters_.start(input, input.kept("z")); }
  Tensor clusters(const Tensor& z) const override { return clusters_.nearest(z); }

 protected:
  // C, a local mean, given the logarithms of the assignments, which are those to centres without a meaning
  // before there are clusters.
  virtual Tensor contrast(const LossInput& input, const Tensor& log_q) = 0;

  double scale() const { return 1 / options_.temperature; }
  double guard() const { return options_.guard; }
  // log sum_j G_ij exp(scale cos_ij) of rows of unit norm, of this rank and of all: [B].
  Tensor attraction(const LossInput& input, const Tensor& rows, const Tensor& all) {
    return log_attraction(rows, all, influence_(input), scale());
  }

 private:
  bool pretrains_decoder() const {
    return options_.pretraining == GraphClusteringOptions::Pretraining::reconstruction;
  }

  bool decodes() const { return options_.reconstruction_weight > 0 || pretrains_decoder(); }

  GraphClusteringOptions options_;
  Influence influence_;
  StudentClusters clusters_;
};

}  // namespace foil
