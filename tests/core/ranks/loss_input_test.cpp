// SPDX-License-Identifier: BSD-3-Clause
// The contract of LossInput: the average over ranks of what a loss returns is the value of one rank on the
// whole batch, and the averaged gradient is its gradient, for uneven and empty shards and whatever is valid
// where.
#include "ranks/in_process.h"
#include "ranks/reducer.h"

#include <foil/loss.h>

#include <gtest/gtest.h>
#include <torch/types.h>

#include <mutex>
#include <numeric>

namespace {

using at::Tensor;
using foil::in_process_ranks;
using foil::LossInput;
using foil::World;

Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kDouble);
}

constexpr int64_t kBatch = 11, kWidth = 3;

struct Result {
  Tensor value, gradient;  // averaged over ranks
};
using Formula = std::function<Tensor(const LossInput&)>;

// z = x W for a shared parameter W, so that the gradient passes the same way as in training: loss, gather,
// encoder, reducer.
Result run(const std::vector<int64_t>& sizes, const Formula& formula) {
  const Tensor x = random({kBatch, 4}, 1), start = random({4, kWidth}, 2);
  Result result{torch::zeros({}, torch::kDouble), Tensor()};
  std::mutex mutex;
  in_process_ranks(static_cast<int>(sizes.size()), [&](World& world) {
    const int64_t r = world.rank(), before = std::accumulate(sizes.begin(), sizes.begin() + r, int64_t{0});
    const int64_t own = sizes[static_cast<size_t>(r)];
    Tensor parameter = start.clone().requires_grad_();
    foil::GradientReducer reducer({{"parameter", parameter}}, world.shared_from_this());
    LossInput input;
    input.ranks = world.shared_from_this();
    input.index = torch::arange(before, before + own);
    input.label = torch::remainder(input.index, 3);
    input.z = {torch::matmul(x.narrow(0, before, own), parameter),
               torch::matmul(x.narrow(0, before, own).sin(), parameter)};
    const Tensor value = input.join(formula(input));
    reducer.prepare(value);
    value.backward();
    std::lock_guard lock(mutex);
    result.value += value.detach() / static_cast<double>(sizes.size());
    result.gradient = parameter.grad();
  });
  return result;
}

void expect_like_one_rank(const Formula& formula) {
  const Result one = run({kBatch}, formula);
  ASSERT_GT(one.gradient.abs().max().item<double>(), 1e-3) << "a gradient of zero proves nothing";
  for (const std::vector<int64_t>& sizes :
       std::vector<std::vector<int64_t>>{{6, 5}, {0, 11}, {4, 4, 3}, {0, 9, 2}, {11, 0, 0}}) {
    const Result many = run(sizes, formula);
    EXPECT_TRUE(torch::allclose(many.value, one.value, 1e-12, 1e-12)) << sizes << many.value << one.value;
    EXPECT_TRUE(torch::allclose(many.gradient, one.gradient, 1e-12, 1e-12))
        << sizes << many.gradient << one.gradient;
  }
}

}  // namespace

TEST(LossInput, MeanIsThatOfTheGlobalBatch) {
  expect_like_one_rank(
      [](const LossInput& input) { return input.mean((input.z[0] - input.z[1]).square().sum(1)); });
}

TEST(LossInput, EveryoneGivesLocalAnchorsGlobalCandidates) {
  expect_like_one_rank([](const LossInput& input) {
    const Tensor similarity = torch::matmul(input.z[0], input.everyone(1).t());  // [B, N]
    const Tensor own = torch::arange(input.offset(), input.offset() + input.z[0].size(0));
    const Tensor positive = similarity.gather(1, own.unsqueeze(1)).squeeze(1);
    return input.mean(torch::logsumexp(similarity, 1) - positive);
  });
}

TEST(LossInput, EveryoneIsGatheredOnceAndSharedByTwoTerms) {
  expect_like_one_rank([](const LossInput& input) {
    EXPECT_TRUE(input.everyone(0).is_same(input.everyone(0)));
    return input.mean(torch::matmul(input.z[0], input.everyone(0).t()).exp().sum(1).log()) +
           input.mean(input.everyone(0).square());
  });
}

