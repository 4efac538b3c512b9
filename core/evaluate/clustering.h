// SPDX-License-Identifier: BSD-3-Clause
// k-means on embeddings, and how well a partition agrees with labels. Not an approximation: whole Lloyd iterations in fp64.
#pragma once

#include <foil/view.h>

#include <cstdint>

namespace foil {

struct KMeansOptions {
  int64_t restarts = 5;         // the partition with the least inertia of so many is taken
  int64_t max_iterations = 50;  // of each; before, it ends when no row changes its cluster
  uint64_t seed = 0;
};

struct Partition {
  Tensor cluster;      // int64 [N] on the CPU, in {0, ..., clusters-1}
  double inertia = 0;  // sum over rows of the squared distance to the centre of their cluster
};

// k-means of L2-normalised rows x [N, F], started by k-means++ (Arthur and Vassilvitskii, 2007) with keyed draws. A cluster that
// loses all rows keeps its centre; of equally near centres the first is taken. Deterministic: ranks that pass the same whole
// tensor get the same result without talking. Working memory: a copy of x in fp64 and N x clusters distances.
Partition k_means(const Tensor& x, int64_t clusters, const KMeansOptions& options = {});

// Agreement of two partitions, int64 [N] of any ids; symmetric, and the same for renamed clusters.
// Mutual information over the mean of both entropies, in [0, 1]; 1 where both have one cluster only.
double normalized_mutual_information(const Tensor& a, const Tensor& b);
// Hubert and Arabie, "Comparing partitions", 1985: pairs on which both agree, 0 for chance, 1 for equal partitions.
double adjusted_rand_index(const Tensor& a, const Tensor& b);

}  // namespace foil
