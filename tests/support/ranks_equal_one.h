// SPDX-License-Identifier: BSD-3-Clause
// The invariant of every loss: W ranks with uneven and empty shards give the value and the gradients of one rank on the whole
// batch.
#pragma once

#include "ranks/in_process.h"

#include <foil/foil.h>
#include <gtest/gtest.h>

#include <mutex>

namespace foil {

// z: V x [N, D], double. `make` makes the loss anew for each rank.
inline void expect_ranks_equal_one(const std::function<std::shared_ptr<Loss>()>& make, const std::vector<Tensor>& z,
                                   const std::vector<std::vector<int64_t>>& shards) {
  const auto run = [&](World& world, std::shared_ptr<Ranks> ranks, int64_t begin, int64_t count) {
    LossInput input;
    std::vector<Tensor> leaves;
    for (const Tensor& view : z) {
      leaves.push_back(view.slice(0, begin, begin + count).clone().requires_grad_());
      input.z.push_back(torch::nn::functional::normalize(leaves.back(), torch::nn::functional::NormalizeFuncOptions().dim(1)));
    }
    input.h = input.z;
    input.index = torch::arange(begin, begin + count);
    input.ranks = ranks;
    const Tensor value = input.join(make()->forward(input));
    std::vector<Tensor> result{value.detach()};
    for (Tensor& g : torch::autograd::grad({value}, leaves))
      result.push_back(g / static_cast<double>(world.world_size()));  // as the Reducer averages
    return result;
  };
  const std::vector<Tensor> one = run(*World::single(), World::single(), 0, z[0].size(0));
  for (const std::vector<int64_t>& shard : shards) {
    const int size = static_cast<int>(shard.size());
    std::vector<std::vector<Tensor>> all(shard.size());
    in_process_ranks(size, [&](World& world) {
      int64_t begin = 0;
      for (int64_t r = 0; r < world.rank(); ++r) begin += shard[static_cast<size_t>(r)];
      all[static_cast<size_t>(world.rank())] =
          run(world, std::shared_ptr<Ranks>(std::shared_ptr<void>(), &world), begin, shard[static_cast<size_t>(world.rank())]);
    });
    Tensor value = torch::zeros({}, torch::kDouble);
    for (const auto& result : all) value += result[0] / static_cast<double>(size);
    EXPECT_LE((value - one[0]).abs().item<double>(), 1e-12 * std::max(1.0, one[0].abs().item<double>()))
        << "value, " << size << " ranks";
    for (size_t v = 0; v < z.size(); ++v) {
      std::vector<Tensor> parts;
      for (const auto& result : all) parts.push_back(result[v + 1]);
      EXPECT_LE((torch::cat(parts) - one[v + 1]).abs().max().item<double>(), 1e-12)
          << "gradient of view " << v << ", " << size << " ranks";
    }
  }
}

}  // namespace foil
