// SPDX-License-Identifier: BSD-3-Clause
// The measures on a GPU against the same measures on the CPU: kNN to the last vote, the rest to rounding.
#include "evaluate/geometry.h"
#include "evaluate/knn.h"
#include "evaluate/linear_probe.h"
#include "ranks/world.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

TEST(EvaluateOnCuda, EqualsTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  torch::manual_seed(1);
  const Tensor labels = torch::randint(5, {3001}), test_labels = torch::randint(5, {501}),
               centre = torch::randn({5, 33});
  const Tensor train = centre.index_select(0, labels) + 2 * torch::randn({3001, 33});
  const Tensor test =
      torch::cat({centre.index_select(0, test_labels) + 2 * torch::randn({501, 33}), train.narrow(0, 0, 50)});
  const Tensor all_labels = torch::cat({test_labels, labels.narrow(0, 0, 50)});
  const Tensor bank = torch::cat({train, train}),
               bank_labels = torch::cat({labels, labels.flip(0)});  // every similarity twice

  for (const Vote vote : {Vote::weighted, Vote::majority}) {
    const KnnOptions options{20, 0.07, vote};
    EXPECT_EQ(knn_accuracy(bank.cuda(), bank_labels.cuda(), test.cuda(), all_labels.cuda(), 5, options,
                           *World::single(), 1 << 16),
              knn_accuracy(bank, bank_labels, test, all_labels, 5, options, *World::single()));
  }
  const LinearProbe on_gpu = linear_probe(train.cuda(), labels.cuda(), test.cuda(), all_labels.cuda(), 5);
  const LinearProbe on_cpu = linear_probe(train, labels, test, all_labels, 5);
  EXPECT_EQ(on_gpu.l2, on_cpu.l2);
  EXPECT_LT((on_gpu.weight.cpu() - on_cpu.weight).abs().max().item<double>(), 1e-3);
  EXPECT_NEAR(alignment(train.cuda(), -train.cuda()), 4, 1e-9);
  EXPECT_NEAR(uniformity(train.cuda()), uniformity(train), 1e-9);
  EXPECT_NEAR(effective_rank(train.cuda()), effective_rank(train), 1e-9);
  EXPECT_NEAR(std_per_dimension(train.cuda()).min, std_per_dimension(train).min, 1e-9);
}

}  // namespace
}  // namespace foil
