// SPDX-License-Identifier: BSD-3-Clause
// Batch norm over ranks equals PyTorch's on the whole batch: value, gradients, running statistics.
#include "ranks/in_process.h"
#include "ranks/reducer.h"
#include "tests/support/error_of.h"

#include <foil/batch_norm.h>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <mutex>
#include <numeric>

namespace {

using at::Tensor;
using foil::in_process_ranks;
using foil::World;
using foil::test::error_of;

Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kDouble);
}

// Everything that two training steps of a batch norm show; of many ranks: rows in rank order, parameter
// gradients averaged times W.
struct Shown {
  Tensor y, dx, weight_gradient, bias_gradient, mean, var;
};

// The objective's gradient with respect to y is fixed and depends on the row: sum(y^2 * c).
Shown run(const Tensor& x, const Tensor& c, const std::vector<int64_t>& sizes, bool affine,
          at::ScalarType input_type = at::kDouble) {
  std::vector<Tensor> y(sizes.size()), dx(sizes.size());
  Shown shown;
  std::mutex mutex;
  in_process_ranks(static_cast<int>(sizes.size()), [&](World& world) {
    const int64_t r = world.rank(), before = std::accumulate(sizes.begin(), sizes.begin() + r, int64_t{0});
    const int64_t own = sizes[static_cast<size_t>(r)];
    foil::BatchNorm norm(x.size(1), affine);
    norm.to(input_type == at::kDouble ? torch::kDouble : torch::kFloat);
    norm.set_ranks(world.shared_from_this());
    std::vector<std::pair<std::string, Tensor>> parameters;
    if (affine) {
      torch::NoGradGuard no_grad;
      norm.weight.copy_(random({x.size(1)}, 3));
      norm.bias.copy_(random({x.size(1)}, 4));
      parameters = {{"weight", norm.weight}, {"bias", norm.bias}};
    }
    foil::GradientReducer reducer(parameters, world.shared_from_this());
    const Tensor given = x.narrow(0, before, own).to(input_type), rows = c.narrow(0, before, own);
    // Without rows: channels first, as a convolution leaves it.
    const Tensor part =
        (own > 0 ? given.clone() : torch::zeros(given.sizes(), given.options())).requires_grad_();
    for (int step = 0; step < 2; ++step) {
      if (affine && step == 1) norm.zero_grad();
      if (part.grad().defined()) part.mutable_grad().zero_();
      const Tensor out = norm.forward(part);
      EXPECT_EQ(out.scalar_type(), input_type);
      const Tensor objective = (out.to(at::kDouble).square() * rows).sum();
      reducer.prepare(objective);
      objective.backward();
      std::lock_guard lock(mutex);
      y[static_cast<size_t>(r)] = out.detach();
      dx[static_cast<size_t>(r)] = part.grad().clone();
    }
    EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 2);
    std::lock_guard lock(mutex);
    const auto ranks = static_cast<double>(sizes.size());
    if (affine)
      shown.weight_gradient = norm.weight.grad() * ranks, shown.bias_gradient = norm.bias.grad() * ranks;
    shown.mean = norm.running_mean, shown.var = norm.running_var;
  });
  shown.y = torch::cat(y);
  shown.dx = torch::cat(dx);
  return shown;
}

void expect_equal(const Shown& got, const Shown& expected, double tolerance) {
  const auto near = [&](const char* what, const Tensor& a, const Tensor& b) {
    ASSERT_EQ(a.defined(), b.defined()) << what;
    if (!a.defined()) return;
    EXPECT_LE((a - b).abs().max().item<double>(), tolerance) << what;
  };
  near("y", got.y, expected.y);
  near("dx", got.dx, expected.dx);
  near("weight gradient", got.weight_gradient, expected.weight_gradient);
  near("bias gradient", got.bias_gradient, expected.bias_gradient);
  near("running mean", got.mean, expected.mean);
  near("running var", got.var, expected.var);
}

const std::vector<std::vector<int64_t>> kShards = {
    {33, 31}, {22, 21, 21}, {0, 40, 24}, {63, 0, 1}, {0, 0, 64}};

}  // namespace

TEST(SyncBatchNorm, EqualsOneRankOnVectors) {
  const Tensor x = random({64, 5}, 1) * 3 + 2, c = random({64, 5}, 2);
  for (bool affine : {true, false}) {
    const Shown one = run(x, c, {64}, affine);
    EXPECT_GT(one.dx.abs().max().item<double>(), 1e-2);
    for (const auto& sizes : kShards) expect_equal(run(x, c, sizes, affine), one, 1e-12);
  }
}

TEST(SyncBatchNorm, EqualsOneRankOnImages) {
  const Tensor x = random({64, 3, 5, 4}, 5) * 2 - 1, c = random({64, 3, 5, 4}, 6);
  const Shown one = run(x, c, {64}, true);
  for (const auto& sizes : kShards)
    expect_equal(run(x, c, sizes, true), one, 1e-11);  // weight gradients sum 1,280 entries
}

