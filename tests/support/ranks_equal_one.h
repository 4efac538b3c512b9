// SPDX-License-Identifier: BSD-3-Clause
// The invariant of every loss: W ranks with uneven and empty shards give the value, the gradients and the state of one rank on the
// whole batch.
#pragma once

#include "model/queue.h"
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

// z: V x [N, D], double; the rows move on by one from step to step. `make` makes the loss anew for each rank. Predictions, targets
// and queues, where the loss asks for them, are made from z.
inline void expect_ranks_equal_one(const std::function<std::shared_ptr<Loss>()>& make, const std::vector<Tensor>& z,
                                   const std::vector<std::vector<int64_t>>& shards, const RankSteps& steps = {}) {
  const int64_t n = z[0].size(0), views = static_cast<int64_t>(z.size());
  const std::vector<Tensor> indices = steps.index.empty() ? std::vector<Tensor>{torch::arange(n)} : steps.index;
  const std::shared_ptr<Loss> first = make();
  first->setup(steps.sizes);
  const auto start = first->parameters();  // of every rank: setup may draw them
  const size_t inputs = static_cast<size_t>(views * (first->needs().predictor ? 2 : 1));
  const auto run = [&](World& world, std::shared_ptr<Ranks> ranks, int64_t begin, int64_t count) {
    const std::shared_ptr<Loss> loss = make();
    loss->setup(steps.sizes);
    loss->to(torch::kDouble);
    for (size_t i = 0; i < start.size(); ++i) loss->parameters()[i].detach().copy_(start[i].detach());
    const Needs needs = loss->needs();
    std::vector<std::shared_ptr<QueueStore>> queues;
    for (const QueueNeed& need : needs.queues)
      queues.push_back(std::make_shared<QueueStore>(need, z[0].size(1), false, 3 + queues.size(), torch::kDouble));
    std::vector<Tensor> result;  // of each step: value, gradients; at the end the state
    for (size_t step = 0; step < indices.size(); ++step) {
      LossInput input;
      std::vector<Tensor> leaves;
      const auto mine = [&](const Tensor& view) {
        return view.roll({static_cast<int64_t>(step)}, {0}).slice(0, begin, begin + count).clone();
      };
      const auto seen = [&](const Tensor& raw) { return needs.raw_z ? raw : raw / raw.norm(2, {1}, true).clamp_min(1e-12); };
      const auto leaf = [&](const Tensor& view) {
        leaves.push_back(mine(view).requires_grad_());
        return seen(leaves.back());
      };
      for (const Tensor& view : z) input.z.push_back(leaf(view));
      for (size_t v = 0; v < z.size() && needs.predictor; ++v) input.p.push_back(leaf((z[v] * 2).sin()));
      const size_t full = steps.sizes.full_views > 0 ? static_cast<size_t>(steps.sizes.full_views) : z.size();
      for (size_t v = 0; v < full && needs.target; ++v) input.target.push_back(seen(mine((z[v] * 3).cos())));
      for (const auto& queue : queues) input.queue.push_back(queue->look());
      input.h = input.z;
      input.index = indices[step].slice(0, begin, begin + count);
      if (steps.label.defined()) input.label = steps.label.slice(0, begin, begin + count);
      input.step = static_cast<int64_t>(step);
      input.sizes = steps.sizes;
      input.ranks = ranks;
      const Tensor value = input.join(loss->forward(input));
      result.push_back(value.detach());
      for (const Tensor& parameter : loss->parameters()) leaves.push_back(parameter);
      const auto gradients = torch::autograd::grad({value}, leaves, {}, std::nullopt, false, /*allow_unused=*/true);
      for (size_t i = 0; i < leaves.size(); ++i)  // divided as the Reducer averages
        result.push_back(gradients[i].defined() ? gradients[i] / static_cast<double>(world.world_size())
                                                : torch::zeros_like(leaves[i]));
      torch::NoGradGuard no_grad;
      loss->after_step(input);
      for (const auto& queue : queues) queue->enqueue(input, {});
    }
    for (const Tensor& state : loss->buffers()) result.push_back(state.clone());
    for (const auto& queue : queues)
      for (const Tensor& state : queue->buffers()) result.push_back(state.clone());
    return result;
  };
  const std::vector<Tensor> one = run(*World::single(), World::single(), 0, n);
  const size_t parts = 1 + inputs + start.size();  // of a step
  const size_t of_steps = indices.size() * parts;
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
      const size_t step = i / parts, part = i % parts;
      if (part == 0) {
        Tensor value = torch::zeros({}, torch::kDouble);
        for (const auto& result : all) value += result[i] / static_cast<double>(size);
        EXPECT_LE((value - one[i]).abs().item<double>(), 1e-12 * std::max(1.0, one[i].abs().item<double>()))
            << "value of step " << step << ", " << size << " ranks";
      } else {
        std::vector<Tensor> shares;
        for (const auto& result : all) shares.push_back(result[i]);
        const Tensor whole = part <= inputs ? torch::cat(shares) : torch::stack(shares).sum(0);
        EXPECT_LE((whole - one[i]).abs().max().item<double>(), 1e-12 * std::max(1.0, one[i].abs().max().item<double>()))
            << "gradient of input or parameter " << part - 1 << " in step " << step << ", " << size << " ranks";
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
