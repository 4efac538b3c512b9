// SPDX-License-Identifier: BSD-3-Clause
// The alarm for collapse: embeddings that no longer tell samples apart, all at one point or on one line. What
// follows from it (a warning, an end) is the loop's business.
#pragma once

#include <foil/fields.h>
#include <foil/ranks.h>

#include <string>

namespace foil {

enum class CollapseAction { warn, stop };

struct CollapseOptions {
  int64_t every = 100;
  double effective_rank = 1.5;
  double std = 0.1;
  CollapseAction action = CollapseAction::warn;
  bool stops() const { return action == CollapseAction::stop; }
  void describe(Fields& fields);
};

struct Collapse {
  double effective_rank = 0;  // of the unit rows
  double std = 0;             // per dimension of the unit rows, the mean over dimensions
  std::string finding;  // one line: what was measured, what the alarm is, what helps; empty when all is well
};

// Looks at projections z [B, D] of one view, any length, on the first 512 samples of the global batch:
// geometry.h's effective rank and standard deviation per dimension, against the thresholds. The same on every
// rank and for any world size; every rank calls it.
Collapse look_for_collapse(const at::Tensor& z, const CollapseOptions& options, Ranks& ranks);

}  // namespace foil
