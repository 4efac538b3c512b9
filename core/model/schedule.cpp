// SPDX-License-Identifier: BSD-3-Clause
#include "model/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace foil {

void ScheduleOptions::describe(Fields& f) {
  f.choice("name", name, {{"cosine", Shape::cosine}, {"constant", Shape::constant}, {"step", Shape::step}},
           "how the learning rate goes on after the warm-up");
  f.number("warmup_epochs", warmup_epochs, "linear warm-up, in epochs (parts of one are allowed)",
           between(0, 1e9));
  f.integer("warmup_steps", warmup_steps, "linear warm-up, in steps; added to warmup_epochs", at_least(0));
  f.number("final_factor", final_factor, "cosine: what is left of the learning rate at the end",
           between(0, 1));
  f.numbers("milestones", milestones, "step: the epochs at which the learning rate is multiplied by factor",
            at_least(0));
  f.number("factor", factor, "step: what the learning rate is multiplied by at each milestone", above(0));
}

double learning_rate(const ScheduleOptions& options, double base, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch) {
  const int64_t warmup =
      std::llround(options.warmup_epochs * static_cast<double>(steps_per_epoch)) + options.warmup_steps;
  if (step < warmup) return base * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (options.name == ScheduleOptions::Shape::cosine) {
    const double past =
        static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(total_steps - warmup, 1));
    const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * std::min(past, 1.0)));
    return base * (options.final_factor + (1 - options.final_factor) * cosine);
  }
  if (options.name == ScheduleOptions::Shape::step) {
    const auto passed =
        std::count_if(options.milestones.begin(), options.milestones.end(), [&](double epoch) {
          return static_cast<double>(step) >= epoch * static_cast<double>(steps_per_epoch);
        });
    return base * std::pow(options.factor, static_cast<double>(passed));
  }
  return base;
}

}  // namespace foil