// Float moments over a mean far from zero: summing squares instead of distances from the mean would lose
// every digit.
TEST(SyncBatchNorm, KeepsItsDigitsFarFromZero) {
  const Tensor x = (random({64, 5}, 7) + 1e4).to(at::kFloat).to(at::kDouble), c = random({64, 5}, 8);
  const Shown exact = run(x, c, {64}, true);
  const Shown got = run(x, c, {22, 21, 21}, true, at::kFloat);
  EXPECT_LE((got.y - exact.y).abs().max().item<double>(), 3e-3);
  EXPECT_LE((got.var - exact.var).abs().max().item<double>(), 1e-3);
}

TEST(SyncBatchNorm, TakesBfloat16WithFloatMoments) {
  const Tensor x = (random({64, 3, 5, 4}, 9) * 2 - 1).to(at::kBFloat16).to(at::kDouble),
               c = random({64, 3, 5, 4}, 10);
  const Shown exact = run(x, c, {64}, true), got = run(x, c, {22, 21, 21}, true, at::kBFloat16);
  EXPECT_LE((got.mean - exact.mean).abs().max().item<double>(), 1e-6) << "moments are not rounded to bf16";
  EXPECT_LE((got.var - exact.var).abs().max().item<double>(), 1e-6);
  EXPECT_LE((got.y - exact.y).abs().max().item<double>(), 0.05);
}

TEST(SyncBatchNorm, EvaluatesByTheRunningStatistics) {
  const Tensor x = random({6, 2}, 11);
  in_process_ranks(2, [&](World& world) {
    foil::BatchNorm norm(2);
    norm.to(torch::kDouble);
    norm.set_ranks(world.shared_from_this());
    norm.eval();
    if (world.rank() == 0) {  // alone: no collective
      EXPECT_TRUE(torch::allclose(norm.forward(x), x / std::sqrt(1 + 1e-5)));
    }
    EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 0);
  });
}

TEST(SyncBatchNorm, RefusesAGlobalBatchOfOneValue) {
  for (int world_size : {1, 3}) {
    in_process_ranks(world_size, [&](World& world) {
      foil::BatchNorm norm(2);
      norm.set_ranks(world.shared_from_this());
      const bool last = world.rank() == world_size - 1;
      EXPECT_EQ(error_of([&] {
                  norm.forward(torch::zeros({last ? 1 : 0, 2}));
                }),
                std::string("1 BatchNorm: the global batch has one value a channel, "
                            "allowed in training: at least two; the input is [") +
                    (last ? "1" : "0") + ", 2].");
      EXPECT_EQ(norm.running_mean.abs().sum().item<double>(), 0.0);
    });
  }
}

TEST(SyncBatchNorm, LeavesItsStatisticsOnAnEmptyGlobalBatch) {
  for (int world_size : {1, 2}) {
    in_process_ranks(world_size, [&](World& world) {
      foil::BatchNorm norm(2);
      norm.set_ranks(world.shared_from_this());
      EXPECT_EQ(norm.forward(torch::zeros({0, 2})).numel(), 0);
      EXPECT_EQ(norm.running_mean.sum().item<double>(), 0.0);
      EXPECT_EQ(norm.running_var.sum().item<double>(), 2.0);
    });
  }
}

TEST(SyncBatchNorm, RefusesAnotherNumberOfChannels) {
  foil::BatchNorm norm(3);
  EXPECT_EQ(error_of([&] {
              norm.forward(torch::zeros({4, 2}));
            }),
            "1 BatchNorm: the input is [4, 2], allowed: [B, 3, ...].");
}

namespace {

// One training step of our norm (`own`) or LibTorch's on the same input: y, dx, weight and bias gradients,
// running statistics.
std::vector<Tensor> step(const Tensor& input, const Tensor& dy, bool relu, bool own) {
  const Tensor x = input.detach().requires_grad_();
  foil::BatchNorm norm(x.size(1));
  norm.to(x.scalar_type());
  {
    torch::NoGradGuard no_grad;
    norm.weight.copy_(random({x.size(1)}, 3));
    norm.bias.copy_(random({x.size(1)}, 4));
  }
  Tensor y;
  if (own) {
    y = relu ? norm.forward_relu(x) : norm.forward(x);
  } else {
    y = torch::batch_norm(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, /*training=*/true,
                          0.1, 1e-5, false);
    if (relu) y = y.relu();
  }
  y.backward(dy);
  return {y.detach(), x.grad(), norm.weight.grad(), norm.bias.grad(), norm.running_mean, norm.running_var};
}

}  // namespace

