// SPDX-License-Identifier: BSD-3-Clause
// The slow truths of losses that compare every row with every other: whole similarity matrices in plain
// tensors, as the formulas read, on one rank. They share no code with the losses; in fp64 they are what
// values and gradients are compared with, in fp32 what speed is. N samples, V views of [N, D], all of unit
// norm.
#pragma once

#include <torch/types.h>

#include <cmath>
#include <limits>
#include <vector>

namespace foil::plain {

using at::Tensor;

// Rows that a row is never compared with, as -inf: s [R, C] with `left_out` (bool [R, C]).
inline Tensor without(const Tensor& s, const Tensor& left_out) {
  return s.masked_fill(left_out, -std::numeric_limits<double>::infinity());
}

// All views one after another, with the sample and the view of each row.
struct Stacked {
  explicit Stacked(const std::vector<Tensor>& z)
      : rows(torch::cat(z)),
        sample(torch::arange(z[0].size(0)).repeat({static_cast<int64_t>(z.size())})),
        number(torch::arange(rows.size(0))) {}

  Tensor similarity(double temperature) const { return torch::matmul(rows, rows.t()) / temperature; }
  Tensor itself() const { return number.unsqueeze(1) == number.unsqueeze(0); }
  Tensor same_sample() const { return sample.unsqueeze(1) == sample.unsqueeze(0); }

  Tensor rows;            // [V N, D]
  Tensor sample, number;  // int64 [V N]
};

// Mean over x of -log softmax over y at its own row: one direction. x, y: [N, D].
inline Tensor infonce(const Tensor& x, const Tensor& y, double temperature) {
  return -(torch::matmul(x, y.t()) / temperature).log_softmax(1).diag().mean();
}

// Both directions. scale: [], 1 / temperature.
inline Tensor clip(const Tensor& x, const Tensor& y, const Tensor& scale) {
  const Tensor s = torch::matmul(x, y.t()) * scale;
  return -(s.log_softmax(1).diag().mean() + s.log_softmax(0).diag().mean()) / 2;
}

// Mean over pairs of equal weight, of all that `positive` (bool [R, R]) names, of -log softmax over all rows
// but the anchor itself; each anchor counts once, one without positives as 0.
inline Tensor mean_over_positives(const Stacked& all, const Tensor& positive, double temperature) {
  const Tensor log_share = without(all.similarity(temperature), all.itself()).log_softmax(1);
  const Tensor sum = torch::where(positive, -log_share, torch::zeros_like(log_share)).sum(1);
  return (sum / positive.sum(1).clamp_min(1)).mean();
}

// NT-Xent: the other views of the sample are the positives.
inline Tensor ntxent(const std::vector<Tensor>& z, double temperature) {
  const Stacked all(z);
  return mean_over_positives(all, all.same_sample().logical_and(all.itself().logical_not()), temperature);
}

// SupCon (L_out): all rows of the anchor's label, int64 [N], -1 = none but its own sample's.
inline Tensor supcon(const std::vector<Tensor>& z, const Tensor& label, double temperature) {
  const Stacked all(z);
  const Tensor of = label.repeat({static_cast<int64_t>(z.size())}), column = of.unsqueeze(1);
  const Tensor alike = (column == of.unsqueeze(0)).logical_and(column != -1).logical_or(all.same_sample());
  return mean_over_positives(all, alike.logical_and(all.itself().logical_not()), temperature);
}

// DCL: only the rows of other samples are in the denominator. Two views.
inline Tensor dcl(const std::vector<Tensor>& z, double temperature) {
  const Stacked all(z);
  const Tensor push = without(all.similarity(temperature), all.same_sample()).logsumexp(1);
  return push.mean() - (z[0] * z[1]).sum(1).mean() / temperature;
}

// SigLIP: a yes-or-no question of each pair, divided by N.
inline Tensor siglip(const Tensor& x, const Tensor& y, const Tensor& scale, const Tensor& bias) {
  const Tensor logit = torch::matmul(x, y.t()) * scale + bias, own = torch::eye(x.size(0), logit.options());
  return -torch::log_sigmoid((2 * own - 1) * logit).sum() / x.size(0);
}

// MW within each query: how far the documents of others are above its own.
inline Tensor mw(const Tensor& x, const Tensor& y, double temperature) {
  const Tensor s = torch::matmul(x, y.t()), n = torch::arange(x.size(0));
  const Tensor cost = -torch::log_sigmoid((s.diag().unsqueeze(1) - s) / temperature);
  const double pairs = static_cast<double>(x.size(0)) * static_cast<double>(x.size(0) - 1);
  return cost.masked_fill(n.unsqueeze(1) == n.unsqueeze(0), 0).sum() / pairs;
}

}  // namespace foil::plain
