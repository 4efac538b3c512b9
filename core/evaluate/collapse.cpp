// SPDX-License-Identifier: BSD-3-Clause
// Two numbers from rank 0 and a sentence about them.
#include "evaluate/collapse.h"

#include "evaluate/checks.h"
#include "evaluate/geometry.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

constexpr int64_t kSamples = 512;  // enough for both numbers, and a cheap decomposition

}  // namespace

void CollapseOptions::describe(Fields& f) {
  f.integer("every", every, "steps between looks at the projections of the batch; 0 = never", at_least(0));
  f.number("effective_rank", effective_rank, "alarm below this effective rank; 0 = not for it", at_least(0));
  f.number("std", std,
           "alarm below this share of 1 / sqrt(D), the standard deviation per dimension of a spread; 0 = not "
           "for it",
           between(0, 1));
  f.choice("action", action, {{"warn", CollapseAction::warn}, {"stop", CollapseAction::stop}},
           "a warning, or the end of the run with exit code 4");
}

Collapse look_for_collapse(const Tensor& z, const CollapseOptions& options, Ranks& ranks) {
  torch::NoGradGuard no_grad;
  const Tensor all = ranks.gather(z.detach());
  const Tensor rows = all.slice(0, 0, kSamples);
  // What rank 0 finds, on every rank: a decision must not hang on the last bit.
  Tensor found = torch::zeros({2}, rows.options().dtype(torch::kDouble));
  if (ranks.rank() == 0) {
    const Tensor unit = unit_rows(rows);
    found[0] = effective_rank(unit);
    found[1] = std_per_dimension(unit).mean;
  }
  found = ranks.sum(found).cpu();
  Collapse collapse{found[0].item<double>(), found[1].item<double>(), {}};
  const double floor = options.std / std::sqrt(static_cast<double>(z.size(1)));
  if (collapse.effective_rank < options.effective_rank || collapse.std < floor) {
    collapse.finding = fmt::format(
        "the projections have collapsed: over {} samples of the batch their effective rank is {:.3g} of {} "
        "(alarm below {:.3g}) and their standard deviation {:.2g} per dimension (alarm below {:.2g}). "
        "What usually helps: a lower learning rate or more warm-up; more weight for what keeps samples "
        "apart; with targets, a predictor and a momentum nearer to 1.",
        rows.size(0), collapse.effective_rank, std::min(rows.size(0), rows.size(1)), options.effective_rank,
        collapse.std, floor);
  }
  return collapse;
}

}  // namespace foil
