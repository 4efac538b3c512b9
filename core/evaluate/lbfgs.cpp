// SPDX-License-Identifier: BSD-3-Clause
// The two-loop recursion and a backtracking line search.
#include "evaluate/lbfgs.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <deque>

namespace foil {
namespace {

struct Pair {
  Tensor s, y;  // step, change of the gradient
  double rho;   // 1 / s'y
};

double scalar_product(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }

// -H gradient, with H the inverse Hessian that the pairs imply (algorithm 7.4).
Tensor direction(const std::deque<Pair>& pairs, const Tensor& gradient) {
  Tensor q = gradient.clone();
  std::vector<double> alpha(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = pairs[i].rho * scalar_product(pairs[i].s, q);
    q.sub_(pairs[i].y, alpha[i]);
  }
  if (!pairs.empty()) q.mul_(1 / (pairs.back().rho * scalar_product(pairs.back().y, pairs.back().y)));
  for (size_t i = 0; i < pairs.size(); ++i)
    q.add_(pairs[i].s, alpha[i] - pairs[i].rho * scalar_product(pairs[i].y, q));
  return q.neg_();
}

}  // namespace

Minimum minimise(const std::function<double(const Tensor&, Tensor&)>& value, Tensor start,
                 const std::function<bool(const Tensor&)>& done, int64_t max_iterations, int64_t memory) {
  Minimum at{std::move(start), 0, false};
  Tensor gradient = torch::empty_like(at.x), next_gradient = torch::empty_like(at.x);
  double f = value(at.x, gradient);
  std::deque<Pair> pairs;
  for (; !(at.converged = done(gradient)) && at.iterations < max_iterations; ++at.iterations) {
    const Tensor d = direction(pairs, gradient);
    const double slope = scalar_product(d, gradient);
    double step = 1;
    Tensor next;
    for (int tries = 0;; ++tries) {
      next = at.x.add(d, step);
      const double f_next = value(next, next_gradient);
      if (f_next <= f + 1e-4 * step * slope + 1e-14 * std::abs(f)) {  // Armijo, up to rounding
        f = f_next;
        break;
      }
      if (tries == 30) return at;
      const double parabola = -slope * step * step / (2 * (f_next - f - slope * step));  // its minimum
      step = std::isfinite(parabola) ? std::clamp(parabola, 0.1 * step, 0.5 * step) : 0.1 * step;
    }
    Pair pair{next - at.x, next_gradient - gradient, 0};
    const double curvature = scalar_product(pair.s, pair.y);
    if (curvature > 1e-12 * scalar_product(pair.y, pair.y)) {
      pair.rho = 1 / curvature;
      pairs.push_back(pair);
      if (static_cast<int64_t>(pairs.size()) > memory) pairs.pop_front();
    }
    at.x = next;
    std::swap(gradient, next_gradient);
  }
  return at;
}

}  // namespace foil
