// SPDX-License-Identifier: BSD-3-Clause
// The loader: the same batches however they are read, on any rank, from any step.
#include "data/loader.h"

#include "data/synthetic.h"
#include "data/synthetic_graph.h"
#include "data/uniform.h"
#include "files.h"

#include <torch/types.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace foil {
namespace {

Synthetic::Options small() {
  Synthetic::Options options;
  options.samples = 53;
  options.test_samples = 10;
  options.size = 4;
  return options;
}

// The same samples as if they came from files: read on other threads, the later ones sooner; sample 40 may be
// broken.
class Slow : public Synthetic {
 public:
  explicit Slow(bool broken = false) : Synthetic(small()), broken_(broken) {}
  bool in_memory() const override { return false; }
  Views read(Split split, const Tensor& index) const override {
    if (std::this_thread::get_id() != home_) elsewhere = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(3 - calls++ % 4));
    if (broken_ && index.eq(40).any().item<bool>()) fail(Exit::data, "sample 40 is broken");
    return Synthetic::read(split, index);
  }
  mutable std::atomic<int> calls = 0;
  mutable std::atomic<bool> elsewhere = false;

 private:
  bool broken_;
  std::thread::id home_ = std::this_thread::get_id();
};

std::shared_ptr<Sampler> sampler() {
  auto uniform = std::make_shared<Uniform>(Uniform::Options{});
  uniform->setup(5, 10, 53, Tensor());
  return uniform;
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_TRUE(a.index.equal(b.index)) << a.step;
  EXPECT_TRUE(a.label.equal(b.label)) << a.step;
  EXPECT_TRUE(a.raw.at(0).data.equal(b.raw.at(0).data)) << a.step;
}

TEST(RankBlock, IsContiguousAndCoversEverything) {
  EXPECT_EQ(rank_block(64, 3, 0), std::pair(int64_t{0}, int64_t{22}));
  EXPECT_EQ(rank_block(64, 3, 1), std::pair(int64_t{22}, int64_t{43}));
  EXPECT_EQ(rank_block(64, 3, 2), std::pair(int64_t{43}, int64_t{64}));
  for (int64_t n : {0, 1, 2, 7, 10001}) {
    int64_t at = 0;
    for (int64_t r = 0; r < 4; ++r) {
      const auto [begin, end] = rank_block(n, 4, r);
      EXPECT_EQ(begin, at);
      EXPECT_LE(end - begin, n / 4 + 1);
      at = end;
    }
    EXPECT_EQ(at, n);
  }
}

TEST(Loader, GivesWhatTheSamplerNames) {
  const auto data = std::make_shared<Synthetic>(small());
  const auto order = sampler();
  Loader loader(data, sampler(), 0, 1, 0, 12);
  for (int64_t step = 0; step < 12; ++step) {
    const Batch batch = loader.next();
    EXPECT_EQ(batch.step, step);
    EXPECT_TRUE(batch.index.equal(order->batch(step)));
    EXPECT_TRUE(batch.label.equal(batch.index.remainder(10)));
    EXPECT_TRUE(batch.raw.at(0).data.equal(data->read(Split::train, batch.index)[0].data));
  }
  EXPECT_EQ(test::error_of([&] { loader.next(); }), "1 Loader: no batch after step 11.");
}

TEST(Loader, ReadsAheadOnOtherThreadsAndGivesTheSame) {
  const auto slow = std::make_shared<Slow>();
  for (int64_t ahead : {1, 3, 50}) {
    Loader direct(std::make_shared<Synthetic>(small()), sampler(), 1, 3, 0, 11),
        threaded(slow, sampler(), 1, 3, 0, 11, at::kCPU, ahead);
    for (int64_t step = 0; step < 11; ++step) expect_equal(threaded.next(), direct.next());
  }
  EXPECT_TRUE(slow->elsewhere);
}

TEST(Loader, ReadsNoFurtherAheadThanItWasTold) {
  const auto slow = std::make_shared<Slow>();
  {
    Loader loader(slow, sampler(), 0, 1, 0, 100, at::kCPU, 3);
    loader.next();
    loader.next();
  }
  EXPECT_EQ(slow->calls, 5);
}

TEST(Loader, TheBlocksOfTheRanksMakeTheGlobalBatch) {
  const auto data = std::make_shared<Synthetic>(small());
  Loader whole(data, sampler(), 0, 1, 3, 4);
  std::vector<Tensor> index, pixels;
  for (int64_t rank = 0; rank < 3; ++rank) {
    const Batch batch = Loader(data, sampler(), rank, 3, 3, 4).next();
    EXPECT_EQ(batch.index.size(0), rank == 0 ? 4 : 3);
    index.push_back(batch.index);
    pixels.push_back(batch.raw.at(0).data);
  }
  const Batch all = whole.next();
  EXPECT_TRUE(torch::cat(index).equal(all.index));
  EXPECT_TRUE(torch::cat(pixels).equal(all.raw.at(0).data));
}

