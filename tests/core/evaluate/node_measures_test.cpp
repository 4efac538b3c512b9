// SPDX-License-Identifier: BSD-3-Clause
// A graph through evaluate(): what is measured of its nodes, on which of them, and what heads the tables.
#include "data/graph_dataset.h"
#include "evaluate/clustering.h"
#include "evaluate/evaluate.h"
#include "evaluate/measure.h"
#include "ranks/world.h"

#include <foil/cluster.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <map>

namespace foil {
namespace {

// A ring of 60 nodes in three classes that overlap; node 7 has no label.
GraphDataset ring() {
  torch::manual_seed(0);
  GraphParts parts;
  const Tensor node = torch::arange(60);
  parts.label = node % 3;
  parts.x = torch::randn({60, 4}) + torch::one_hot(parts.label, 4).to(torch::kFloat);
  parts.label[7] = -1;
  parts.edges.ends = torch::stack({node, (node + 1) % 60});
  parts.train = torch::cat({node.slice(0, 0, 7), node.slice(0, 8, 30)});
  parts.validation = node.slice(0, 30, 45).flip(0).contiguous();
  parts.test = node.slice(0, 45, 60);
  return {parts, {}};
}

Subject features_themselves() {
  Subject subject;
  subject.prepare = [](const Views& raw) { return raw.at(0); };
  subject.encode = [](const View& view) { return Encoded{view.data, {}}; };
  subject.preparation = "none";
  return subject;
}

EvaluateOptions nodes_and_clusters() {
  EvaluateOptions options;
  options.knn.neighbours = 5;
  options.linear = options.geometry = false;
  options.nodes.node_probe = options.clustering = true;
  options.nodes.share = 0.3;
  return options;
}

TEST(EvaluateNodes, HeadsTheTablesWithTheProtocolsOfNodes) {
  const nlohmann::json result =
      evaluate(features_themselves(), ring(), nodes_and_clusters(), *World::single());
  std::map<int64_t, std::string> columns;
  for (const auto& [key, entry] : result.items())
    if (const Measure measure = measure_of(entry).value(); measure.headline)
      columns[measure.column] = entry["metric"];
  EXPECT_EQ(columns,
            (std::map<int64_t, std::string>{
                {1, "node_f1"}, {2, "node_macro_f1"}, {3, "public_f1"}, {4, "public_macro_f1"}, {5, "knn"}}));
}

TEST(EvaluateNodes, TakesThePublicSplitAndClustersEveryNodeWithALabel) {
  const GraphDataset data = ring();
  const nlohmann::json result = evaluate(features_themselves(), data, nodes_and_clusters(), *World::single());
  const Tensor x = data.read(Split::train, torch::zeros({1}, torch::kLong))[0].data;
  const auto rows = [&](Split split) { return x.index_select(0, data.nodes(split)); };
  const Tensor train = (data.labels(Split::train) >= 0).nonzero().squeeze(1);
  const NodeProbe probe = probe_by_validation(
      x.index_select(0, train), data.node_labels().index_select(0, train), rows(Split::validation),
      data.labels(Split::validation), rows(Split::test), data.labels(Split::test), 3, {});
  EXPECT_EQ(train.size(0), 29);
  EXPECT_DOUBLE_EQ(result["features.public_f1"]["value"].get<double>(), 100 * probe.f1.micro);
  EXPECT_EQ(result["features.public_f1"]["c"], probe.c);

  const Tensor known = (data.node_labels() >= 0).nonzero().squeeze(1);
  const Tensor cluster = k_means(x.index_select(0, known), 3, {}, *World::single()).cluster;
  EXPECT_DOUBLE_EQ(result["features.nmi"]["value"].get<double>(),
                   normalized_mutual_information(cluster, data.node_labels().index_select(0, known)));
  EXPECT_EQ(result["features.cluster_accuracy"]["protocol"],
            "matched-accuracy-kmeans-cosine-k3-restarts5-iterations50-seed0/features/nodes59/none/v1");
}

TEST(EvaluateNodes, MeasuresTheClustersThatLossesGiveTheProjections) {
  const GraphDataset data = ring();
  const Tensor label = data.node_labels(), node = torch::arange(60);
  // Of the class after the node's own but for the first ten nodes; no clusters yet; one cluster.
  const Tensor shifted = torch::where(node < 10, node % 3, (node + 1) % 3);
  Subject subject = features_themselves();
  subject.encode = [](const View& view) { return Encoded{view.data, 2 * view.data}; };
  const Tensor z = 2 * data.read(Split::train, torch::zeros({1}, torch::kLong))[0].data;
  const Tensor known = (label >= 0).nonzero().squeeze(1);
  const auto given = [&](const Tensor& cluster) {
    return [&z, &known, cluster](const Tensor& rows) {
      EXPECT_TRUE(rows.equal(z.index_select(0, known)));
      return cluster.defined() ? cluster.index_select(0, known) : cluster;
    };
  };
  subject.assignments = {given(shifted), given({}), given(torch::zeros({60}, torch::kLong))};
  EvaluateOptions options = nodes_and_clusters();
  options.on = {"features"};
  const nlohmann::json result = evaluate(subject, data, options, *World::single());
  // Nine nodes with a label keep their class, the other fifty are called by the matching.
  EXPECT_DOUBLE_EQ(result["projections.assigned_cluster_accuracy"]["value"].get<double>(), 100 * 50. / 59);
  EXPECT_DOUBLE_EQ(result["projections.assigned_ari"]["value"].get<double>(),
                   adjusted_rand_index(shifted.index_select(0, known), label.index_select(0, known)));
  EXPECT_EQ(result["projections.assigned_nmi"]["protocol"],
            "nmi-assigned-by-loss/projections/nodes59/none/v1");
  EXPECT_EQ(result["projections.assigned_nmi_2"]["value"], 0);
  EXPECT_EQ(result["projections.assigned_cluster_accuracy"]["column"], 6);
  EXPECT_EQ(result["projections.assigned_cluster_accuracy"]["metric"], "assigned_cluster_accuracy");
  EXPECT_FALSE(result.contains("projections.assigned_nmi_3"));
}

}  // namespace
}  // namespace foil
