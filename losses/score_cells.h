// SPDX-License-Identifier: BSD-3-Clause
// Score cells: the sum of a function over very many numbers from its values at few points.
#pragma once

#include <foil/plugin.h>

#include <cmath>

namespace foil {

// The line is cut into cells. In each, a function is the polynomial through its values at Chebyshev nodes:
//
//   f(n)              = sum over points x of l_x(n) f(x)
//   sum over n of f(n) = sum over points x of weight(x) f(x),   weight(x) = sum over n of l_x(n)
//
// l_x: the Lagrange polynomials of n's cell, 0 outside. Exact where f is, in every cell, a polynomial of a
// degree below the number of nodes; for a function that is analytic around the cells the error falls
// geometrically with the nodes (Trefethen, "Approximation theory and approximation practice", theorem 8.2).
class ScoreCells {
 public:
  // Cells between neighbours of `edges`, fp64 [cells + 1], ascending, at least three; cells may be empty.
  ScoreCells(const Tensor& edges, int64_t nodes) : cells_(edges.size(0) - 1), nodes_(nodes) {
    const Tensor low = edges.slice(0, 0, cells_), high = edges.slice(0, 1);
    inner_ = edges.slice(0, 1, cells_).contiguous();
    middle_ = padded((low + high) / 2);
    half_ = padded((high - low) / 2).clamp_min(1e-300);
    const Tensor degree = torch::arange(nodes, edges.options()), angle = (degree + 0.5) * (M_PI / nodes);
    cosines_ = (degree.unsqueeze(1) * angle).cos();  // [nodes, nodes]: T_m at node k
    points_ =
        (middle_.slice(0, 0, cells_).unsqueeze(1) + half_.slice(0, 0, cells_).unsqueeze(1) * angle.cos())
            .flatten();
    moments_ = torch::zeros({nodes, cells_ + 1}, edges.options());
  }
  // [cells nodes]
  const Tensor& points() const { return points_; }
  // The function that enter() gives, by its values at the points.
  void interpolate(const Tensor& values) {
    const Tensor scaled = normalised(torch::matmul(cosines_, values.view({cells_, nodes_}).t()));
    coefficients_ = torch::cat({scaled, torch::zeros_like(scaled.slice(1, 0, 1))}, 1);
  }
  // Counts `numbers` (fp64, between the first and the last edge, any shape) in, but for those `left_out`
  // (bool, the same shape); returns the function there, 0 for those left out.
  Tensor enter(const Tensor& numbers, const Tensor& left_out) {
    const Tensor n = numbers.flatten();
    const Tensor cell = torch::bucketize(n, inner_).masked_fill_(left_out.flatten(), cells_);
    const Tensor t = (n - middle_.index_select(0, cell)).div_(half_.index_select(0, cell)).clamp_(-1, 1);
    Tensor before = torch::ones_like(t), now = t;  // T_0, T_1: the Chebyshev polynomials of t
    Tensor value = coefficients_[0].index_select(0, cell);
    moments_[0].index_add_(0, cell, before);
    for (int64_t m = 1; m < nodes_; ++m) {
      moments_[m].index_add_(0, cell, now);
      value.addcmul_(coefficients_[m].index_select(0, cell), now);
      const Tensor next = (t * now).mul_(2).sub_(before);
      before = now;
      now = next;
    }
    return value.view_as(numbers);
  }
  // weight(x) of what has been entered: [cells nodes], in the order of points().
  Tensor weights() const {
    return torch::matmul(normalised(moments_.slice(1, 0, cells_)).t(), cosines_).flatten();
  }

 private:
  // One more cell at the end, for what is left out.
  static Tensor padded(const Tensor& x) { return torch::cat({x, torch::ones_like(x.slice(0, 0, 1))}); }
  // Sums of products with T_m, [nodes, ...], as coefficients of T_m.
  Tensor normalised(const Tensor& x) const {
    Tensor scaled = x * (2.0 / static_cast<double>(nodes_));
    scaled[0].div_(2);
    return scaled;
  }

  int64_t cells_, nodes_;
  Tensor inner_, middle_, half_;   // [cells - 1], [cells + 1], [cells + 1]
  Tensor cosines_, points_;        // [nodes, nodes], [cells nodes]
  Tensor coefficients_, moments_;  // [nodes, cells + 1]
};

}  // namespace foil
