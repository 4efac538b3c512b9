// SPDX-License-Identifier: BSD-3-Clause
// A step on a graph: every rank has encoded all nodes; the rows of the batch are picked, each rank sees its
// own, and the whole is there without a collective.
#include "data/synthetic_graph.h"
#include "ranks/in_process.h"
#include "run/safetensors.h"
#include "step.h"
#include "tests/core/line_tower.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

namespace foil {
namespace {

struct Sees final : Loss {
  explicit Sees(Needs needs) : needs_(std::move(needs)) {}
  Needs needs() const override { return needs_; }
  Tensor forward(const LossInput& input) override { return input.z[0].sum(); }
  Needs needs_;
};

// A graph of seven nodes, and what a tower gives of them in two views.
struct Scene {
  Scene() {
    experiment.whole = experiment.dataset = std::make_shared<SyntheticGraph>(SyntheticGraph::Options{
        .nodes = 7, .classes = 2, .features = 4, .degree = 2, .labelled = 2, .test_nodes = 0});
    experiment.model = std::make_shared<Model>(test::line_tower(2));
    const Needs all{.labels = true,
                    .features = true,
                    .predictor = true,
                    .target = true,
                    .decoded = true,
                    .views = true,
                    .weights = {"encoder.layer.weight"}};
    experiment.losses.push_back({"all", std::make_shared<Sees>(all), 1, 1, {}});
    experiment.losses.push_back({"raw", std::make_shared<Sees>(Needs{.raw_z = true}), 1, 1, {}, {1}});
    const Tensor x = torch::arange(14, torch::kDouble).reshape({7, 2}) + 1;
    for (const double v : {1.0, 2.0}) {
      out.z.push_back((v * x).requires_grad_());
      out.h.push_back(v * x + 1);
      out.p.push_back(v * x + 2);
      out.decoded.push_back((v * x + 3).unsqueeze(2));
      targets.push_back(v * x + 4);
    }
    views = experiment.dataset->read(Split::train, torch::zeros({1}, torch::kLong));
    views.push_back(views[0]);
  }
  Batch batch(const World& world, const Tensor& global) const {
    Batch made;
    made.global = global;
    const auto [begin, end] = rank_block(global.size(0), world.world_size(), world.rank());
    made.begin = begin;
    made.index = global.slice(0, begin, end);
    made.raw = {views[0]};
    made.label = experiment.dataset->labels(Split::train).index_select(0, made.index);
    return made;
  }
  LossInput heads(World& world, const Batch& of) const {
    return step_input(experiment, world.shared_from_this(), of, views, out, targets, 3);
  }
  Experiment experiment;
  Tower::Output out;
  std::vector<Tensor> targets;
  Views views;
};

TEST(GraphStep, PicksTheRowsOfTheGlobalBatch) {
  in_process_ranks(2, [](World& world) {
    const Scene scene;
    const Tensor rows = torch::tensor({6, 0, 3, 2, 5}, torch::kLong);
    const LossInput heads = scene.heads(world, scene.batch(world, rows));
    EXPECT_TRUE(heads.z[1].equal(scene.out.z[1].index_select(0, rows)));
    EXPECT_TRUE(heads.h[1].equal(scene.out.h[1].index_select(0, rows)));
    EXPECT_TRUE(heads.p[1].equal(scene.out.p[1].index_select(0, rows)));
    EXPECT_TRUE(heads.decoded[1].equal(scene.out.decoded[1].index_select(0, rows)));
    EXPECT_TRUE(heads.target[1].equal(scene.targets[1].index_select(0, rows)));
    EXPECT_TRUE(heads.index.equal(rows));
    EXPECT_TRUE(heads.label.equal(torch::tensor({-1, 0, 1, 0, -1})));
    EXPECT_EQ(heads.views.at(0).size(), 7) << "the views are whole";
    EXPECT_TRUE(heads.weights.at("encoder.layer.weight").requires_grad());
    const LossInput all = scene.heads(world, scene.batch(world, torch::arange(7)));
    EXPECT_TRUE(all.z[0].is_same(scene.out.z[0])) << "nothing to pick";
  });
}

TEST(GraphStep, GivesARankItsRowsAndHoldsThoseOfAllWithoutACollective) {
  in_process_ranks(3, [](World& world) {
    const Scene scene;
    const Tensor rows = torch::tensor({6, 0, 3, 2, 5}, torch::kLong);
    const Batch batch = scene.batch(world, rows);
    const LossInput heads = scene.heads(world, batch);
    const std::vector<LossInput> inputs = loss_inputs(scene.experiment.losses, heads, batch);
    const int64_t begin = batch.begin, end = begin + batch.index.size(0);
    EXPECT_TRUE(own_rows(heads.z[0], batch).equal(heads.z[0].slice(0, begin, end)));
    if (world.rank() != 1) return;  // another rank would be waited for
    const LossInput& all = inputs[0];
    const Tensor z = unit(heads.z[1]);
    EXPECT_TRUE(all.everyone(1).equal(z));
    EXPECT_TRUE(all.z[1].equal(z.slice(0, begin, end)));
    EXPECT_TRUE(all.gather(all.h[0]).equal(heads.h[0]));
    EXPECT_TRUE(all.gather(all.p[0]).equal(unit(heads.p[0])));
    EXPECT_TRUE(all.gather(all.target[0]).equal(unit(heads.target[0])));
    EXPECT_TRUE(all.gather(all.decoded[0]).equal(heads.decoded[0]));
    EXPECT_TRUE(all.gather(all.index).equal(rows));
    EXPECT_TRUE(all.index.equal(batch.index));
    EXPECT_TRUE(all.gather(all.label).equal(heads.label));
    EXPECT_TRUE(all.label.equal(batch.label));
    EXPECT_TRUE(inputs[1].everyone(0).equal(heads.z[1])) << "its views, in its scale";
    const Tensor gradient =
        torch::autograd::grad({(all.z[0] * all.everyone(0).sum(0)).sum()}, {scene.out.z[0]}).at(0);
    EXPECT_TRUE(gradient.index_select(0, rows).ne(0).any(1).all().item<bool>()) << "of all rows of the batch";
    EXPECT_TRUE(gradient.index_select(0, torch::tensor({1, 4})).eq(0).all().item<bool>());
  });
}

TEST(GraphStep, FindsWhatIsNotFiniteInFeaturesInCsrLayoutAndSavesTheEdges) {
  Views views = Scene().views;
  views[1].edges.weight = torch::ones({views[1].edges.ends.size(1)});
  views[1].data = torch::eye(7, 4).to_sparse_csr();
  EXPECT_EQ(first_bad(views, {}, {}), "");
  views[1].data.values().fill_(1.0 / 0.0);
  EXPECT_EQ(first_bad(views, {}, {}), "view 1");

  const test::TempFolder folder;
  Batch batch;
  batch.index = torch::arange(7);
  const auto stop = [&] {
    stop_non_finite(*World::single(), Recorder(folder.path(), 1, /*quiet=*/true), 7, "view 1", batch, views);
  };
  EXPECT_EQ(test::error_of(stop).substr(0, 2), "4 ");
  const TensorFile saved = load_tensors(folder / "non_finite-step7-rank0.safetensors");
  EXPECT_TRUE(saved.tensors.at("view.0").equal(views[0].data));
  EXPECT_TRUE(saved.tensors.at("view.1").equal(views[1].data.values()));
  EXPECT_TRUE(saved.tensors.at("view_columns.1").equal(torch::arange(4)));
  EXPECT_TRUE(saved.tensors.at("view_row_starts.1").equal(torch::tensor({0, 1, 2, 3, 4, 4, 4, 4})));
  EXPECT_TRUE(saved.tensors.at("edges.0").equal(views[0].edges.ends));
  EXPECT_EQ(saved.tensors.count("edge_weight.0"), 0u);
  EXPECT_TRUE(saved.tensors.at("edge_weight.1").equal(views[1].edges.weight));
}

}  // namespace
}  // namespace foil
