// SPDX-License-Identifier: BSD-3-Clause
// Assignments of samples to prototypes over all ranks, and clusters of embeddings.
#pragma once

#include <foil/ranks.h>

namespace foil {

// Balanced soft assignments by Sinkhorn and Knopp's iteration (Cuturi, 2013; Caron et al., "SwAV", 2020,
// equation 4): exp(scores / epsilon), divided in turn by the sum of each prototype over the samples of all
// ranks and by the sum of each sample over the prototypes, `iterations` times. `scores`: [B, prototypes],
// this rank's samples, of which there may be none. Returns [B, prototypes] without gradient; rows sum to 1.
// Computed on logarithms: no epsilon overflows, no mass vanishes. `epsilon` > 0 divides the scores: the
// smaller, the harder the assignments. Every rank must call it, with the same number of prototypes.
FOIL_API at::Tensor sinkhorn(const at::Tensor& scores, double epsilon, int64_t iterations, Ranks& ranks);

struct KMeansOptions {
  int64_t restarts = 5;         // the partition with the least inertia of so many is taken
  int64_t max_iterations = 50;  // of each; before, it ends when no row changes its cluster
  uint64_t seed = 0;            // keys the starts
};

struct Partition {
  at::Tensor cluster;  // int64 [N] on x's device, in {0, ..., clusters-1}
  at::Tensor centres;  // fp64 [clusters, F] on x's device: the mean of the cluster's unit rows
  double inertia = 0;  // sum over rows of the squared distance to the centre of their cluster
};

// k-means of L2-normalised rows x [N, F], started by k-means++ (Arthur and Vassilvitskii, 2007) with keyed
// draws; whole Lloyd iterations in fp64, without gradient. x is what every rank holds whole: a queue,
// gathered embeddings. Rank 0 computes and the others receive its bits; every rank must call it. A cluster
// that loses all rows keeps its centre; of equally near centres the first is taken. Throws Error for more
// clusters than rows and for nan or inf. Working memory: a copy of x in fp64 and N x clusters distances.
FOIL_API Partition k_means(const at::Tensor& x, int64_t clusters, const KMeansOptions& options, Ranks& ranks);

}  // namespace foil
