// SPDX-License-Identifier: BSD-3-Clause
// An experiment on a graph and one whose batch is all samples: what is built, and what is refused where.
#include "config/dump.h"
#include "tests/core/experiment/small_parts.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

using test::checked;
using test::refusal;

// [data] begins at line 3, batch_size is in line 10, [[loss]] name in line 16.
const std::string kGraph =
    "[run]\nsteps = 2\n[data]\nname = \"synthetic_graph\"\nnodes = 31\nclasses = 3\nfeatures = 4\n"
    "labelled = 4\ntest_nodes = 12\nbatch_size = 0\n[encoder]\nname = \"line\"\n[evaluate]\n"
    "neighbours = 5\n[[loss]]\nname = \"asks\"\n";
const std::string kVectors =
    "[run]\nsteps = 2\n[data]\nname = \"synthetic\"\nfeatures = 4\nsamples = 30\nbatch_size = 0\n"
    "[encoder]\nname = \"line\"\n[[loss]]\nname = \"asks\"\n";
const std::string kJitter = "[[augment]]\nname = \"jitter\"\n";

Experiment built(const std::string& toml, const std::vector<std::string>& sets = {}) {
  return build(checked(toml, sets), at::kCPU);
}
std::string not_built(const std::string& toml, const std::vector<std::string>& sets = {}) {
  return refusal([&] { built(toml, sets); });
}

TEST(AllSamples, AreABatchWhoseSizeIs0) {
  for (const auto& [toml, size] : {std::pair{kGraph, 31}, {kVectors, 30}}) {
    const Experiment x = built(toml);
    EXPECT_EQ(x.sizes.batch_size, size);
    EXPECT_EQ(x.steps_per_epoch, 1);
    EXPECT_TRUE(x.sampler->batch(5).equal(torch::arange(size)));
    const std::string printed = dump(x.plan.resolved, false);
    EXPECT_NE(printed.find("name = \"all\""), std::string::npos) << printed;
    EXPECT_EQ(dump(checked(printed).resolved, false), printed);
  }
}

TEST(AllSamples, FitNoOtherSampler) {
  EXPECT_EQ(not_built(kVectors + "[sampler]\nname = \"uniform\"\n"),
            "e.toml:13:8: sampler.name = \"uniform\", allowed: \"all\" or none where data.batch_size = 0: a "
            "step is all samples in their order.");
  EXPECT_EQ(not_built(kVectors + "[sampler]\nname = \"all\"\n", {"data.batch_size=8"}),
            "--set data.batch_size=8: data.batch_size = 8, allowed: 0 with the sampler 'all': a step is all "
            "samples in their order.");
  EXPECT_EQ(built(kVectors + "[sampler]\nname = \"all\"\n").steps_per_epoch, 1);
}

TEST(Graph, HasAllNodesInAViewAndKeysOfEachWhateverTheBatch) {
  const Experiment x = built(kGraph + kJitter, {"data.batch_size=7"});
  EXPECT_EQ(x.sizes.batch_size, 7);
  EXPECT_TRUE(x.model->tower_of("graph").sees_all());
  const Tensor one = torch::tensor({3}), other = torch::tensor({30, 4});
  const Views raw = x.dataset->read(Split::train, one);
  const View view = x.pipeline->training_view(raw, one, 5, 1);
  EXPECT_EQ(view.size(), 31);
  EXPECT_EQ(view.key.sizes(), (std::vector<int64_t>{31}));
  EXPECT_EQ(std::get<0>(at::_unique(view.key)).size(0), 31);
  EXPECT_TRUE(view.edges.ends.equal(raw[0].edges.ends));
  const View again = x.pipeline->training_view(raw, other, 5, 1);
  EXPECT_TRUE(view.data.equal(again.data) && view.key.equal(again.key));
  EXPECT_FALSE(view.data.equal(x.pipeline->training_view(raw, one, 6, 1).data));
  EXPECT_FALSE(x.pipeline->evaluation_view(raw).key.defined());
}

