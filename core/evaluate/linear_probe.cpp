// SPDX-License-Identifier: BSD-3-Clause
// The objective in coordinates where it is well conditioned, the L2 path, the refit.
#include "evaluate/linear_probe.h"

#include "evaluate/checks.h"
#include "evaluate/lbfgs.h"
#include "evaluate/measuring.h"

#include <foil/random.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace foil {
namespace {

using torch::indexing::Slice;

// Features standardised and turned to their principal axes, as a map: axes(x) = (x - mean) turn. A turn
// changes neither the minimum nor ||W||, and along the axes the Hessian is nearly diagonal, so a scale per
// axis makes L-BFGS quick.
struct Axes {
  Tensor mean;      // [F]
  Tensor turn;      // [F, F] = diag(1 / std) times the eigenvectors of the correlation matrix
  Tensor variance;  // [F] along the axes
};

int64_t rows_per_chunk(const Tensor& x, int64_t chunk_bytes) {
  return std::max<int64_t>(1, chunk_bytes / 8 / x.size(1));
}

Axes principal_axes(const Tensor& x, int64_t chunk_bytes) {
  const int64_t rows = x.size(0), chunk = rows_per_chunk(x, chunk_bytes);
  const auto wide = x.options().dtype(torch::kDouble);
  Tensor mean = torch::zeros({x.size(1)}, wide), covariance = torch::zeros({x.size(1), x.size(1)}, wide);
  for (int64_t i = 0; i < rows; i += chunk)
    mean += x.narrow(0, i, std::min(chunk, rows - i)).to(torch::kDouble).sum(0);
  mean /= rows;
  for (int64_t i = 0; i < rows; i += chunk) {
    const Tensor centred = x.narrow(0, i, std::min(chunk, rows - i)).to(torch::kDouble) - mean;
    covariance.addmm_(centred.t(), centred);
  }
  const Tensor deviation = (covariance.diagonal() / rows).sqrt();
  const Tensor constant = deviation <= 1e-7 * mean.abs();  // below the resolution of fp32
  const Tensor scale = torch::where(constant, torch::zeros_like(deviation), 1 / deviation);
  const Tensor correlation = covariance / rows * scale.unsqueeze(1) * scale;
  const auto [variance, vectors] = torch::linalg_eigh(correlation.cpu());
  return {mean, scale.unsqueeze(1) * vectors.to(x.device()), variance.clamp_min(0).to(x.device())};
}

struct Fit {
  Tensor parameters;  // [F+1, classes]: W' along the axes, last row b
  int64_t iterations = 0;
  bool converged = false;
  double gradient_norm = 0;
};

// Logistic regression on the rows of x whose entry in `share` (fp64 [n], sums to 1) is not 0.
class Regression {
 public:
  Regression(const Tensor& x, const Tensor& labels, int64_t classes, const LinearProbeOptions& options)
      : x_(x),
        label_(labels.to(x.device())),
        classes_(classes),
        options_(options),
        axes_(principal_axes(x, options.chunk_bytes)) {}

  Tensor start() const { return torch::zeros({x_.size(1) + 1, classes_}, axes_.mean.options()); }

  // Features as given -> logits = x weight' + bias.
  std::pair<Tensor, Tensor> weight_and_bias(const Tensor& parameters) const {
    const Tensor weight = axes_.turn.mm(parameters.index({Slice(0, -1)})).t();  // [classes, F]
    return {weight, parameters[-1] - weight.mv(axes_.mean)};
  }

  Fit fit(const Tensor& start, const Tensor& share, double l2, double tolerance) const {
    // Curvature of the mean cross entropy along an axis where every class is as likely; the bias has none of
    // the penalty.
    const double even = static_cast<double>(classes_ - 1) / static_cast<double>(classes_ * classes_);
    const Tensor curvature =
        torch::cat({axes_.variance * even + l2, torch::full({1}, even, axes_.variance.options())});
    const Tensor scale = curvature.rsqrt().unsqueeze(1);  // [F+1, 1]
    auto value = [&](const Tensor& scaled, Tensor& gradient) {
      const double loss = objective(scaled * scale, share, l2, gradient);
      gradient.mul_(scale);
      return loss;
    };
    auto norm = [&](const Tensor& gradient) { return (gradient / scale).norm().item<double>(); };
    auto done = [&](const Tensor& gradient) { return norm(gradient) <= tolerance; };
    const Minimum found = minimise(value, start / scale, done, options_.max_iterations);
    Tensor gradient = torch::empty_like(start);
    value(found.x, gradient);
    return {found.x * scale, found.iterations, found.converged, norm(gradient)};
  }