TEST(LossInput, MeanCountsWhatIsValidAnywhere) {
  expect_like_one_rank(
      [](const LossInput& input) { return input.mean(input.z[0].square().sum(1), input.label == 1); });
}

// All valid entries belong to the first row: every other rank has none, and still enters each collective of
// backward.
TEST(LossInput, ARankWithNothingValidDoesNotHangTheOthers) {
  expect_like_one_rank([](const LossInput& input) {
    const Tensor similarity = torch::matmul(input.z[0], input.everyone(1).t());
    return input.mean(similarity.exp().sum(1), input.index == 0);
  });
}

TEST(LossInput, ARankWhoseValueIsAConstantDoesNotHangTheOthers) {
  expect_like_one_rank([](const LossInput& input) -> Tensor {
    const Tensor all = input.everyone(1);
    const Tensor count = input.ranks->sum((input.index == 0).sum().to(torch::kDouble));
    if ((input.index == 0).any().item<bool>()) {
      return torch::matmul(input.z[0].slice(0, 0, 1), all.t()).exp().sum() *
             static_cast<double>(input.ranks->world_size()) / count;
    }
    return torch::zeros({}, torch::kDouble);
  });
}

TEST(LossInput, ARankWhoseValueIsAConstantNeedsNoGather) {
  expect_like_one_rank([](const LossInput& input) -> Tensor {
    if (!(input.index == 0).any().item<bool>()) return torch::zeros({}, torch::kDouble);
    return input.z[0].slice(0, 0, 1).square().sum() * static_cast<double>(input.ranks->world_size());
  });
}

TEST(LossInput, ANanThatIsNotValidIsNotSeen) {
  expect_like_one_rank([](const LossInput& input) {
    const Tensor x = input.z[0].square().sum(1);
    return input.mean(x.masked_fill(input.label == 2, std::nan("")), input.label != 2);
  });
}

TEST(LossInput, NothingValidAnywhereIsZero) {
  in_process_ranks(2, [](World& world) {
    LossInput input;
    input.ranks = world.shared_from_this();
    const Tensor x = torch::ones({2}, torch::kDouble);
    EXPECT_EQ(input.mean(x, torch::zeros({2}, torch::kBool)).item<double>(), 0.0);
  });
}

TEST(LossInput, SumRanksTakesBatchStatisticsOverAllRanks) {
  expect_like_one_rank([](const LossInput& input) {
    const Tensor correlation = input.sum_ranks(torch::matmul(input.z[0].t(), input.z[1]));  // [D, D]
    return (correlation - torch::eye(kWidth, torch::kDouble)).square().sum();
  });
}

TEST(LossInput, TheGlobalValueOnEveryRankIsExactToo) {
  expect_like_one_rank([](const LossInput& input) {
    return torch::matmul(input.everyone(0), input.everyone(1).t()).logsumexp(1).mean();
  });
}

TEST(LossInput, KnowsItsPlaceInTheGlobalBatch) {
  const std::vector<int64_t> sizes = {4, 0, 7};
  in_process_ranks(3, [&](World& world) {
    LossInput input;
    input.ranks = world.shared_from_this();
    input.index = torch::zeros({sizes[static_cast<size_t>(world.rank())]}, torch::kLong);
    EXPECT_EQ(input.offset(), (std::vector<int64_t>{0, 4, 4}[static_cast<size_t>(world.rank())]));
    EXPECT_EQ(input.global_batch(), 11);
  });
}

TEST(LossInput, OtherSamplesAreAllColumnsButTheOwnOfEveryView) {
  const std::vector<int64_t> sizes{4, 0, 7};
  in_process_ranks(3, [&](World& world) {
    LossInput input;
    input.ranks = world.shared_from_this();
    const int64_t rows = sizes[static_cast<size_t>(world.rank())], first = world.rank() == 0 ? 0 : 4;
    input.z = {torch::zeros({rows, 2})};
    const Tensor other = input.other_samples(3);
    ASSERT_EQ(other.sizes(), (std::vector<int64_t>{rows, 33}));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < 33; ++j)
        EXPECT_EQ(other[i][j].item<bool>(), j % 11 != first + i) << i << ", " << j;
    }
  });
}
