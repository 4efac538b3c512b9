// SPDX-License-Identifier: BSD-3-Clause
// SCGC against loops, and what it shares with PamC: influences, clusters.
#include "losses/scgc.cpp"

#include "tests/losses/node_test.h"

namespace {

using foil::Edges;
using Kind = foil::InfluenceOptions::Kind;
using Pretraining = foil::GraphClusteringOptions::Pretraining;

constexpr int64_t kNodes = 7;

// B, ..., of the paper, by entries of A; edges of equal ends add up.
Tensor slow_influence(const Edges& edges, const foil::InfluenceOptions& options) {
  Tensor a = torch::zeros({kNodes, kNodes}, torch::kDouble);
  for (int64_t e = 0; e < edges.ends.size(1); ++e)
    a[edges.ends[0][e].item<int64_t>()][edges.ends[1][e].item<int64_t>()] +=
        edges.weight.defined() ? edges.weight[e].item<double>() : 1;
  const Tensor loops = torch::maximum(a, a.t()) + torch::eye(kNodes, torch::kDouble);
  const Tensor one = loops / loops.sum(1, true);
  Tensor power = one, sum = one;
  for (int64_t r = 1; r < options.order; ++r) sum = sum + (power = torch::matmul(power, one));
  return options.influence == Kind::power ? power : sum;
}

TEST(Influence, IsThePowersOfTheNormalisedMatrix) {
  Edges edges = foil::small_graph();
  for (const bool weighted : {false, true}) {
    if (weighted) edges.weight = torch::arange(1, 11).to(torch::kFloat) / 4;
    for (const Kind kind : {Kind::cumulative, Kind::power}) {
      for (const int64_t order : {1, 2, 3}) {
        foil::Influence influence({kind, order});
        influence(foil::nodes_of(foil::raw_views(1, kNodes, 2), edges));
        const Tensor want = slow_influence(edges, {kind, order});
        EXPECT_TRUE(torch::allclose(influence.matrix().to_dense(), want, 1e-14, 1e-15));
      }
    }
  }
}

TEST(Influence, FollowsTheGraphOfTheView) {
  foil::Influence influence({Kind::cumulative, 2}), given({Kind::given, 1});
  Edges edges = foil::small_graph();
  influence(foil::nodes_of(foil::raw_views(1, kNodes, 2), edges));
  edges.ends = edges.ends.slice(1, 0, 4);
  influence(foil::nodes_of(foil::raw_views(1, kNodes, 2), edges));
  EXPECT_TRUE(torch::allclose(influence.matrix().to_dense(), slow_influence(edges, {Kind::cumulative, 2})));
  edges.weight = torch::tensor({0.5, 0.0, 2.0, 3.0});
  const foil::Influences all = given(foil::nodes_of(foil::raw_views(1, kNodes, 2), edges));
  EXPECT_TRUE(all.row.equal(torch::tensor({1, 2, 3}, torch::kLong)));  // an influence of 0 is none
  EXPECT_TRUE(all.column.equal(torch::tensor({0, 1, 2}, torch::kLong)));
}

// C and KL in the paper's words.
double slow_contrast(const Tensor& z, const Tensor& g, double temperature, double guard) {
  double sum = 0;
  for (int64_t i = 0; i < kNodes; ++i) {
    double near = 0, any = 0;
    for (int64_t j = 0; j < kNodes; ++j) {
      const double cosine =
          i == j ? 0 : torch::dot(z[i], z[j]).item<double>() / (z[i].norm() * z[j].norm()).item<double>();
      near += g[i][j].item<double>() * std::exp(cosine / temperature);
      any += std::exp(cosine / temperature);
    }
    sum -= std::log(near / any + guard) / static_cast<double>(kNodes);
  }
  return sum;
}

double slow_divergence(const Tensor& z, const Tensor& centres, double v) {
  const Tensor square = (z.unsqueeze(1) - centres).square().sum(2);
  Tensor q = (1 + square / v).pow(-(v + 1) / 2);
  q = q / q.sum(1, true);
  Tensor p = q.square() / q.sum(0);
  p = p / p.sum(1, true);
  return ((p * (p / q).log()).sum() / static_cast<double>(z.size(0))).item<double>();
}

std::shared_ptr<SCGC> made(const SCGC::Options& options) {
  torch::manual_seed(3);
  const auto loss = std::make_shared<SCGC>(options);
  loss->setup({.z_dim = 4});
  loss->to(torch::kDouble);
  return loss;
}

SCGC::Options options_of(int64_t order, int64_t start) {
  return {.temperature = 0.8,
          .contrast_weight = 0.7,
          .clustering_weight = 3,
          .guard = 0.01,
          .influence = {Kind::cumulative, order},
          .clusters = {.clusters = 3, .clustering_start_epoch = start, .degrees_of_freedom = 2}};
}

TEST(SCGC, IsTheContrastAndOnceStartedTheClustersToo) {
  const Edges edges = foil::small_graph();
  const auto loss = made(options_of(2, 1));
  const Tensor z = foil::raw_views(1, kNodes, 4)[0];
  LossInput input = foil::nodes_of({z}, edges);
  const double contrast = 0.7 * slow_contrast(z, slow_influence(edges, {Kind::cumulative, 2}), 0.8, 0.01);
  for (const int64_t epoch : {0, 1}) {
    input.epoch = epoch;
    EXPECT_NEAR(loss->forward(input).item<double>(), contrast, 1e-12);
    torch::NoGradGuard no_grad;
    loss->after_step(input);
  }
  const Tensor centres = loss->named_parameters()["centres"].detach();
  EXPECT_NEAR(loss->forward(input).item<double>(), contrast + 3 * slow_divergence(z, centres, 2), 1e-12);
}

TEST(SCGC, StartsItsClustersWhereKMeansSettles) {
  torch::manual_seed(2);
  const Tensor centre = 5 * torch::randn({3, 4}, torch::kDouble), of = torch::arange(kNodes) % 3;
  const Tensor z = centre.index_select(0, of) + 0.01 * torch::randn({kNodes, 4}, torch::kDouble);
  const auto loss = made(options_of(1, 0));
  const LossInput input = foil::nodes_of({z}, foil::small_graph());
  loss->forward(input);
  torch::NoGradGuard no_grad;
  EXPECT_FALSE(loss->clusters(z).defined());
  loss->after_step(input);
  const Tensor centres = loss->named_parameters()["centres"];
  const Tensor nearest = std::get<1>(torch::cdist(z, centres).min(1));
  EXPECT_TRUE(loss->clusters(z).equal(nearest));
  for (int64_t i = 0; i < kNodes; ++i) {
    EXPECT_TRUE((nearest == nearest[i]).equal(of == of[i]));
    const Tensor mean = z.index({of == of[i]}).mean(0);
    EXPECT_LT((centres[nearest[i].item<int64_t>()] - mean).abs().max().item<double>(), 1e-12);
  }
}

TEST(SCGC, AddsTheDecodersErrorAndPretrainsByItAlone) {
  SCGC::Options options = options_of(1, 1);
  options.reconstruction_weight = 0.25;
  const Tensor z = foil::raw_views(1, kNodes, 4)[0], x = foil::raw_views(1, kNodes, 5, 8)[0];
  LossInput input = foil::nodes_of({z}, foil::small_graph(), x);
  input.decoded = {x + 2};
  const double contrast =
      0.7 * slow_contrast(z, slow_influence(foil::small_graph(), options.influence), 0.8, 0.01);
  EXPECT_NEAR(made(options)->forward(input).item<double>(), contrast + 0.25 * 4, 1e-12);
  options.pretraining = Pretraining::reconstruction;
  options.reconstruction_weight = 0;
  EXPECT_TRUE(made(options)->needs().decoded);
  EXPECT_NEAR(made(options)->forward(input).item<double>(), 4, 1e-12);
  EXPECT_FALSE(made(options_of(1, 1))->needs().decoded);
}

TEST(SCGC, LeavesNodesOutThatNothingInfluences) {
  SCGC::Options options = options_of(1, 0);
  options.influence.influence = Kind::given;
  Edges edges = foil::small_graph();
  edges.ends = edges.ends.slice(1, 0, 2);
  Tensor z = foil::raw_views(1, kNodes, 4)[0].requires_grad_();
  const Tensor value = made(options)->forward(foil::nodes_of({z}, edges));
  EXPECT_TRUE(std::isfinite(value.item<double>()));
  EXPECT_TRUE(torch::autograd::grad({value}, {z})[0].isfinite().all().item<bool>());
  edges.ends = edges.ends.slice(1, 0, 0);
  EXPECT_EQ(made(options)->forward(foil::nodes_of({z}, edges)).item<double>(), 0);
}

TEST(SCGC, TakesManyNodesABlockAtATime) {
  Tensor a = foil::unit_views(1, 1500, 3)[0].requires_grad_(),
         b = foil::unit_views(1, 1600, 3, 6)[0].requires_grad_();
  const Tensor own = torch::arange(50, 1550).unsqueeze(1) == torch::arange(1600);
  const Tensor each = torch::arange(1500).to(torch::kDouble).cos();
  const Tensor whole = (2 * torch::matmul(a, b.t())).masked_fill(own, 0).logsumexp(1);
  foil::expect_equal_gradients((each * log_all_pairs(a, b, 50, 2.0)).sum(), (each * whole).sum(), {a, b});
}

}  // namespace
