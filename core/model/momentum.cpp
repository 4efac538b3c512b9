// SPDX-License-Identifier: BSD-3-Clause
#include "model/momentum.h"

#include "model/weights.h"

#include <torch/types.h>

#include <cmath>
#include <numbers>

namespace foil {

void MomentumOptions::describe(Fields& f) {
  f.number("value", value, "of the momentum encoder: how much of it stays in a step", between(0, 1));
  f.choice("schedule", schedule, {{"cosine", Schedule::cosine}, {"constant", Schedule::constant}},
           "from value to final_value over the run, or value throughout");
  f.number("final_value", final_value, "cosine: the momentum at the end", between(0, 1));
}

double momentum_at(const MomentumOptions& options, int64_t step, int64_t total_steps) {
  if (options.schedule == MomentumOptions::Schedule::constant) return options.value;
  const double past = static_cast<double>(step) / static_cast<double>(total_steps);
  return options.final_value -
         (options.final_value - options.value) * (1 + std::cos(std::numbers::pi * past)) / 2;
}

void copy_tower(const Tower& online, Tower& target) {
  torch::NoGradGuard no_grad;
  const auto from = named_tensors(online);
  for (auto& [name, tensor] : named_tensors(target)) at::Tensor(tensor).copy_(from.at(name));
  for (Tensor& parameter : target.parameters()) parameter.requires_grad_(false);
}

void follow(const torch::nn::Module& online, torch::nn::Module& target, double m) {
  torch::NoGradGuard no_grad;
  const auto from = online.named_parameters();
  std::vector<Tensor> follower, leader;
  for (const auto& item : target.named_parameters()) {
    follower.push_back(item.value());
    leader.push_back(from[item.key()]);
  }
  at::_foreach_lerp_(follower, leader, 1 - m);
}

}  // namespace foil
