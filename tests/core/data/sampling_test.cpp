// SPDX-License-Identifier: BSD-3-Clause
// Which samples are trained on, and in which order.
#include "data/all.h"
#include "data/idx.h"
#include "data/selection.h"
#include "data/synthetic.h"
#include "data/synthetic_graph.h"
#include "data/uniform.h"
#include "files.h"

#include <torch/types.h>

#include <set>

namespace foil {
namespace {

Uniform uniform(uint64_t seed, int64_t batch_size, int64_t dataset_size) {
  Uniform sampler{Uniform::Options{}};
  sampler.setup(seed, batch_size, dataset_size, Tensor());
  return sampler;
}

TEST(Uniform, ShowsEverySampleOnceAnEpoch) {
  Uniform sampler = uniform(3, 7, 35);
  ASSERT_EQ(sampler.steps_per_epoch(), 5);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<Tensor> batches;
    for (int64_t step = 5 * epoch; step < 5 * epoch + 5; ++step) batches.push_back(sampler.batch(step));
    EXPECT_TRUE(std::get<0>(torch::cat(batches).sort()).equal(torch::arange(35)));
  }
}

TEST(Uniform, DropsTheIncompleteBatchWithoutRepeats) {
  Uniform sampler = uniform(3, 8, 35);
  ASSERT_EQ(sampler.steps_per_epoch(), 4);
  std::set<int64_t> seen;
  for (int64_t step = 4; step < 8; ++step) {
    const Tensor batch = sampler.batch(step);
    ASSERT_EQ(batch.size(0), 8);
    for (int64_t b = 0; b < 8; ++b) seen.insert(batch[b].item<int64_t>());
  }
  EXPECT_EQ(seen.size(), 32u);
}

TEST(Uniform, IsAPureFunctionOfSeedAndStep) {
  Uniform forwards = uniform(11, 6, 50), backwards = uniform(11, 6, 50), other = uniform(12, 6, 50);
  std::vector<Tensor> first;
  for (int64_t step = 0; step < 24; ++step) first.push_back(forwards.batch(step));
  for (int64_t step = 23; step >= 0; --step)
    EXPECT_TRUE(backwards.batch(step).equal(first[static_cast<size_t>(step)])) << step;
  EXPECT_FALSE(other.batch(0).equal(first[0]));
  EXPECT_FALSE(first[8].equal(first[0]));  // the next epoch is another permutation
}

TEST(Uniform, LeavesItsOrderAloneWhenABatchIsWrittenTo) {
  Uniform sampler = uniform(11, 6, 50);
  const Tensor before = sampler.batch(2).clone();
  sampler.batch(2).zero_();
  EXPECT_TRUE(sampler.batch(2).equal(before));
}

TEST(Uniform, RefusesABatchLargerThanTheData) {
  EXPECT_EQ(test::error_of([] { uniform(1, 257, 256); }),
            "2 data.batch_size = 257, allowed: 1 to 256, the size of the training set.");
}

TEST(All, IsEverySampleInItsOrderAtEveryStep) {
  All sampler{All::Options{}};
  sampler.setup(3, 5, 5, Tensor());
  EXPECT_EQ(sampler.steps_per_epoch(), 1);
  for (const int64_t step : {0, 7}) {
    EXPECT_TRUE(sampler.batch(step).equal(torch::arange(5)));
    sampler.batch(step).zero_();
  }
  EXPECT_EQ(
      test::error_of([&] { sampler.setup(3, 4, 5, Tensor()); }),
      "2 data.batch_size = 4, allowed: 0 with the sampler 'all': a step is all samples in their order.");
}

TEST(Permutation, PutsEveryValueEverywhereEquallyOften) {
  constexpr int64_t kSize = 5, kTrials = 20000;
  Tensor counts = torch::zeros({kSize, kSize}, torch::kDouble);
  for (int64_t key = 0; key < kTrials; ++key) {
    const Tensor order = permutation(static_cast<uint64_t>(key), kSize);
    for (int64_t i = 0; i < kSize; ++i)
      counts.mutable_data_ptr<double>()[i * kSize + order.const_data_ptr<int64_t>()[i]] += 1;
  }
  const double expected = static_cast<double>(kTrials) / kSize;
  const double chi_square = ((counts - expected).square() / expected).sum().item<double>();
  EXPECT_LT(chi_square, 39.25);  // 0.999 quantile at (5 - 1)^2 = 16 degrees of freedom
}

SelectionOptions selection(int64_t subset, double imbalance) {
  SelectionOptions options;
  options.subset = subset;
  options.imbalance = imbalance;
  return options;
}

// sha256 of one decimal number a line, by the program of that name.
std::string sha256_of_lines(const Tensor& rows) {
  const test::Folder folder;
  std::string text;
  for (int64_t i = 0; i < rows.size(0); ++i) text += std::to_string(rows.const_data_ptr<int64_t>()[i]) + "\n";
  const std::string path = folder.write("rows", test::Bytes(text.begin(), text.end()));
  std::FILE* pipe = popen(("sha256sum " + path).c_str(), "r");
  std::string hash(64, ' ');
  const size_t got = std::fread(hash.data(), 1, hash.size(), pipe);
  pclose(pipe);
  return hash.substr(0, got);
}

TEST(Selection, LongTailIsThePublishedListOfFashionMnist) {
  const FashionMnist data(FashionMnist::Options{});
  const Tensor labels = data.labels(Split::train),
               rows = select_training(labels, 60000, selection(0, 100), 1);
  EXPECT_TRUE(labels.index_select(0, rows).bincount().equal(
      torch::tensor({6000, 3596, 2156, 1292, 774, 464, 278, 166, 100, 60}, torch::kLong)));
  EXPECT_EQ(rows[-1].item<int64_t>(), 59998);
  EXPECT_EQ(sha256_of_lines(rows), "6389ea9a4d80bf64ff35c0e5ec19a91c8eb4053ace70c622b469285b3de48c8f");
}

TEST(Selection, LongTailCountsAreThoseOfCifar10) {
  const Tensor labels = torch::arange(50000).remainder(10);
  const Tensor kept = labels.index_select(0, select_training(labels, 50000, selection(0, 100), 1)).bincount();
  EXPECT_TRUE(kept.equal(torch::tensor({5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50}, torch::kLong)));
}

TEST(Selection, LongTailDoesNotLoseARowToRounding) {
  const Tensor labels = torch::arange(24000).remainder(4);  // 6000 / 1000^(c/3) = 6000, 600, 60, 6 exactly
  const Tensor kept =
      labels.index_select(0, select_training(labels, 24000, selection(0, 1000), 1)).bincount();
  EXPECT_TRUE(kept.equal(torch::tensor({6000, 600, 60, 6}, torch::kLong)));
}

TEST(Selection, AClassSmallerThanItsShareStaysWhole) {
  const Tensor labels =
      torch::tensor({1, 0, 0, 0, 0, 0, 0, 0, 0, 2}, torch::kLong);  // 8 of class 0: shares 8, 4, 2
  EXPECT_TRUE(select_training(labels, 10, selection(0, 4), 1).equal(torch::arange(10)));
}

TEST(Selection, SubsetIsSeededAscendingAndSpread) {
  const Tensor labels = torch::arange(5000).remainder(10);
  const Tensor rows = select_training(labels, 5000, selection(1000, 0), 4);
  ASSERT_EQ(rows.size(0), 1000);
  EXPECT_TRUE((rows.slice(0, 1) > rows.slice(0, 0, -1)).all().item<bool>());
  EXPECT_TRUE(rows.equal(select_training(labels, 5000, selection(1000, 0), 4)));
  EXPECT_FALSE(rows.equal(select_training(labels, 5000, selection(1000, 0), 5)));
  EXPECT_NEAR(rows.to(torch::kDouble).mean().item<double>(), 2499.5, 150);  // 3.6 standard errors
}

TEST(Selection, SubsetIsTakenFromTheLongTail) {
  const Tensor labels = torch::arange(1000).remainder(2);
  const Tensor tail = select_training(labels, 1000, selection(0, 10), 4),
               rows = select_training(labels, 1000, selection(300, 10), 4);
  EXPECT_EQ(tail.size(0), 550);
  EXPECT_EQ(rows.size(0), 300);
  EXPECT_TRUE(torch::isin(rows, tail).all().item<bool>());
}

TEST(Selection, RefusesWhatTheDataCannotGive) {
  const Tensor labels = torch::arange(20).remainder(2);
  EXPECT_EQ(test::error_of([&] { select_training(labels, 20, selection(21, 0), 1); }),
            "2 data.subset = 21, allowed: 0 (all) to 20, the size of the training set.");
  EXPECT_EQ(test::error_of([&] { select_training(labels, 20, selection(0, 0.5), 1); }),
            "2 data.imbalance = 0.5, allowed: 0 (as it is) or a number >= 1.");
  EXPECT_EQ(test::error_of([&] { select_training(Tensor(), 20, selection(0, 10), 1); }),
            "2 data.imbalance = 10, allowed: 0, as not every training sample has a label.");
  EXPECT_EQ(test::error_of([&] { select_training(labels - 1, 20, selection(0, 10), 1); }),
            "2 data.imbalance = 10, allowed: 0, as not every training sample has a label.");
}

TEST(SelectedDataset, RenumbersTrainingAndLeavesTestAlone) {
  Synthetic::Options options;
  options.samples = 20;
  options.test_samples = 6;
  options.size = 3;
  const auto all = std::make_shared<Synthetic>(options);
  const SelectedDataset some(all, torch::tensor({2, 3, 11, 19}, torch::kLong));
  EXPECT_EQ(some.size(Split::train), 4);
  EXPECT_EQ(some.size(Split::test), 6);
  EXPECT_TRUE(some.labels(Split::train).equal(torch::tensor({2, 3, 1, 9}, torch::kLong)));
  EXPECT_TRUE(some.labels(Split::test).equal(all->labels(Split::test)));
  EXPECT_TRUE(some.read(Split::train, torch::tensor({3, 1}, torch::kLong))[0].data.equal(
      all->read(Split::train, torch::tensor({19, 3}, torch::kLong))[0].data));
  EXPECT_TRUE(some.read(Split::test, torch::tensor({5}, torch::kLong))[0].data.equal(
      all->read(Split::test, torch::tensor({5}, torch::kLong))[0].data));
  EXPECT_EQ(test::error_of([&] { some.read(Split::train, torch::tensor({4}, torch::kLong)); }),
            "1 index 4 at position 0, allowed: 0 to 3.");
}

TEST(SelectedDataset, SaysWhichNodesItsSamplesAre) {
  SyntheticGraph::Options options;
  options.nodes = 30;
  options.labelled = 2;
  options.test_nodes = 8;
  const auto graph = std::make_shared<SyntheticGraph>(options);
  const SelectedDataset some(graph, Tensor(), torch::tensor({1, 5}, torch::kLong));
  EXPECT_TRUE(some.nodes(Split::train).equal(torch::arange(30)));
  EXPECT_TRUE(
      some.nodes(Split::test).equal(graph->nodes(Split::test).index_select(0, torch::tensor({1, 5}))));
  EXPECT_TRUE(some.node_labels().equal(graph->node_labels()));
  EXPECT_EQ(some.read(Split::test, torch::tensor({1}, torch::kLong))[0].size(), 30) << "the whole graph";
}

TEST(SelectedDataset, DrawsRowsOfBothSplits) {
  Synthetic::Options options;
  options.samples = 200;
  options.test_samples = 30;
  options.size = 3;
  const auto all = std::make_shared<Synthetic>(options);
  const Tensor train = draw_rows(200, 50, 7), test = draw_rows(30, 9, 7);
  ASSERT_EQ(train.size(0), 50);
  EXPECT_TRUE((train.slice(0, 1) > train.slice(0, 0, -1)).all().item<bool>());
  EXPECT_TRUE(train.equal(draw_rows(200, 50, 7)));
  EXPECT_FALSE(train.equal(draw_rows(200, 50, 8)));
  EXPECT_TRUE(draw_rows(30, 31, 7).equal(torch::arange(30)));
  const SelectedDataset some(all, train, test);
  EXPECT_EQ(some.size(Split::test), 9);
  EXPECT_TRUE(some.labels(Split::test).equal(all->labels(Split::test).index_select(0, test)));
  EXPECT_TRUE(some.read(Split::test, torch::tensor({8, 0}, torch::kLong))[0].data.equal(
      all->read(Split::test, test.index_select(0, torch::tensor({8, 0}, torch::kLong)))[0].data));
}

}  // namespace
}  // namespace foil
