// SPDX-License-Identifier: BSD-3-Clause
// How well a partition, such as that of foil::k_means, agrees with labels.
#pragma once

#include <foil/view.h>

namespace foil {

struct Measuring;

// Agreement of two partitions, int64 [N] of any ids; symmetric, and the same for renamed clusters.
// Mutual information over the mean of both entropies, in [0, 1]; 1 where both have one cluster only.
double normalized_mutual_information(const Tensor& a, const Tensor& b);
// Hubert and Arabie, "Comparing partitions", 1985: pairs on which both agree, 0 for chance, 1 for equal
// partitions.
double adjusted_rand_index(const Tensor& a, const Tensor& b);

// "nmi" and "ari" of k-means of the queries with as many clusters as classes, against their labels.
void measure_clustering(Measuring& of);

}  // namespace foil
