// SPDX-License-Identifier: BSD-3-Clause
// The reducer's gradient is the average over ranks of each rank's own.
#include "ranks/reducer.h"

#include "ranks/in_process.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace {

using at::Tensor;
using foil::GradientReducer;
using foil::in_process_ranks;
using foil::World;
using foil::test::error_of;
using Parameters = std::vector<std::pair<std::string, Tensor>>;

Parameters three() {
  return {{"a", torch::ones({3}, torch::kDouble).requires_grad_()},
          {"b", torch::ones({2, 2}, torch::kFloat).requires_grad_()},
          {"c", torch::ones({}, torch::kDouble).requires_grad_()}};
}

}  // namespace

TEST(GradientReducer, AveragesOverRanksAndTypes) {
  for (int world_size : {1, 2, 3}) {
    in_process_ranks(world_size, [&](World& world) {
      const Parameters p = three();
      GradientReducer reducer(p, world.shared_from_this());
      for (int step = 0; step < 3; ++step) {
        for (const auto& [name, parameter] : p) parameter.mutable_grad() = Tensor();
        const double r = static_cast<double>(world.rank()) + step;
        const Tensor loss = r * p[0].second.sum() + (r * r * p[1].second).sum() + p[2].second * (r + 1);
        reducer.prepare(loss);
        loss.backward();
        double mean = 0, square = 0;
        for (int k = 0; k < world_size; ++k)
          mean += (k + step) / double(world_size), square += (k + step) * (k + step) / double(world_size);
        EXPECT_TRUE(
            torch::allclose(p[0].second.grad(), torch::full({3}, mean, torch::kDouble), 1e-15, 1e-15));
        EXPECT_TRUE(
            torch::allclose(p[1].second.grad(), torch::full({2, 2}, square, torch::kFloat), 1e-6, 1e-6));
        EXPECT_NEAR(p[2].second.grad().item<double>(), mean + 1, 1e-15);
      }
    });
  }
}

TEST(GradientReducer, CountsAParameterUnusedOnOneRankAsZeroThere) {
  in_process_ranks(3, [](World& world) {
    const Parameters p = three();
    GradientReducer reducer(p, world.shared_from_this());
    for (int step = 0; step < 3; ++step) {
      p[0].second.mutable_grad() = Tensor();
      Tensor loss = p[2].second * 1.0;
      if (world.rank() == step) loss = loss + p[0].second.sum() * 6.0;  // another rank every step
      reducer.prepare(loss);
      loss.backward();
      EXPECT_TRUE(torch::equal(p[0].second.grad(), torch::full({3}, 2.0, torch::kDouble))) << step;
      EXPECT_FALSE(p[1].second.grad().defined()) << "unused on all ranks";
    }
  });
}

TEST(GradientReducer, TakesParametersBeyondOneBucket) {
  in_process_ranks(2, [](World& world) {
    Parameters p;
    for (int i = 0; i < 5; ++i)
      p.emplace_back("p" + std::to_string(i), torch::ones({200'000 + i}, torch::kDouble).requires_grad_());
    GradientReducer reducer(p, world.shared_from_this());
    Tensor loss = torch::zeros({}, torch::kDouble);
    for (int i = 0; i < 5; ++i)
      loss =
          loss + p[static_cast<size_t>(i)].second.sum() * static_cast<double>((i + 1) * (world.rank() + 1));
    reducer.prepare(loss);
    loss.backward();
    for (int i = 0; i < 5; ++i) {
      const Tensor gradient = p[static_cast<size_t>(i)].second.grad();
      EXPECT_TRUE(torch::equal(gradient, torch::full_like(gradient, 1.5 * (i + 1)))) << i;
    }
  });
}

TEST(GradientReducer, TakesSharedFrozenAndNoParameters) {
  in_process_ranks(2, [](World& world) {
    const Tensor shared = torch::ones({2}, torch::kDouble).requires_grad_(),
                 frozen = torch::ones({2}, torch::kDouble);
    GradientReducer reducer({{"x", shared}, {"frozen", frozen}, {"y", shared}}, world.shared_from_this());
    const Tensor loss = (shared * shared * frozen).sum() * static_cast<double>(world.rank());
    reducer.prepare(loss);
    loss.backward();
    EXPECT_TRUE(torch::equal(shared.grad(), torch::ones({2}, torch::kDouble)));
    GradientReducer nothing({}, world.shared_from_this());
    nothing.prepare(loss);
  });
}

TEST(GradientReducer, NamesTheRankWhoseParametersDiffer) {
  const std::string error = error_of([] {
    in_process_ranks(3, [](World& world) {
      GradientReducer({{"w", torch::ones({world.rank() == 2 ? 3 : 2}).requires_grad_()}},
                      world.shared_from_this());
    });
  });
  EXPECT_NE(error.find("rank 2: the parameters are not those of rank 0."), std::string::npos) << error;
}

// The other ranks wait inside the reducer; they must hear of the failure, not of a timeout.
TEST(GradientReducer, ARankThatFailsInBackwardEndsTheOthers) {
  struct Fails : torch::autograd::Function<Fails> {
    static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x * 1.0; }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                   torch::autograd::variable_list) {
      throw foil::Error("no gradient today", foil::Exit::non_finite);
    }
  };
  const std::string error = error_of([] {
    in_process_ranks(3, [](World& world) {
      const Parameters p = three();
      GradientReducer reducer(p, world.shared_from_this());
      const Tensor tail = (p[0].second * p[2].second).sum();
      const Tensor loss = (world.rank() == 1 ? Fails::apply(tail) : tail) + p[1].second.sum();
      reducer.prepare(loss);
      loss.backward();
    });
  });
  EXPECT_EQ(error, "4 rank 1: no gradient today");
}
