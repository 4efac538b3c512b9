// SPDX-License-Identifier: BSD-3-Clause
// Graphs in safetensors files written here, what is refused of them, and the published ones where they are.
#include "bad_data.h"
#include "data/graph.h"
#include "data/record.h"
#include "run/safetensors.h"

#include <torch/types.h>

#include <set>

namespace foil {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::gzip;

using Tensors = std::map<std::string, Tensor>;

Tensor ints(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

// Five nodes of three features; 3 is alone but for an edge to itself, 4 has no label; 0 -> 2 has no way back.
Tensors five() {
  return {{"x", torch::tensor(
                    {{1.F, 3.F, 0.F}, {0.F, 0.F, 0.F}, {2.F, 0.F, 2.F}, {0.F, 5.F, 0.F}, {1.F, 1.F, 2.F}})},
          {"edge_index", torch::tensor({{0, 1, 0, 3, 4, 2}, {1, 0, 2, 3, 2, 4}}, torch::kInt)},
          {"y", ints({0, 2, 1, 0, 1})},
          {"train_index", ints({2, 0})},
          {"val_index", ints({3})},
          {"test_index", ints({1})},
          {"unlabelled_index", ints({4})}};
}

void write(const Folder& folder, const Tensors& tensors) {
  folder.write("five.safetensors", bytes_of(serialize_tensors(tensors)));
}

Graph::Options options_of(const Folder& folder) { return {folder / "five.safetensors", {}}; }

TEST(Graph, HasANodeForASampleAndLabelsForThoseThatMayBeLearnedFrom) {
  const Folder folder;
  write(folder, five());
  const Graph data(options_of(folder));
  EXPECT_EQ(data.size(Split::train), 5);
  EXPECT_TRUE(data.nodes(Split::train).equal(torch::arange(5)));
  EXPECT_TRUE(data.labels(Split::train).equal(ints({0, -1, 1, -1, -1})));
  EXPECT_TRUE(data.node_labels().equal(ints({0, 2, 1, 0, -1})));
  EXPECT_TRUE(data.nodes(Split::validation).equal(ints({3})));
  EXPECT_TRUE(data.labels(Split::validation).equal(ints({0})));
  EXPECT_TRUE(data.nodes(Split::test).equal(ints({1})));
  EXPECT_TRUE(data.labels(Split::test).equal(ints({2})));
  EXPECT_EQ(data.classes(), (std::vector<std::string>{"0", "1", "2"}));
  ASSERT_EQ(data.modalities().size(), 1u);
  EXPECT_EQ(data.modalities()[0].shape.kind, Kind::graph);
  EXPECT_EQ(data.modalities()[0].shape.sizes, std::vector<int64_t>{3});
  EXPECT_EQ(
      data_line(data_record("graph", data)),
      "data: graph, 5 training samples, 1 validation sample, 1 test sample, 3 classes; 1 node has no edge to "
      "another; 1 node has an edge to itself");
}

TEST(Graph, IsReadWholeWhateverTheIndex) {
  const Folder folder;
  write(folder, five());
  const Graph data(options_of(folder));
  const View view = data.read(Split::test, ints({0, 0}))[0];
  EXPECT_EQ(view.kind, Kind::graph);
  EXPECT_TRUE(view.data.equal(five()["x"]));
  EXPECT_TRUE(view.edges.ends.equal(five()["edge_index"].to(torch::kLong)));
  EXPECT_TRUE(view.edges.id.equal(torch::arange(6)));
  EXPECT_FALSE(view.edges.weight.defined());
  EXPECT_EQ(error_of([&] { data.read(Split::test, ints({1})); }),
            "1 index 1 at position 0, allowed: 0 to 0.");
}

TEST(Graph, IsTheSameDenseAndSparsePlainAndPacked) {
  const Folder folder;
  write(folder, five());
  const Graph dense(options_of(folder));
  Tensors sparse = five();
  const Tensor entries = sparse["x"].to_sparse();
  sparse.erase("x");
  sparse["x_indices"] = entries._indices().flip(1).to(torch::kInt);  // in any order
  sparse["x_values"] = entries._values().flip(0);
  sparse["x_shape"] = ints({5, 3});
  folder.write("five.safetensors", gzip(bytes_of(serialize_tensors(sparse))));
  const Graph packed(options_of(folder));
  EXPECT_TRUE(packed.read(Split::train, ints({}))[0].data.equal(five()["x"])) << "more than a twentieth";
  EXPECT_EQ(packed.identity(), dense.identity());
  Graph::Options options = options_of(folder);
  options.form.layout = GraphForm::Layout::csr;
  const Graph csr(options);
  const Tensor x = csr.read(Split::train, ints({}))[0].data;
  EXPECT_EQ(x.layout(), at::kSparseCsr);
  EXPECT_TRUE(x.to_dense().equal(five()["x"]));
  EXPECT_EQ(csr.identity(), dense.identity());
}

TEST(Graph, DividesFeaturesByTheirSumAndAddsTheWayBack) {
  const Folder folder;
  Tensors tensors = five();
  tensors["edge_weight"] = torch::tensor({1.F, 2.F, 3.F, 4.F, 5.F, 6.F});
  write(folder, tensors);
  Graph::Options options = options_of(folder);
  const std::string as_read = Graph(options).identity();
  options.form.row_normalise = options.form.undirected = true;
  for (const auto layout : {GraphForm::Layout::dense, GraphForm::Layout::csr}) {
    options.form.layout = layout;
    const Graph data(options);
    const View view = data.read(Split::train, ints({}))[0];
    const Tensor want = torch::tensor(
        {{0.25F, 0.75F, 0.F}, {0.F, 0.F, 0.F}, {0.5F, 0.F, 0.5F}, {0.F, 1.F, 0.F}, {0.25F, 0.25F, 0.5F}});
    EXPECT_TRUE(view.data.to_dense().equal(want));
    EXPECT_TRUE(view.edges.ends.equal(ints({0, 1, 0, 3, 4, 2, 2, 1, 0, 2, 3, 2, 4, 0}).view({2, 7})));
    EXPECT_TRUE(view.edges.weight.equal(torch::tensor({1.F, 2.F, 3.F, 4.F, 5.F, 6.F, 3.F})));
    EXPECT_TRUE(view.edges.id.equal(torch::arange(7)));
    EXPECT_NE(data.identity(), as_read);
  }
}

TEST(Graph, MayLackLabelsAndSplits) {
  const Folder folder;
  Tensors tensors = five();
  for (const char* name : {"y", "train_index", "val_index", "test_index"}) tensors.erase(name);
  tensors["edge_index"] = torch::tensor({{0, 1, 0}, {1, 0, 1}}, torch::kLong);
  write(folder, tensors);
  const Graph data(options_of(folder));
  EXPECT_EQ(data.size(Split::train), 5);
  EXPECT_EQ(data.size(Split::test), 0);
  EXPECT_TRUE(data.classes().empty());
  EXPECT_FALSE(data.labels(Split::train).defined());
  EXPECT_EQ(data.remarks(),
            (std::vector<std::string>{"3 nodes have no edge to another", "1 edge repeats another"}));
}

TEST(Graph, IsAnotherWhereAnyPartDiffers) {
  const Folder folder;
  std::set<std::string> seen;
  const auto identity = [&](const Tensors& tensors) {
    write(folder, tensors);
    seen.insert(Graph(options_of(folder)).identity());
  };
  identity(five());
  for (const char* name : {"x", "edge_index", "y"}) {
    Tensors tensors = five();
    tensors[name] = tensors[name].clone();
    tensors[name].view({-1})[0] += 1;
    identity(tensors);
  }
  for (const char* name : {"train_index", "val_index", "test_index"}) {
    Tensors tensors = five();
    tensors.erase(name);
    identity(tensors);
  }
  EXPECT_EQ(seen.size(), 7u);
}

TEST(Graph, RefusesWhatIsNoGraphNamingThePlace) {
  const auto with = [](const char* name, const Tensor& tensor) {
    return [=](const Folder& folder) {
      Tensors tensors = five();
      tensors[name] = tensor;
      write(folder, tensors);
    };
  };
  Tensor nan = five()["x"].clone();
  nan[2][1] = NAN;
  test::expect_messages(
      {{"an edge too far", with("edge_index", ints({0, 1, 5, 1, 0, 2}).view({2, 3})),
        "5 FOLDER/five.safetensors: edge_index: edge 2 comes from node 5, allowed: 0 to 4."},
       {"an edge below", with("edge_index", ints({0, 1, -1, 2}).view({2, 2})),
        "5 FOLDER/five.safetensors: edge_index: edge 0 goes to node -1, allowed: 0 to 4."},
       {"two loops", with("edge_index", ints({0, 3, 3, 1, 3, 3}).view({2, 3})),
        "5 FOLDER/five.safetensors: edge_index: node 3 has 2 edges to itself, allowed: one at most."},
       {"no edge", with("edge_index", torch::zeros({2, 0}, torch::kLong)),
        "5 FOLDER/five.safetensors: edge_index: holds no edge."},
       {"edges of halves", with("edge_index", torch::zeros({2, 3})),
        "5 FOLDER/five.safetensors: edge_index is float [2, 3], allowed: integers."},
       {"edges the other way", with("edge_index", torch::zeros({3, 2}, torch::kLong)),
        "5 FOLDER/five.safetensors: edge_index is long int [3, 2], allowed: [2, any]."},
       {"a weight that is none", with("edge_weight", torch::tensor({1.F, 1.F, 1.F, INFINITY, 1.F, 1.F})),
        "5 FOLDER/five.safetensors: edge_index: the weight of edge 3 is inf, allowed: a finite number."},
       {"no node", with("x", torch::zeros({0, 3})),
        "5 FOLDER/five.safetensors: y is long int [5], allowed: [0]."},
       {"a feature that is none", with("x", nan),
        "5 FOLDER/five.safetensors: x: feature 1 of node 2 is nan, allowed: a finite number."},
       {"labels for others", with("y", ints({0, 1})),
        "5 FOLDER/five.safetensors: y is long int [2], allowed: [5]."},
       {"a label that is no class", with("y", ints({0, 1, 0, -2, 0})),
        "5 FOLDER/five.safetensors: y: label -2 of node 3, allowed: 0 to 4, or -1 for none."},
       {"a label beyond any class", with("y", ints({0, 1, 5, 2, 0})),
        "5 FOLDER/five.safetensors: y: label 5 of node 2, allowed: 0 to 4, or -1 for none."},
       {"splits that overlap", with("test_index", ints({1, 2})),
        "5 FOLDER/five.safetensors: test_index: entry 1 is node 2, which is in FOLDER/five.safetensors: "
        "train_index too."},
       {"a node twice", with("train_index", ints({2, 0, 2})),
        "5 FOLDER/five.safetensors: train_index: entry 2 is node 2, which is there twice."},
       {"a node that is not there", with("val_index", ints({7})),
        "5 FOLDER/five.safetensors: val_index: entry 0 is node 7, allowed: 0 to 4."},
       {"a node without a label", with("val_index", ints({3, 4})),
        "5 FOLDER/five.safetensors: val_index: entry 1 is node 4, which has no label."},
       {"an unlabelled node that is not there", with("unlabelled_index", ints({5})),
        "5 FOLDER/five.safetensors: unlabelled_index: entry 0 is node 5, allowed: 0 to 4."}},
      [](const Folder& folder) { write(folder, five()); },
      [](const Folder& folder) { Graph{options_of(folder)}; });
}

TEST(Graph, RefusesAFileThatLacksAPartOrASparseOneThatDoesNotFit) {
  const Folder folder;
  const auto message = [&](const Tensors& tensors) {
    write(folder, tensors);
    std::string got = error_of([&] { Graph{options_of(folder)}; });
    for (size_t at; (at = got.find(folder.path())) != std::string::npos;)
      got.replace(at, folder.path().size(), "FOLDER");
    return got;
  };
  Tensors tensors = five();
  tensors["edges"] = tensors["edge_index"];
  tensors.erase("edge_index");
  EXPECT_EQ(
      message(tensors),
      "5 FOLDER/five.safetensors: no tensor 'edge_index'. Known tensors: edges, test_index, train_index, "
      "unlabelled_index, val_index, x, y.");
  tensors = five();
  tensors.erase("x");
  tensors["x_indices"] = ints({0, 1, 0, 3}).view({2, 2});
  tensors["x_values"] = torch::ones({2});
  tensors["x_shape"] = ints({5, 3});
  EXPECT_EQ(message(tensors),
            "5 FOLDER/five.safetensors: x_indices: entry 1 is feature 3 of node 1, but x_shape is [5, 3].");
  tensors["x_indices"] = ints({0, 1, 0, 2}).view({2, 2});
  tensors["x_values"] = torch::tensor({1.F, NAN});
  EXPECT_EQ(message(tensors),
            "5 FOLDER/five.safetensors: x_values: feature 2 of node 1 is nan, allowed: a finite number.");
  tensors["x_shape"] = ints({-5, 3});
  EXPECT_EQ(message(tensors), "5 FOLDER/five.safetensors: x_shape is [-5, 3], allowed: sizes >= 0.");
  EXPECT_EQ(error_of([] { Graph{Graph::Options{}}; }),
            "2 path = \"\", allowed: the safetensors file of the graph.");
}

TEST(Cora, IsLookedForWhereFoilDataSays) {
  const test::Environment none("FOIL_DATA", nullptr);
  EXPECT_EQ(
      error_of([] { Cora{Cora::Options{}}; }),
      "5 cora: no cora.safetensors[.gz]: FOIL_DATA is not set. To get it: the files ind.cora.* of "
      "github.com/kimiyoung/planetoid, as tensors in one file as README.md says of data sets of a graph; "
      "or set data.path, or FOIL_DATA to the folder that holds cora/.");
}

class RealCora : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealCora);
INSTANTIATE_TEST_SUITE_P(FoilData, RealCora, ::testing::ValuesIn(test::real("cora")));

// Counts of Yang et al., 2016, with every citation once in each direction.
TEST_P(RealCora, IsThePublishedOne) {
  Cora::Options options{GetParam(), {}};
  options.form.row_normalise = true;
  const Cora data(options);
  const View view = data.read(Split::train, ints({}))[0];
  EXPECT_EQ(view.data.layout(), at::kSparseCsr);
  EXPECT_EQ(view.data.sizes(), (std::vector<int64_t>{2708, 1433}));
  EXPECT_EQ(view.data._nnz(), 49216);
  EXPECT_LT((view.data.to_dense().sum(1) - 1).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(view.edges.ends.size(1), 10556);
  EXPECT_TRUE((data.labels(Split::train).masked_select(data.labels(Split::train) >= 0).bincount() == 20)
                  .all()
                  .item<bool>());
  EXPECT_EQ(data_line(data_record("cora", data)),
            "data: cora, 2708 training samples, 500 validation samples, 1000 test samples, 7 classes");
}

class RealCiteSeer : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealCiteSeer);
INSTANTIATE_TEST_SUITE_P(FoilData, RealCiteSeer, ::testing::ValuesIn(test::real("citeseer")));

TEST_P(RealCiteSeer, IsThePublishedOne) {
  const CiteSeer data({GetParam(), {}});
  EXPECT_EQ(data.read(Split::train, ints({}))[0].edges.ends.size(1), 9104);
  EXPECT_EQ((data.node_labels() < 0).sum().item<int64_t>(), 15);
  EXPECT_EQ(data_line(data_record("citeseer", data)),
            "data: citeseer, 3327 training samples, 500 validation samples, 1000 test samples, 6 classes; 48 "
            "nodes have no edge to another");
}

}  // namespace
}  // namespace foil