 private:
  // The penalised loss at `parameters` [F+1, classes]; its gradient goes to `gradient`.
  double objective(const Tensor& parameters, const Tensor& share, double l2, Tensor& gradient) const {
    const auto [weight, bias] = weight_and_bias(parameters);
    Tensor by_weight =
        torch::zeros({x_.size(1), classes_}, weight.options());  // [F, classes], for features as given
    Tensor by_bias = torch::zeros({classes_}, weight.options()), loss = torch::zeros({}, weight.options());
    const int64_t rows = x_.size(0), chunk = rows_per_chunk(x_, options_.chunk_bytes);
    for (int64_t i = 0; i < rows; i += chunk) {
      const int64_t count = std::min(chunk, rows - i);
      const Tensor x = x_.narrow(0, i, count).to(torch::kDouble),
                   label = label_.narrow(0, i, count).unsqueeze(1);
      const Tensor part = share.narrow(0, i, count).unsqueeze(1);             // [C, 1]
      const Tensor log_p = torch::addmm(bias, x, weight.t()).log_softmax(1);  // [C, classes]
      loss -= (log_p.gather(1, label) * part).sum();
      const Tensor error =
          log_p.exp().scatter_add_(1, label, torch::full_like(part, -1)).mul_(part);  // (p - one_hot) share
      by_weight.addmm_(x.t(), error);
      by_bias += error.sum(0);
    }
    const Tensor w = parameters.index({Slice(0, -1)});
    gradient.index_put_({Slice(0, -1)},
                        axes_.turn.t().mm(by_weight - axes_.mean.unsqueeze(1) * by_bias) + l2 * w);
    gradient.index_put_({-1}, by_bias);
    return (loss + 0.5 * l2 * w.square().sum()).item<double>();
  }

  Tensor x_, label_;
  int64_t classes_;
  const LinearProbeOptions& options_;
  Axes axes_;
};

// bool [n] on the CPU: the round(share n) rows, at least one, whose keyed hash is smallest; a pure function
// of (seed, n).
Tensor held_out_rows(int64_t n, double share, uint64_t seed) {
  std::vector<int64_t> row(static_cast<size_t>(n));
  std::iota(row.begin(), row.end(), 0);
  auto key = [&](int64_t i) {
    return mix_key(mix_key(name_key("linear probe"), seed), static_cast<uint64_t>(i));
  };
  std::sort(row.begin(), row.end(), [&](int64_t a, int64_t b) { return key(a) < key(b); });
  Tensor held = torch::zeros({n}, torch::kBool);
  const int64_t count = std::clamp<int64_t>(std::llround(share * static_cast<double>(n)), 1, n - 1);
  for (int64_t i = 0; i < count; ++i) held.mutable_data_ptr<bool>()[row[static_cast<size_t>(i)]] = true;
  return held;
}

// int64 [n] on the CPU: where the largest logit of each row is.
Tensor classes_of(const Tensor& x, const std::pair<Tensor, Tensor>& classifier, int64_t chunk_bytes) {
  const auto& [weight, bias] = classifier;
  const int64_t rows = x.size(0), chunk = rows_per_chunk(x, chunk_bytes);
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < rows; i += chunk) {
    const Tensor logits =
        torch::addmm(bias, x.narrow(0, i, std::min(chunk, rows - i)).to(torch::kDouble), weight.t());
    parts.push_back(logits.argmax(1).cpu());
  }
  return torch::cat(parts);
}

}  // namespace

