// SPDX-License-Identifier: BSD-3-Clause
// How well a partition, such as that of foil::k_means, agrees with labels.
#pragma once

#include <foil/view.h>

#include <functional>
#include <vector>

namespace foil {

struct Measuring;

// Agreement of two partitions, int64 [N] of any ids; symmetric, and the same for renamed clusters.
// Mutual information over the mean of both entropies, in [0, 1]; 1 where both have one cluster only.
double normalized_mutual_information(const Tensor& a, const Tensor& b);
// Hubert and Arabie, "Comparing partitions", 1985: pairs on which both agree, 0 for chance, 1 for equal
// partitions.
double adjusted_rand_index(const Tensor& a, const Tensor& b);

// Clusters as classes, one to one as most samples agree: int64 [N] of entries of `label`, -1 of a cluster
// that no class is left for. `cluster`, `label`: int64 [N] from 0 on.
Tensor classes_of_clusters(const Tensor& cluster, const Tensor& label);

// "nmi", "ari", and "cluster_accuracy" and "cluster_f1" (macro) by classes_of_clusters, of k-means of the
// queries with as many clusters as classes, against their labels; of a graph, of all nodes with a label.
void measure_clustering(Measuring& of);

// The same of the clusters that losses give projections, as headline measures: "assigned_cluster_accuracy",
// "assigned_nmi", "assigned_ari", "assigned_cluster_f1", of the second such loss with "_2" behind.
void measure_assignments(Measuring& of, const std::vector<std::function<Tensor(const Tensor&)>>& assignments);

}  // namespace foil
