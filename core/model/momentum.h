// SPDX-License-Identifier: BSD-3-Clause
// The momentum encoder's rule: how a second tower follows the first. It builds nothing.
#pragma once

#include "model/tower.h"

namespace foil {

struct MomentumOptions {
  double value = 0.996;
  enum class Schedule { cosine, constant };
  Schedule schedule = Schedule::cosine;
  double final_value = 1;
  void describe(Fields& f);
};

// The momentum m of `step` (from 0) of `total_steps`:
//   constant:  value
//   cosine:    final_value - (final_value - value) (1 + cos(pi step / total_steps)) / 2
//              (Grill et al., "BYOL", 2020, section 3.2)
double momentum_at(const MomentumOptions& options, int64_t step, int64_t total_steps);

// Before the first step: every parameter and buffer of `target` becomes a copy of that of `online`; it learns
// no more by gradients.
void copy_tower(const Tower& online, Tower& target);

// target = m target + (1 - m) online, over the parameters that both have; buffers stay: batch norm statistics
// are the target's own.
void follow(const torch::nn::Module& online, torch::nn::Module& target, double m);

}  // namespace foil
