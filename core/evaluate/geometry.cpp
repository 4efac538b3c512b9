// SPDX-License-Identifier: BSD-3-Clause
// The formulas of geometry.h, in row chunks where a whole would not fit.
#include "evaluate/geometry.h"

#include "evaluate/checks.h"
#include "evaluate/measuring.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace foil {

double alignment(const Tensor& z1, const Tensor& z2, double alpha) {
  torch::NoGradGuard no_grad;
  check_embeddings("alignment, first view", z1);
  check_embeddings("alignment, second view", z2);
  if (z1.sizes() != z2.sizes()) {
    fail(Exit::failure, "alignment: the views are ", z1.sizes(), " and ", z2.sizes(), "; they must agree.");
  }
  return (unit_rows(z1) - unit_rows(z2)).norm(2, {1}).pow(alpha).mean().item<double>();
}

double uniformity(const Tensor& z, double t, int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("uniformity", z);
  const int64_t rows = z.size(0), chunk = std::max<int64_t>(1, chunk_bytes / 8 / rows);
  if (rows < 2) fail(Exit::failure, "uniformity: 1 row, allowed: 2 or more.");
  const Tensor x = unit_rows(z);            // [N, D]
  const Tensor square = x.square().sum(1);  // [N]: 1, or 0 for a zero row
  double total = 0;
  for (int64_t i = 0; i < rows; i += chunk) {
    const int64_t count = std::min(chunk, rows - i);
    const Tensor after = x.narrow(0, i, rows - i);  // [N-i, D]
    Tensor distance = torch::addmm(square.narrow(0, i, rows - i), x.narrow(0, i, count), after.t(), 1, -2);
    distance.add_(square.narrow(0, i, count).unsqueeze(1)).clamp_min_(0);
    total += distance.mul_(-t).exp_().triu_(1).sum().item<double>();
  }
  return std::log(total / (0.5 * static_cast<double>(rows) * static_cast<double>(rows - 1)));
}

double effective_rank(const Tensor& x, int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("effective rank", x);
  const Tensor tall = x.size(0) < x.size(1) ? x.t() : x;  // the same singular values
  const int64_t rows = tall.size(0), width = tall.size(1),
                chunk = std::max<int64_t>(1, chunk_bytes / 8 / width);
  Tensor gram = torch::zeros({width, width}, x.options().dtype(torch::kDouble));
  for (int64_t i = 0; i < rows; i += chunk) {
    const Tensor part = tall.narrow(0, i, std::min(chunk, rows - i)).to(torch::kDouble);
    gram.addmm_(part.t(), part);
  }
  const Tensor power = torch::linalg_eigvalsh(gram.cpu());  // ascending
  const double largest = power[-1].item<double>();
  if (largest <= 0) return 0;
  const double floor = largest * static_cast<double>(width) * std::numeric_limits<double>::epsilon();
  const Tensor sigma = power.masked_select(power > floor).sqrt();
  const Tensor p = sigma / sigma.sum();
  return std::exp(-(p * p.log()).sum().item<double>());
}

Spread std_per_dimension(const Tensor& z) {
  torch::NoGradGuard no_grad;
  check_embeddings("standard deviation", z);
  const Tensor deviation = unit_rows(z).std(0, /*unbiased=*/false);
  return {deviation.mean().item<double>(), deviation.min().item<double>()};
}

double modality_gap(const Tensor& x, const Tensor& y) {
  torch::NoGradGuard no_grad;
  check_embeddings("modality gap, first", x);
  check_embeddings("modality gap, second", y);
  if (x.size(1) != y.size(1)) {
    fail(Exit::failure, "modality gap: the embeddings are ", x.sizes(), " and ", y.sizes(),
         "; last sizes must agree.");
  }
  return (unit_rows(x).mean(0) - unit_rows(y).mean(0)).norm().item<double>();
}

void measure_geometry(Measuring& of) {
  const auto id = [&](const char* what) { return of.id(what, of.split, of.rows.size(0)); };
  if (of.first_view.defined()) {
    of.add("alignment", {"alignment", "", 4, Better::lower}, alignment(of.first_view, of.second_view),
           fmt::format("alignment-a2/{}/{}{}/{}/v1", of.place, of.split, of.first_view.size(0),
                       of.augmentation));
  }
  if (of.rows.size(0) > 1) {
    of.add("uniformity", {"uniformity", "", 3, Better::lower}, uniformity(of.rows), id("uniformity-t2"));
  }
  of.add("effective_rank", {"effective rank", "", 1, Better::neither}, effective_rank(of.rows),
         id("effective-rank"));
  const Spread spread = std_per_dimension(of.rows);
  of.add("std", {"standard deviation", "", 4, Better::neither}, spread.mean, id("std-per-dimension"),
         {{"min", spread.min}, {"dimensions", of.rows.size(1)}});
}

void measure_gap(Measuring& of, const std::string& x_name, const Tensor& x, const std::string& y_name,
                 const Tensor& y) {
  const std::string pair = x_name + "+" + y_name;
  of.add(pair + ".gap", {pair + " modality gap", "", 3, Better::neither}, modality_gap(x, y),
         of.id("modality-gap/" + pair, of.split, x.size(0)));
}

}  // namespace foil
