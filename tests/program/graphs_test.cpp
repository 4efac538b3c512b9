// SPDX-License-Identifier: BSD-3-Clause
// The nodes of a graph as samples: losses that know nothing of graphs learn from them, losses that do get
// what they ask for, the world size changes nothing, and a run goes on as if it had not stopped.
#include "tests/program/world_size.h"

#include <filesystem>

namespace foil {
namespace {

// An odd number of nodes; the batch is all of them.
std::string graph_experiment(const std::string& loss) {
  return "[run]\nname = \"small\"\nsteps = 20\nthreads = 1\ndeterministic = true\n[data]\n"
         "name = \"synthetic_graph\"\nnodes = 61\nclasses = 3\nfeatures = 8\nlabelled = 6\n"
         "validation_nodes = 9\ntest_nodes = 30\nbatch_size = 0\n[[augment]]\nname = "
         "\"lose_edges\"\n[encoder]\n"
         "name = \"neighbours\"\n[head]\ndims = [16, 8]\n[optimizer]\nname = \"sgd\"\n"
         "learning_rate = 0.05\n[evaluate]\nlinear = false\nneighbours = 5\nevery_epochs = 10\n[[loss]]\n"
         "name = \"" +
         loss + "\"\n";
}
const std::vector<std::string> kSome = {"--set", "data.batch_size=16"};
// Barlow Twins takes the mean away: the bias of a last layer would have no gradient but rounding.
std::vector<std::string> without_head(std::vector<std::string> sets = {}) {
  sets.insert(sets.end(), {"--set", "head.kind=none"});
  return sets;
}

TEST(Graph, WorldSizeChangesNothingForInfonceOnAllNodes) {
  expect_world_size_is_nothing_to(graph_experiment("infonce"));
}
TEST(Graph, WorldSizeChangesNothingForInfonceOnSomeNodes) {
  expect_world_size_is_nothing_to(graph_experiment("infonce"), kSome);
}
TEST(Graph, WorldSizeChangesNothingForBarlowOnAllNodes) {
  expect_world_size_is_nothing_to(graph_experiment("barlow"), without_head());
}
TEST(Graph, WorldSizeChangesNothingForBarlowOnSomeNodes) {
  expect_world_size_is_nothing_to(graph_experiment("barlow"), without_head(kSome));
}
TEST(Graph, WorldSizeChangesNothingForLabelsTargetsPredictionsAndQueuesOfNodes) {
  expect_world_size_is_nothing_to(
      graph_experiment("supcon") +
          "[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"moco\"\nqueue_length = 100\n[momentum]\n"
          "value = 0.9\n[predictor]\nhidden = [12]\n",
      kSome);
}
TEST(Graph, WorldSizeChangesNothingForALossThatReadsViewsDecodedAndWeights) {
  expect_world_size_is_nothing_to(graph_experiment("reads_graph"));
}

Outcome train(const Workplace& place, const std::vector<std::string>& sets = {}) {
  std::vector<std::string> command = {"train", "small.toml", "--quiet"};
  for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
  return foil_within(place, command, {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS});
}

TEST(Graph, ARunThatWasStoppedEndsInTheSameBits) {
  const std::string experiment = graph_experiment("infonce") + "[checkpoint]\nevery = 10\nkeep = 4\n";
  const Workplace whole, stopped;
  for (const Workplace* place : {&whole, &stopped}) {
    place->write("small.toml", experiment);
    ASSERT_EQ(train(*place).code, 0);
  }
  const RunView run(stopped);
  for (const char* file :
       {"results.json", "checkpoints/step-00000020.json", "checkpoints/step-00000020.safetensors"})
    ASSERT_TRUE(std::filesystem::remove(run.folder / file)) << file;
  nlohmann::json status = run.status();
  status["state"] = "interrupted";
  stopped.write("runs/small/seed0/status", status.dump());
  const Outcome again = train(stopped);
  ASSERT_EQ(again.code, 0) << again.err;
  const auto want = RunView(whole).state(), got = run.state();
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, tensor] : want) EXPECT_TRUE(torch::equal(got.at(name), tensor)) << name;
  EXPECT_EQ(run.losses(), RunView(whole).losses());
}

TEST(Graph, IsLearnedFromAndMeasuredByItsLabelledNodes) {
  const Workplace place;
  place.write("small.toml", graph_experiment("infonce"));
  const Outcome outcome = train(place, {"run.steps=100", "evaluate.baselines=true", "evaluate.linear=true"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json results = RunView(place).results();
  EXPECT_GT(results["metrics"]["knn"], 60) << results;
  EXPECT_EQ(results["measured"]["features.knn"]["protocol"],
            "knn-cosine-k5-T0.07-weighted/features/train18/test30/none/v1");
  EXPECT_NE(slurp(RunView(place).folder / "features.svg").find(">synthetic_graph: 61 nodes by class<"),
            std::string::npos);
}

TEST(Graph, IsMeasuredByTheClustersOfItsLoss) {
  const Workplace place;
  place.write("small.toml", graph_experiment("scgc") + "clusters = 3\nclustering_start_epoch = 5\n");
  const Outcome outcome = train(place, {"views.count=1", "evaluate.clustering=true"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const RunView run(place);
  const nlohmann::json results = run.results();
  EXPECT_EQ(results["measured"]["projections.assigned_nmi"]["protocol"],
            "nmi-assigned-by-loss/projections/nodes61/none/v1");
  const Outcome again = foil_within(place, {"evaluate", "runs/small/seed0", "--out", "again.json", "--quiet"},
                                    {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(nlohmann::json::parse(slurp(place.folder / "again.json"))["metrics"], results["metrics"]);
  EXPECT_TRUE(results["metrics"].contains("assigned_cluster_accuracy")) << results;
}

TEST(Graph, IsRefusedBeforeTheRunWhereALossHasNoUseForIt) {
  const Workplace place;
  place.write("small.toml", graph_experiment("reads_graph"));
  const Outcome some = train(place, {"data.batch_size=16"});
  EXPECT_EQ(some.code, 2);
  EXPECT_NE(some.err.find("the loss 'reads_graph' needs all nodes of a graph in each step, data.batch_size = "
                          "16, allowed: 0."),
            std::string::npos)
      << some.err;
  const Outcome weight = train(place, {"encoder.name=mlp"});
  EXPECT_EQ(weight.code, 2);
  EXPECT_NE(weight.err.find("the loss 'reads_graph' needs the weight 'encoder.layer.weight', the model has "
                            "none of that name. Known weights: encoder.layers.0.weight"),
            std::string::npos)
      << weight.err;
}

}  // namespace
}  // namespace foil
