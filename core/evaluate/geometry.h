// SPDX-License-Identifier: BSD-3-Clause
// How embeddings lie in space, without labels: alignment, uniformity, effective rank, standard deviation per
// dimension, the gap between two modalities. All in fp64.
#pragma once

#include <foil/view.h>

#include <string>

namespace foil {

struct Measuring;

// mean_i || z1_i - z2_i ||^alpha over the rows of two views [N, D], normalised to the unit sphere here. 0 =
// views coincide. Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
// Uniformity on the Hypersphere", ICML 2020, section 4.1.1.
double alignment(const Tensor& z1, const Tensor& z2, double alpha = 2);

// log mean_{i<j} exp(-t || z_i - z_j ||^2) over all pairs of different rows of z [N, D], normalised to the
// unit sphere here; N >= 2. 0 = one point; lower = more uniform. Wang and Isola 2020, section 4.1.2. Working
// memory about three times `chunk_bytes`.
double uniformity(const Tensor& z, double t = 2, int64_t chunk_bytes = int64_t{64} << 20);

// exp(-sum_k p_k log p_k) with p_k = sigma_k / sum_j sigma_j, sigma the singular values of x [N, F] as it is,
// not centred: 1 = all rows on one line, F = an even spectrum; 0 for a zero matrix. Roy and Vetterli, "The
// effective rank", EUSIPCO 2007, definition 1; the RankMe of Garrido et al., ICML 2023, without its epsilon.
// sigma = the roots of the eigenvalues of x'x or xx', whichever is smaller, those below min(N, F) eps of the
// largest taken as 0.
double effective_rank(const Tensor& x, int64_t chunk_bytes = int64_t{64} << 20);

// The standard deviation (over the N rows, divided by N) of each dimension of z / ||z||: its mean and its
// minimum over dimensions. About 1/sqrt(D) when spread over the sphere, 0 when collapsed. Chen and He,
// "Exploring Simple Siamese Representation Learning", CVPR 2021, section 4.1.
struct Spread {
  double mean = 0;
  double min = 0;
};
Spread std_per_dimension(const Tensor& z);

// || mean_i x_i - mean_j y_j || of x [N, D] and y [M, D], the embeddings of two modalities, normalised to the
// unit sphere here: 0 = the same centre, 2 = one point each, opposite. Liang et al., "Mind the Gap:
// Understanding the Modality Gap in Multi-modal Contrastive Representation Learning", NeurIPS 2022.
double modality_gap(const Tensor& x, const Tensor& y);

// "alignment" where there are two views, "uniformity" of two rows or more, "effective_rank", "std".
void measure_geometry(Measuring& of);

// "image+text.gap", the modality gap of x and y, under the protocol "modality-gap/...": a diagnosis, of which
// neither direction is better.
void measure_gap(Measuring& of, const std::string& x_name, const Tensor& x, const std::string& y_name,
                 const Tensor& y);

}  // namespace foil