TEST(Loader, ARankMayHaveNoSampleAtAll) {
  const Batch batch = Loader(std::make_shared<Synthetic>(small()), sampler(), 11, 12, 0, 1).next();
  EXPECT_EQ(batch.index.size(0), 0);
  EXPECT_EQ(batch.label.size(0), 0);
  EXPECT_EQ(batch.raw.at(0).data.sizes(), (std::vector<int64_t>{0, 3, 4, 4}));
}

// A graph of 53 nodes that counts how often it is read, as if from a file.
class CountedGraph : public SyntheticGraph {
 public:
  CountedGraph() : SyntheticGraph({.nodes = 53, .labelled = 2, .test_nodes = 10}) {}
  bool in_memory() const override { return false; }
  Views read(Split split, const Tensor& index) const override {
    ++reads;
    return SyntheticGraph::read(split, index);
  }
  mutable int reads = 0;
};

TEST(Loader, ReadsAGraphOnceAndGivesItWholeWithTheRowsOfAllRanks) {
  const auto graph = std::make_shared<CountedGraph>();
  const auto order = sampler();
  Loader loader(graph, sampler(), 1, 3, 0, 4);
  for (int64_t step = 0; step < 4; ++step) {
    const Batch batch = loader.next();
    EXPECT_TRUE(batch.of_graph());
    EXPECT_EQ(batch.raw.at(0).size(), 53);
    EXPECT_TRUE(batch.global.equal(order->batch(step)));
    EXPECT_EQ(batch.begin, 4);
    EXPECT_TRUE(batch.index.equal(batch.global.slice(0, 4, 7)));
    EXPECT_TRUE(batch.label.equal(graph->labels(Split::train).index_select(0, batch.index)));
  }
  EXPECT_EQ(graph->reads, 1);
  EXPECT_FALSE(Loader(std::make_shared<Synthetic>(small()), sampler(), 0, 1, 0, 1).next().of_graph());
}

TEST(Loader, ResumesInMidEpochWithTheSameBatches) {
  const auto slow = std::make_shared<Slow>();
  Loader uninterrupted(slow, sampler(), 0, 2, 0, 12), resumed(slow, sampler(), 0, 2, 7, 12);
  for (int64_t step = 0; step < 7; ++step) uninterrupted.next();
  for (int64_t step = 7; step < 12; ++step) expect_equal(uninterrupted.next(), resumed.next());
}

TEST(Loader, WhatAThreadThrowsReachesTheStepThatNeededIt) {
  const auto order = sampler();
  int64_t bad = 0;
  while (!order->batch(bad).eq(40).any().item<bool>()) ++bad;
  Loader loader(std::make_shared<Slow>(true), sampler(), 0, 1, 0, 5, at::kCPU, 4);
  for (int64_t step = 0; step < bad; ++step) EXPECT_EQ(loader.next().step, step);
  EXPECT_EQ(test::error_of([&] { loader.next(); }), "5 sample 40 is broken");
}

TEST(Loader, IsDestroyedWhileThreadsReadAndFail) {
  for (int64_t ahead : {1, 4, 8}) {
    Loader loader(std::make_shared<Slow>(true), sampler(), 0, 1, 0, 100, at::kCPU, ahead);
    loader.next();
  }
}

TEST(ForEachBlock, VisitsEveryRowOnceInOrder) {
  const auto slow = std::make_shared<Slow>();
  const Synthetic direct(small());
  for (const Dataset* data :
       {static_cast<const Dataset*>(slow.get()), static_cast<const Dataset*>(&direct)}) {
    std::vector<Tensor> rows, pixels;
    for_each_block(*data, Split::train, 5, 53, 7, [&](const Tensor& index, const Views& raw) {
      rows.push_back(index);
      pixels.push_back(raw.at(0).data);
    });
    EXPECT_EQ(rows.size(), 7u);
    EXPECT_TRUE(torch::cat(rows).equal(torch::arange(5, 53)));
    EXPECT_TRUE(torch::cat(pixels).equal(direct.read(Split::train, torch::arange(5, 53))[0].data));
  }
  int calls = 0;
  for_each_block(direct, Split::test, 4, 4, 7, [&](const Tensor&, const Views&) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ForEachBlock, PassesOnWhatReadingThrows) {
  const Slow slow(true);
  int calls = 0;
  EXPECT_EQ(test::error_of([&] {
              for_each_block(slow, Split::train, 0, 53, 8, [&](const Tensor&, const Views&) { ++calls; });
            }),
            "5 sample 40 is broken");
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace foil
