// SPDX-License-Identifier: BSD-3-Clause
// Linear probe: multinomial logistic regression on frozen features, fitted to convergence. Not an SGD loop:
// full-batch gradients.
#pragma once

#include <foil/view.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace foil {

struct Measuring;

struct LinearProbeOptions {
  // What is tried. One value: no choice, nothing held out.
  std::vector<double> l2 = {1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6};
  double held_out = 0.1;  // share of train on which l2 is chosen
  uint64_t seed = 0;      // of that split
  double tolerance =
      1e-4;  // converged: Euclidean norm of the gradient at most this; ten times it where l2 is chosen
  int64_t max_iterations = 300;  // per fit
  int64_t chunk_bytes = int64_t{4} << 20;
};

struct LinearProbe {
  double accuracy = 0;  // on test, in [0, 1]
  double l2 = 0;        // the chosen one
  double held_out_accuracy =
      0;                     // of the chosen l2, from the fit without the held-out rows; 0 when l2 was given
  int64_t iterations = 0;    // of all fits together
  bool converged = false;    // the final fit
  double gradient_norm = 0;  // where the final fit stopped
  Tensor found;              // int64 [rows of test] on the CPU: the class of each by the probe
  Tensor weight;             // [classes, F] fp64, for features as given: logits = x weight' + bias
  Tensor bias;               // [classes]
};

// Minimises  (1/n) sum_i cross_entropy(W x_i + b, y_i) + (l2 / 2) ||W||^2  over W and b, with x standardised
// by the mean and standard deviation of train (a constant feature is left out). The loss is a mean over
// samples: scikit-learn's C = 1 / (n l2).
//
// L2: of `l2`, fitted from the largest to the smallest (each starts where the last one ended) on train
// without the held-out rows, the one with the best held-out accuracy, the larger of equals; then refitted on
// all of train. Test takes no part in it.
//
// Labels are int64 in {0, ..., classes-1}. fp64 arithmetic in row chunks; features are not copied.
// Deterministic: ranks that pass the same whole tensors get the same result without talking. `progress(fits
// done, fits in all)` may be empty.
LinearProbe linear_probe(const Tensor& train, const Tensor& train_labels, const Tensor& test,
                         const Tensor& test_labels, int64_t classes, const LinearProbeOptions& options = {},
                         const std::function<void(int64_t, int64_t)>& progress = {});

// "linear": the accuracy of the queries by a probe of the bank.
void measure_linear(Measuring& of);

}  // namespace foil