LinearProbe linear_probe(const Tensor& train, const Tensor& train_labels, const Tensor& test,
                         const Tensor& test_labels, int64_t classes, const LinearProbeOptions& options,
                         const std::function<void(int64_t, int64_t)>& progress) {
  torch::NoGradGuard no_grad;
  check_embeddings("linear probe, train", train);
  check_embeddings("linear probe, test", test);
  const Tensor label = checked_labels("linear probe, train", train_labels, train.size(0), classes);
  const Tensor test_label = checked_labels("linear probe, test", test_labels, test.size(0), classes);
  if (train.size(1) != test.size(1)) {
    fail(Exit::failure, "linear probe: test is ", test.sizes(), " but train is ", train.sizes(),
         "; last sizes must agree.");
  }
  if (classes < 2) fail(Exit::usage, "linear probe: ", classes, " class, allowed: 2 or more.");
  if (train.size(0) < 2) fail(Exit::failure, "linear probe: 1 row in train, allowed: 2 or more.");
  std::vector<double> path = options.l2;
  std::sort(path.rbegin(), path.rend());
  if (path.empty() || path.back() <= 0) fail(Exit::usage, "linear probe: l2 needs one or more values > 0.");
  const int64_t fits = path.size() > 1 ? static_cast<int64_t>(path.size()) + 1 : 1;
  int64_t fitted = 0;
  auto report = [&] {
    if (progress) progress(fitted++, fits);
  };
  report();

  const Regression regression(train, label, classes, options);
  const auto wide = torch::TensorOptions(train.device()).dtype(torch::kDouble);
  LinearProbe probe;
  Tensor start = regression.start();
  probe.l2 = path.front();
  if (path.size() > 1) {
    const Tensor held = held_out_rows(train.size(0), options.held_out, options.seed);
    const Tensor fitting = held.logical_not().to(wide);
    const Tensor share = fitting / fitting.sum();
    Tensor parameters = start;
    probe.held_out_accuracy = -1;
    for (double l2 : path) {
      const Fit fit = regression.fit(parameters, share, l2, 10 * options.tolerance);
      parameters = fit.parameters;
      probe.iterations += fit.iterations;
      const Tensor hit =
          classes_of(train, regression.weight_and_bias(parameters), options.chunk_bytes) == label;
      const double accuracy = hit.masked_select(held).to(torch::kDouble).mean().item<double>();
      if (accuracy > probe.held_out_accuracy) {
        probe.held_out_accuracy = accuracy;
        probe.l2 = l2;
        start = parameters;
      }
      report();
    }
  }
  const Fit fit =
      regression.fit(start, torch::full({train.size(0)}, 1.0 / static_cast<double>(train.size(0)), wide),
                     probe.l2, options.tolerance);
  report();
  probe.iterations += fit.iterations;
  probe.converged = fit.converged;
  probe.gradient_norm = fit.gradient_norm;
  std::tie(probe.weight, probe.bias) = regression.weight_and_bias(fit.parameters);
  probe.found = classes_of(test, {probe.weight, probe.bias}, options.chunk_bytes);
  probe.accuracy = (probe.found == test_label).to(torch::kDouble).mean().item<double>();
  return probe;
}

void measure_linear(Measuring& of) {
  const LinearProbeOptions options;
  const LinearProbe probe =
      linear_probe(of.bank.rows, of.bank.label, of.queries.rows, of.queries.label, of.classes, options,
                   [&](int64_t done, int64_t all) { of.report("linear probe", done, all); });
  const std::string how =
      fmt::format("linear-lbfgs-l2from{}to{}by{}-heldout{}-seed{}-tolerance{}-iterations{}",
                  options.l2.front(), options.l2.back(), options.l2.size(), options.held_out, options.seed,
                  options.tolerance, options.max_iterations);
  of.add_accuracy("linear", "linear", probe.found, of.learned_id(how),
                  {{"l2", probe.l2},
                   {"held_out", 100 * probe.held_out_accuracy},
                   {"iterations", probe.iterations},
                   {"converged", probe.converged},
                   {"gradient_norm", probe.gradient_norm}});
}

}  // namespace foil
