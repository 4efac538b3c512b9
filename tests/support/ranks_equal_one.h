// SPDX-License-Identifier: BSD-3-Clause
// The invariant of every loss: W ranks with uneven and empty shards give the value, the gradients and the state of one rank on the
// whole batch.
#pragma once

#include "ranks/in_process.h"

#include <foil/foil.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <mutex>

namespace foil {

// What a loss needs besides z: labels [N], the data set's size, and the index [N] of each of several steps.
struct RankSteps {
  Tensor label = {};
  std::vector<Tensor> index = {};  // none: one step on samples 0 to N - 1
  Sizes sizes = {};
};

// z: V x [N, D], double; the rows move on by one from step to step. `make` makes the loss anew for each rank.
inline void expect_ranks_equal_one(const std::function<std::shared_ptr<Loss>()>& make, const std::vector<Tensor>& z,
                                   const std::vector<std::vector<int64_t>>& shards, const RankSteps& steps = {}) {
  const int64_t n = z[0].size(0), views = static_cast<int64_t>(z.size());
  const std::vector<Tensor> indices = steps.index.empty() ? std::vector<Tensor>{torch::arange(n)} : steps.index;
  const auto run = [&](World& world, std::shared_ptr<Ranks> ranks, int64_t begin, int64_t count) {
    const std::shared_ptr<Loss> loss = make();
    loss->setup(steps.sizes);
    loss->to(torch::kDouble);
    std::vector<Tensor> result;  // of each step: value, gradients; at the end the state
    for (size_t step = 0; step < indices.size(); ++step) {
      LossInput input;
      std::vector<Tensor> leaves;
      for (const Tensor& view : z) {
        leaves.push_back(view.roll({static_cast<int64_t>(step)}, {0}).slice(0, begin, begin + count).clone().requires_grad_());
        const Tensor& x = leaves.back();
        input.z.push_back(loss->needs().raw_z ? x : x / x.norm(2, {1}, true).clamp_min(1e-12));
      }
      input.h = input.z;
      input.index = indices[step].slice(0, begin, begin + count);
      if (steps.label.defined()) input.label = steps.label.slice(0, begin, begin + count);
      input.step = static_cast<int64_t>(step);
      input.sizes = steps.sizes;
      input.ranks = ranks;
      const Tensor value = input.join(loss->forward(input));
      result.push_back(value.detach());
      for (Tensor& g : torch::autograd::grad({value}, leaves))
        result.push_back(g / static_cast<double>(world.world_size()));  // as the Reducer averages
      torch::NoGradGuard no_grad;
      loss->after_step(input);
    }
    for (const Tensor& state : loss->buffers()) result.push_back(state.clone());
    return result;
  };
  const std::vector<Tensor> one = run(*World::single(), World::single(), 0, n);
  const size_t of_steps = indices.size() * static_cast<size_t>(views + 1);
  for (const std::vector<int64_t>& shard : shards) {
    const int size = static_cast<int>(shard.size());
    std::vector<std::vector<Tensor>> all(shard.size());
    in_process_ranks(size, [&](World& world) {
      int64_t begin = 0;
      for (int64_t r = 0; r < world.rank(); ++r) begin += shard[static_cast<size_t>(r)];
      all[static_cast<size_t>(world.rank())] =
          run(world, std::shared_ptr<Ranks>(std::shared_ptr<void>(), &world), begin, shard[static_cast<size_t>(world.rank())]);
    });
    for (size_t i = 0; i < of_steps; ++i) {
      const size_t step = i / static_cast<size_t>(views + 1), part = i % static_cast<size_t>(views + 1);
      if (part == 0) {
        Tensor value = torch::zeros({}, torch::kDouble);
        for (const auto& result : all) value += result[i] / static_cast<double>(size);
        EXPECT_LE((value - one[i]).abs().item<double>(), 1e-12 * std::max(1.0, one[i].abs().item<double>()))
            << "value of step " << step << ", " << size << " ranks";
      } else {
        std::vector<Tensor> parts;
        for (const auto& result : all) parts.push_back(result[i]);
        EXPECT_LE((torch::cat(parts) - one[i]).abs().max().item<double>(), 1e-12 * std::max(1.0, one[i].abs().max().item<double>()))
            << "gradient of view " << part - 1 << " in step " << step << ", " << size << " ranks";
      }
    }
    for (size_t i = of_steps; i < one.size(); ++i) {
      for (const auto& result : all) {
        EXPECT_TRUE(torch::allclose(result[i], one[i], 1e-12, 1e-12)) << "buffer " << i - of_steps << ", " << size << " ranks";
        EXPECT_TRUE(torch::equal(result[i], all[0][i])) << "buffer " << i - of_steps << " differs between ranks";
      }
    }
  }
}

}  // namespace foil