TEST(Graph, IsInputInThePrecisionOfTheRunAndStaysInCsrLayout) {
  const Experiment x = built(kGraph, {"run.precision=fp64"});
  Views raw = x.dataset->read(Split::train, torch::zeros({1}, torch::kLong));
  const Tensor dense = raw[0].data;
  raw[0].data = dense.to_sparse_csr();
  raw[0].edges.weight = torch::ones({raw[0].edges.ends.size(1)});
  const View view = x.pipeline->evaluation_view(raw);
  EXPECT_EQ(view.data.layout(), at::kSparseCsr);
  EXPECT_EQ(view.data.scalar_type(), at::kDouble);
  EXPECT_TRUE(view.data.to_dense().equal(dense.to(at::kDouble)));
  EXPECT_EQ(view.edges.weight.scalar_type(), at::kDouble);
  EXPECT_EQ(view.edges.ends.scalar_type(), at::kLong);
}

TEST(Graph, IsTrainedOnWhole) {
  EXPECT_EQ(not_built(kGraph, {"data.subset=5"}),
            "--set data.subset=5: data.subset = 5, allowed: 0, as the samples are the nodes of one graph.");
  EXPECT_EQ(
      not_built(kGraph, {"data.imbalance=2.0"}),
      "--set data.imbalance=2.0: data.imbalance = 2, allowed: 0, as the samples are the nodes of one graph.");
}

TEST(LossOfAGraph, NeedsAllItsNodesInEachStep) {
  EXPECT_EQ(built(kGraph, {"loss.graph=true"}).losses.size(), 1u);
  EXPECT_EQ(not_built(kGraph, {"loss.graph=true", "data.batch_size=7"}),
            "e.toml:16:8: the loss 'asks' needs all nodes of a graph in each step, data.batch_size = 7, "
            "allowed: 0.");
  EXPECT_EQ(not_built(kVectors, {"loss.graph=true"}),
            "e.toml:11:8: the loss 'asks' needs a graph, the data set 'synthetic' is none.");
}

TEST(LossThatReadsWhatIsDecoded, NeedsAnEncoderThatDecodesItsViews) {
  for (const std::string& toml : {kGraph, kVectors}) {
    EXPECT_EQ(built(toml, {"loss.decoded=true", "encoder.decodes=true"}).losses.size(), 1u);
    const std::string refused = not_built(toml, {"loss.decoded=true"});
    EXPECT_TRUE(refused.ends_with(
        ": the loss 'asks' needs what a decoder gives of view 0, its encoder decodes nothing."))
        << refused;
  }
}

TEST(LossThatReadsWeights, NeedsThemByTheirNameInTheModel) {
  EXPECT_EQ(built(kVectors, {"loss.reads=\"encoder.layer.weight\""}).losses.size(), 1u);
  EXPECT_EQ(
      not_built(kVectors, {"loss.reads=\"encoder.layer.weigth\"", "head.kind=none"}),
      "e.toml:11:8: the loss 'asks' needs the weight 'encoder.layer.weigth', the model has none of that "
      "name. Known weights: encoder.layer.bias, encoder.layer.weight. Did you mean "
      "'encoder.layer.weight'?");
}

TEST(Augmentations, SeeTheTrainingSetFirst) {
  EXPECT_EQ(built(kVectors + kJitter).pipeline->augments(), true);
  EXPECT_EQ(not_built(kVectors + kJitter + "smallest = 25\n", {"data.subset=20"}),
            "e.toml:14:12: augment.smallest = 25, allowed: at most 20.");
}

TEST(Graph, IsHeldToWhatItSaysOfItsNodes) {
  const std::string odd =
      "[run]\nsteps = 2\n[data]\nname = \"odd_graph\"\nbatch_size = 0\n[encoder]\n"
      "name = \"line\"\n[[loss]]\nname = \"asks\"\n";
  const auto refused = [&](const std::string& fault) {
    return refusal([&] { built(odd, {"data.fault=" + fault}); }, Exit::data);
  };
  EXPECT_EQ(built(odd).sizes.batch_size, 4);
  EXPECT_EQ(refused("order"),
            "the data set 'odd_graph' has not all nodes in their order in its train split.");
  EXPECT_EQ(refused("count"),
            "the data set 'odd_graph' is a graph with 1 nodes in its test split for 0 samples.");
  EXPECT_EQ(refused("kind"),
            "the data set 'odd_graph' has nodes, allowed: where a graph is its only modality.");
}

}  // namespace
}  // namespace foil
