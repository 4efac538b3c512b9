// SPDX-License-Identifier: BSD-3-Clause
// L-BFGS for a smooth convex function of one tensor: Nocedal and Wright, "Numerical Optimization", 2nd ed.,
// algorithms 7.4 and 7.5, with a backtracking line search. Not torch::optim::LBFGS, which works on parameters
// of modules and does not say whether it converged.
#pragma once

#include <foil/view.h>

#include <functional>

namespace foil {

struct Minimum {
  Tensor x;
  int64_t iterations = 0;
  bool converged = false;
};

// value(x, gradient): f(x), and its gradient written to the second argument. Stops as converged once
// done(gradient), or unconverged after max_iterations or when no step along the direction lowers f.
Minimum minimise(const std::function<double(const Tensor&, Tensor&)>& value, Tensor start,
                 const std::function<bool(const Tensor&)>& done, int64_t max_iterations, int64_t memory = 20);

}  // namespace foil
