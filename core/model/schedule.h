// SPDX-License-Identifier: BSD-3-Clause
// Learning-rate schedules: pure functions of the step, so that a resumed run cannot be off by one. No state,
// no optimizer.
#pragma once

#include <foil/fields.h>

namespace foil {

struct ScheduleOptions {
  enum class Shape { cosine, constant, step };
  Shape name = Shape::cosine;
  double warmup_epochs = 0;
  int64_t warmup_steps = 0;
  double final_factor = 0;
  std::vector<double> milestones;
  double factor = 0.1;
  void describe(Fields& f);
};

// The learning rate of `step` (from 0) of `total_steps`, where w = warmup_epochs * steps_per_epoch +
// warmup_steps, rounded:
//   warm-up, step < w:  base * (step + 1) / w          (linear; the last of the w steps has the base)
//   cosine:             base * (final + (1 - final) (1 + cos(pi (step - w) / (total - w))) / 2)
//                       (Loshchilov and Hutter, "SGDR", 2017, equation 5, one period)
//   step:               base * factor^(number of milestones m, in epochs from the start,
//                                      with step >= m * steps_per_epoch)
//   constant:           base
double learning_rate(const ScheduleOptions& options, double base, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch);

}  // namespace foil