// Sizes below and above one block of rows, one channel, one pixel; the gradient in the layout of x and in the
// other. An output so near zero that rounding decides whether the ReLU passes its gradient has none here.
TEST(BatchNormOnTheCPU, EqualsLibTorchsWithAndWithoutRelu) {
  const std::vector<std::vector<int64_t>> shapes = {{3, 5},         {2100, 7},     {6, 4, 3},   {3, 5, 4, 2},
                                                    {70, 33, 5, 3}, {40, 1, 9, 7}, {9, 6, 1, 1}};
  for (const auto& shape : shapes) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      for (int layouts = 0; layouts < (shape.size() == 4 ? 4 : 1); ++layouts) {
        const auto layout = [&](const Tensor& t, int bit) {
          return layouts & bit ? t.contiguous(at::MemoryFormat::ChannelsLast) : t;
        };
        const Tensor x = layout((random(shape, 1) * 3 + 2).to(type), 1),
                     dy = layout(random(shape, 2).to(type), 2).clone();
        const Tensor decided = step(x.to(at::kDouble), dy.to(at::kDouble), false, true)[0].abs() > 1e-4;
        dy.mul_(decided);
        for (const bool relu : {false, true}) {
          const auto own = step(x, dy, relu, true), theirs = step(x, dy, relu, false);
          for (size_t i = 0; i < own.size(); ++i) {
            EXPECT_TRUE(own[i].sizes() == theirs[i].sizes() && own[i].scalar_type() == type);
            const double scale = std::max(theirs[i].abs().max().item<double>(), 1.0);
            EXPECT_LE((own[i] - theirs[i]).abs().max().item<double>() / scale,
                      type == at::kDouble ? 1e-12 : 1e-4)
                << x.sizes() << (relu ? " relu" : "") << ", layouts " << layouts << ", tensor " << i;
          }
        }
      }
    }
  }
}

TEST(BatchNormOnTheCPU, IsTheSameForAnyNumberOfThreads) {
  const Tensor x = random({300, 33, 5, 3}, 1).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast),
               dy = random({300, 33, 5, 3}, 2).to(at::kFloat);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = step(x, dy, true, true);
  at::set_num_threads(2);
  const auto two = step(x, dy, true, true);
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(torch::equal(one[i], two[i])) << i;
}

TEST(BatchNormOnTheCPU, WithReluOverRanksEqualsOneRankInBothLayouts) {
  const Tensor x = random({64, 3, 5, 4}, 5) * 2 - 1, c = random({64, 3, 5, 4}, 6);
  for (const auto& sizes : kShards) {
    for (const bool channels_last : {false, true}) {
      std::vector<Tensor> y(sizes.size()), dx(sizes.size());
      in_process_ranks(static_cast<int>(sizes.size()), [&](World& world) {
        const auto r = static_cast<size_t>(world.rank());
        const int64_t before = std::accumulate(sizes.begin(), sizes.begin() + world.rank(), int64_t{0});
        foil::BatchNorm norm(3);
        norm.to(torch::kDouble);
        norm.set_ranks(world.shared_from_this());
        Tensor part = x.narrow(0, before, sizes[r]).clone();
        if (channels_last) part = part.contiguous(at::MemoryFormat::ChannelsLast);
        part.requires_grad_();
        const Tensor out = norm.forward_relu(part);
        (out.square() * c.narrow(0, before, sizes[r])).sum().backward();
        y[r] = out.detach();
        dx[r] = part.grad();
      });
      const Tensor whole = x.clone().requires_grad_();
      const Tensor expected = torch::batch_norm(whole, {}, {}, {}, {}, true, 0.1, 1e-5, false).relu();
      (expected.square() * c).sum().backward();
      EXPECT_LE((torch::cat(y) - expected).abs().max().item<double>(), 1e-12);
      EXPECT_LE((torch::cat(dx) - whole.grad()).abs().max().item<double>(), 1e-12);
    }
  }
}

// A rank without rows cannot tell the layout of the others.
TEST(BatchNormOnTheCPU, TakesFloatsInEitherLayoutBesideARankWithoutRows) {
  const Tensor x = (random({64, 3, 5, 4}, 5) * 2 - 1).to(at::kFloat).to(at::kDouble),
               c = random({64, 3, 5, 4}, 6);
  const Shown exact = run(x, c, {64}, true);
  for (const bool channels_last : {false, true}) {
    const Tensor given = channels_last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
    for (const auto& sizes : kShards) expect_equal(run(given, c, sizes, true, at::kFloat), exact, 1e-3);
  }
}

TEST(BatchNormOnTheCPU, HandsOnWhatIsNotANumber) {
  Tensor x = torch::ones({4, 2, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  x[1][0][2][2] = std::nan("");
  const Tensor y = foil::BatchNorm(2).forward_relu(x);
  EXPECT_TRUE(y.select(1, 0).isnan().all().item<bool>());
  EXPECT_FALSE(y.select(1, 1).isnan().any().item<bool>());
}

TEST(BatchNormOnTheCPU, RefusesASecondDerivative) {
  const Tensor x = random({5, 2}, 1).requires_grad_();
  foil::BatchNorm norm(2);
  norm.to(torch::kDouble);
  EXPECT_EQ(error_of([&] {
              torch::autograd::grad({norm.forward(x).square().sum()}, {x}, {}, /*retain_graph=*/true,
                                    /*create_graph=*/true);
            }),
            "1 BatchNorm: a second derivative is asked for, allowed: the first.");
}
