// SPDX-License-Identifier: BSD-3-Clause
// Evaluation of the nodes of a graph: it is encoded once a split, and the rows are those of the split's
// nodes.
#include "data/synthetic_graph.h"
#include "evaluate/encode.h"
#include "ranks/in_process.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace foil {
namespace {

const SyntheticGraph& graph() {
  static const SyntheticGraph made(
      {.nodes = 60, .classes = 3, .features = 4, .labelled = 4, .test_nodes = 25});
  return made;
}

// The features of the nodes as they are; counts how often they are encoded.
Subject features(int& encoded) {
  Subject subject;
  subject.prepare = [](const Views& raw) { return raw.at(0); };
  subject.encode = [&encoded](const View& view) {
    ++encoded;
    return raw_pixels(view);
  };
  subject.preparation = "none";
  return subject;
}

Tensor x() { return graph().read(Split::train, torch::zeros({1}, torch::kLong))[0].data; }

TEST(Nodes, AreEncodedOnceASplitAndAreThoseOfTheSplit) {
  int encoded = 0;
  EvaluateOptions options;
  options.batch_size = 4;
  options.knn.neighbours = 5;
  options.linear = options.geometry = false;
  const nlohmann::json result = evaluate(features(encoded), graph(), options, *World::single());
  EXPECT_EQ(encoded, 2);
  const Tensor test = graph().nodes(Split::test);
  const double want =
      knn_accuracy(x().slice(0, 0, 12), torch::arange(12).remainder(3), x().index_select(0, test),
                   test.remainder(3), 3, options.knn, *World::single());
  EXPECT_DOUBLE_EQ(result["features.knn"]["value"].get<double>(), 100 * want);
  EXPECT_EQ(result["features.knn"]["protocol"],
            "knn-cosine-k5-T0.07-weighted/features/train12/test25/none/v1")
      << "nodes without a label are no neighbours";
}

TEST(Nodes, AreTheSameRowsOnAnyNumberOfRanks) {
  for (const int size : {2, 3}) {
    in_process_ranks(size, [](World& world) {
      int encoded = 0;
      const Encodings test = encode_split({features(encoded)}, graph(), Split::test, 4, world, {}).at(0);
      EXPECT_EQ(encoded, 1);
      EXPECT_TRUE(test.rows[0].equal(x().index_select(0, graph().nodes(Split::test))));
      EXPECT_TRUE(test.label.equal(graph().labels(Split::test)));
    });
  }
}

TEST(Nodes, OfPairsAreEncodedAtOnce) {
  int encoded = 0;
  Subject subject;
  subject.encode_pair = [&](Split split, const Tensor& index) {
    ++encoded;
    const Tensor rows = rows_of(x(), graph(), split, index);
    return std::pair{Encoded{rows, {}}, Encoded{2 * rows, {}}};
  };
  const std::vector<Tensor> pairs = encode_pairs(subject, graph(), Split::test, 9, 4, *World::single(), {});
  EXPECT_EQ(encoded, 1);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_TRUE(pairs[1].equal(2 * x().index_select(0, graph().nodes(Split::test).slice(0, 0, 9))));
}

TEST(Nodes, WithFeaturesInCsrLayoutAreMeasuredAsTheyAreDense) {
  View sparse;
  sparse.data = torch::eye(3, 4).to_sparse_csr();
  EXPECT_TRUE(raw_pixels(sparse).h.equal(torch::eye(3, 4)));
}

}  // namespace
}  // namespace foil
