// SPDX-License-Identifier: BSD-3-Clause
#include "model/queue.h"

#include "ranks/in_process.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

namespace {

using at::Tensor;
using foil::LossInput;
using foil::QueueNeed;
using foil::QueueStore;

constexpr int64_t kLength = 7, kWidth = 3;

// The global batch of a step: row i is (100 step + i) everywhere, and its index and label follow from it.
Tensor row_numbers(int64_t step, int64_t n) { return 100 * step + torch::arange(n); }

LossInput input_of(foil::World& world, int64_t step, const std::vector<int64_t>& shards, Tensor& label) {
  const int64_t r = world.rank(), begin = std::accumulate(shards.begin(), shards.begin() + r, int64_t{0});
  const int64_t n = std::accumulate(shards.begin(), shards.end(), int64_t{0});
  const Tensor mine = row_numbers(step, n).narrow(0, begin, shards[static_cast<size_t>(r)]);
  LossInput input;
  input.z = {mine.to(torch::kDouble).unsqueeze(1).expand({-1, kWidth}).contiguous().requires_grad_(),
             -mine.to(torch::kDouble).unsqueeze(1).expand({-1, kWidth}).contiguous()};
  input.target = {input.z[1] * 1000, input.z[1] * 2000};
  input.index = mine;
  label = mine.remainder(10);
  input.epoch = step;
  input.ranks = world.shared_from_this();
  return input;
}

std::vector<double> first_column(const Tensor& data) {
  const Tensor column = data.select(1, 0).contiguous();
  return {column.const_data_ptr<double>(), column.const_data_ptr<double>() + column.numel()};
}

std::vector<int64_t> entries(const Tensor& t) {
  return {t.const_data_ptr<int64_t>(), t.const_data_ptr<int64_t>() + t.numel()};
}

// A queue after these batches, all on one rank.
std::shared_ptr<QueueStore> after(const QueueNeed& need, const std::vector<int64_t>& batches) {
  const auto queue = std::make_shared<QueueStore>(need, kWidth, 1, torch::kDouble);
  for (size_t step = 0; step < batches.size(); ++step) {
    Tensor label;
    const LossInput input =
        input_of(*foil::World::single(), static_cast<int64_t>(step), {batches[step]}, label);
    queue->enqueue(input, label);
  }
  return queue;
}

// Labels and indices too.
QueueNeed online(int64_t view = 0, int64_t start_epoch = 0) {
  return {kLength, QueueNeed::Source::online, view, start_epoch, /*label=*/true, /*index=*/true};
}

TEST(Queue, StartsWithUnitVectorsThatTheKeyAloneDetermines) {
  const QueueStore a(online(), 5, 9), b(online(), 5, 9), other(online(), 5, 10);
  const foil::Queue queue = a.look();
  EXPECT_EQ(queue.data.sizes(), (std::vector<int64_t>{kLength, 5}));
  EXPECT_LT((queue.data.norm(2, {1}) - 1).abs().max().item<float>(), 1e-6);
  EXPECT_TRUE(torch::equal(queue.data, b.look().data));
  EXPECT_FALSE(torch::equal(queue.data, other.look().data));
  EXPECT_EQ(queue.filled, 0);
  EXPECT_TRUE((queue.index == -1).all().item<bool>());
  EXPECT_TRUE((queue.label == -1).all().item<bool>());
}

TEST(Queue, SplitsABatchAtItsEndAndReplacesTheOldest) {
  const foil::Queue queue = after(online(), {5, 4})->look();
  EXPECT_EQ(first_column(queue.data), (std::vector<double>{102, 103, 2, 3, 4, 100, 101}));
  EXPECT_EQ(entries(queue.index), (std::vector<int64_t>{102, 103, 2, 3, 4, 100, 101}));
  EXPECT_EQ(entries(queue.label), (std::vector<int64_t>{2, 3, 2, 3, 4, 0, 1}));
  EXPECT_EQ(queue.filled, kLength);
}

TEST(Queue, KnowsHowManyRowsHaveEntered) {
  const foil::Queue queue = after(online(), {5})->look();
  EXPECT_EQ(queue.filled, 5);
  EXPECT_EQ(entries(queue.index), (std::vector<int64_t>{0, 1, 2, 3, 4, -1, -1}));
}

TEST(Queue, KeepsTheEndOfABatchThatIsLongerThanItself) {
  const foil::Queue queue = after(online(), {3, 9})->look();
  // Rows 0 to 11 have entered; row n lies at n mod 7.
  EXPECT_EQ(entries(queue.index), (std::vector<int64_t>{104, 105, 106, 107, 108, 102, 103}));
}

TEST(Queue, TakesItsViewOfItsSource) {
  EXPECT_EQ(first_column(after(online(1), {2})->look().data)[1], -1);
  EXPECT_EQ(first_column(after({kLength, QueueNeed::Source::target, 0}, {2})->look().data)[1], -1000);
  EXPECT_EQ(first_column(after({kLength, QueueNeed::Source::target, 1}, {2})->look().data)[1], -2000);
}

TEST(Queue, TakesNothingBeforeItsStartEpoch) {
  EXPECT_EQ(after(online(0, 2), {3, 3})->look().filled, 0);
  EXPECT_EQ(entries(after(online(0, 2), {3, 3, 2})->look().index),
            (std::vector<int64_t>{200, 201, -1, -1, -1, -1, -1}));
}

TEST(Queue, HasLabelsAndIndicesOnlyWhereAskedForThem) {
  const foil::Queue bare = after({.length = kLength, .source = QueueNeed::Source::online}, {5, 4})->look();
  EXPECT_FALSE(bare.label.defined());
  EXPECT_FALSE(bare.index.defined());
  EXPECT_TRUE(torch::equal(bare.data, after(online(), {5, 4})->look().data));
}

TEST(Queue, HoldsNoGraph) { EXPECT_FALSE(after(online(), {3})->look().data.requires_grad()); }

TEST(Queue, HasTheSameBitsOnEveryRankAndForAnyNumberOfRanks) {
  const std::vector<std::vector<std::vector<int64_t>>> worlds = {{{3, 2}, {0, 4}, {5, 1}},
                                                                 {{2, 2, 1}, {0, 4, 0}, {1, 2, 3}}};
  const foil::Queue one = after(online(), {5, 4, 6})->look();
  for (const auto& shards : worlds) {
    foil::in_process_ranks(static_cast<int>(shards[0].size()), [&](foil::World& world) {
      QueueStore queue(online(), kWidth, 1, torch::kDouble);
      for (size_t step = 0; step < shards.size(); ++step) {
        Tensor label;
        const LossInput input = input_of(world, static_cast<int64_t>(step), shards[step], label);
        input.everyone(0);  // as a loss may have done
        queue.enqueue(input, label);
      }
      EXPECT_TRUE(torch::equal(queue.look().data, one.data))
          << "rank " << world.rank() << " of " << world.world_size();
      EXPECT_TRUE(torch::equal(queue.look().index, one.index));
      EXPECT_TRUE(torch::equal(queue.look().label, one.label));
      EXPECT_EQ(queue.look().filled, one.filled);
    });
  }
}

TEST(Queue, GoesOnFromItsBuffersAlone) {
  const auto whole = after(online(), {5, 4, 6});
  const auto part = after(online(), {5, 4});
  QueueStore resumed(online(), kWidth, 77, torch::kDouble);
  for (auto& item : resumed.named_buffers()) item.value().copy_(part->named_buffers()[item.key()]);
  Tensor label;
  const LossInput input = input_of(*foil::World::single(), 2, {6}, label);
  resumed.enqueue(input, label);
  EXPECT_TRUE(torch::equal(resumed.look().data, whole->look().data));
  EXPECT_TRUE(torch::equal(resumed.look().index, whole->look().index));
}

}  // namespace
