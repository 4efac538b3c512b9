// SPDX-License-Identifier: BSD-3-Clause
#include "encoders/gcn.cpp"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <cmath>

namespace {

using foil::test::error_of;

// Seven nodes with four features: edges in one direction alone, a loop at 3, node 6 without any.
foil::View seven() {
  foil::View view;
  view.modality = "graph";
  view.kind = foil::Kind::graph;
  view.data = torch::relu(torch::randn({7, 4}, torch::kDouble));
  view.edges.ends = torch::tensor({{0, 1, 2, 3, 3, 4, 5, 1}, {1, 0, 1, 3, 2, 5, 0, 4}}, torch::kLong);
  return view;
}

// D^-1/2 (A + I) D^-1/2 by its entries, A_ji = 1 for an edge from i to j.
Tensor dense_norm(const foil::Edges& edges, int64_t nodes) {
  Tensor a = torch::eye(nodes, torch::kDouble);
  for (int64_t e = 0; e < edges.ends.size(1); ++e) {
    const int64_t i = edges.ends[0][e].item<int64_t>(), j = edges.ends[1][e].item<int64_t>();
    if (i != j) a[j][i] += edges.weight.defined() ? edges.weight[e].item<double>() : 1.0;
  }
  const Tensor scale = a.sum(1).rsqrt();
  return scale.unsqueeze(1) * a * scale;
}

std::shared_ptr<GCN> made(GCN::Options options, int64_t inputs = 4) {
  torch::manual_seed(3);
  auto net = std::make_shared<GCN>(std::move(options));
  net->setup({inputs, 0, 0, foil::Kind::graph});
  net->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  for (auto& item : net->named_parameters())
    if (item.key().ends_with("bias") || item.key() == "enc_mask_token") item.value().normal_();
  return net;
}

Tensor parameter(const GCN& net, const std::string& name) { return net.named_parameters()[name]; }

std::vector<std::string> names_of(const GCN& net) {
  std::vector<std::string> names;
  for (const auto& item : net.named_parameters()) names.push_back(item.key());
  return names;
}

TEST(GCN, IsTheDenseMatrixTimesFeaturesLayerByLayer) {
  const auto net = made({.widths = {5, 3}});
  const foil::View view = seven();
  Tensor x = view.data;
  for (const char* layer : {"conv1", "conv2"})
    x = (dense_norm(view.edges, 7).matmul(x).matmul(parameter(*net, std::string(layer) + ".weight").t()) +
         parameter(*net, std::string(layer) + ".bias"))
            .clamp_min(0);
  const foil::Features got = net->forward(view);
  EXPECT_TRUE(torch::allclose(got.pooled, x, 0, 1e-12));
  EXPECT_FALSE(got.decoded.defined());
  EXPECT_EQ(net->feature_dim(), 3);
  EXPECT_EQ(names_of(*net),
            (std::vector<std::string>{"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}));
}

TEST(GCN, StandsUnderBatchNormAndEndsWithoutAnActivation) {
  const auto net = made({.widths = {5, 3}, .last_activation = false, .batch_norm = true});
  const foil::View view = seven();
  Tensor x = view.data;
  for (const char* layer : {"conv1", "conv2"}) {
    x = dense_norm(view.edges, 7).matmul(x).matmul(parameter(*net, std::string(layer) + ".weight").t()) +
        parameter(*net, std::string(layer) + ".bias");
    const bool last = layer == std::string("conv2");
    x = (x - x.mean(0)) / (x.var(0, /*unbiased=*/false) + 1e-5).sqrt() +
        parameter(*net, last ? "bn2.bias" : "bn1.bias");
    if (!last) x = x.clamp_min(0);
  }
  EXPECT_TRUE(torch::allclose(net->forward(view).pooled, x, 0, 1e-10));
  EXPECT_TRUE(net->named_buffers().contains("bn2.running_mean"));
}

TEST(GCN, BeginsGlorotUniformWithoutBiasAndWithASlopeOfAQuarter) {
  torch::manual_seed(1);
  GCN net({.widths = {300}, .activation = Activation::prelu});
  net.setup({200, 0, 0, foil::Kind::graph});
  const Tensor weight = parameter(net, "conv1.weight");
  const double bound = std::sqrt(6.0 / 500);
  EXPECT_EQ(weight.sizes(), (std::vector<int64_t>{300, 200}));
  EXPECT_LE(weight.abs().max().item<double>(), bound);
  EXPECT_NEAR(weight.var().item<double>(), bound * bound / 3, bound * bound / 3 * 0.03);
  EXPECT_EQ(parameter(net, "conv1.bias").abs().max().item<double>(), 0);
  EXPECT_EQ(parameter(net, "activation.weight").numel(), 1);
  EXPECT_EQ(parameter(net, "activation.weight").item<float>(), 0.25f);
}

TEST(GCN, TakesFeaturesInCsrLayoutWithTheSameGradients) {
  const foil::View dense = seven();
  foil::View sparse = dense;
  sparse.data = dense.data.to_sparse_csr();
  const auto net = made({.widths = {5, 3}, .activation = Activation::prelu});
  const Tensor to = torch::randn({7, 3}, torch::kDouble);
  const auto gradients = [&](const foil::View& view) {
    return torch::autograd::grad({(net->forward(view).pooled * to).sum()}, net->parameters());
  };
  EXPECT_TRUE(torch::allclose(net->forward(sparse).pooled, net->forward(dense).pooled, 0, 1e-12));
  const auto got = gradients(sparse), want = gradients(dense);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(torch::allclose(got[i], want[i], 0, 1e-11)) << i;
}

TEST(GCN, NormalisesTheWeightsOfEdgesOrTakesThemAsTheyAre) {
  foil::View view = seven();
  view.edges.weight = torch::rand({8}, torch::kDouble) + 0.1;
  const auto last = [&](EdgeWeights how) {
    const auto net = made({.widths = {3}, .last_activation = false, .edge_weights = how});
    const Tensor xw = view.data.matmul(parameter(*net, "conv1.weight").t());
    return std::pair(net->forward(view).pooled - parameter(*net, "conv1.bias"), xw);
  };
  const auto [normalised, xw] = last(EdgeWeights::normalised);
  EXPECT_TRUE(torch::allclose(normalised, dense_norm(view.edges, 7).matmul(xw), 0, 1e-12));
  const auto [given, same] = last(EdgeWeights::as_given);
  Tensor a = torch::zeros({7, 7}, torch::kDouble);
  for (int64_t e = 0; e < 8; ++e)
    a[view.edges.ends[1][e].item<int64_t>()][view.edges.ends[0][e].item<int64_t>()] += view.edges.weight[e];
  EXPECT_TRUE(torch::allclose(given, a.matmul(same), 0, 1e-12));
}

TEST(GCN, TakesTheStepsThatWereDrawnInTrainingAndItsOwnInEvaluation) {
  foil::View view = seven();
  const auto net = made({.widths = {4, 3}, .last_activation = false, .depths = {2, 1}});
  const Tensor a = dense_norm(view.edges, 7);
  const auto want = [&](std::vector<int64_t> depths) {
    Tensor x = view.data;
    for (size_t l = 0; l < 2; ++l) {
      const std::string layer = "conv" + std::to_string(l + 1);
      const Tensor bias = parameter(*net, layer + ".bias");
      x = x.matmul(parameter(*net, layer + ".weight").t());
      if (depths[l] == 0) x = a.matmul(x) + bias;
      for (int64_t i = 0; i < depths[l]; ++i) x = 0.5 * (x + a.matmul(x) + bias);
      if (l == 0) x = x.clamp_min(0);
    }
    return x;
  };
  EXPECT_TRUE(torch::allclose(net->forward(view).pooled, want({2, 1}), 0, 1e-12)) << "nothing was drawn";
  view.params = torch::tensor({9, 0, 3}, torch::kLong).expand({7, 3});
  EXPECT_TRUE(torch::allclose(net->forward(view).pooled, want({0, 3}), 0, 1e-12));
  net->eval();
  EXPECT_TRUE(torch::allclose(net->forward(view).pooled, want({2, 1}), 0, 1e-12));
}

TEST(GCN, DrawsTheSlopesOfRreluByTheNodesKeyAndTakesTheirMeanInEvaluation) {
  foil::View view = seven();
  view.key = torch::arange(7, torch::kLong) * 31 + 5;
  const auto net = made({.widths = {400}, .activation = Activation::rrelu}),
             plain = made({.widths = {400}, .last_activation = false});
  const Tensor before = plain->forward(view).pooled, got = net->forward(view).pooled;
  const Tensor negative = before < 0, slope = (got / before).masked_select(negative);
  EXPECT_TRUE(got.masked_select(~negative).equal(before.masked_select(~negative)));
  EXPECT_GE(slope.min().item<double>(), 1.0 / 8 - 1e-7);
  EXPECT_LT(slope.max().item<double>(), 1.0 / 3);
  const double mean = (1.0 / 8 + 1.0 / 3) / 2, deviation = (1.0 / 3 - 1.0 / 8) / std::sqrt(12);
  EXPECT_NEAR(slope.mean().item<double>(), mean, 4 * deviation / std::sqrt(slope.numel()));
  EXPECT_TRUE(net->forward(view).pooled.equal(got));
  foil::View other = view;
  other.key = view.key + 1;
  EXPECT_FALSE(net->forward(other).pooled.equal(got));
  net->eval();
  other.key.reset();
  EXPECT_TRUE(
      torch::allclose(net->forward(other).pooled, torch::where(negative, before * mean, before), 0, 1e-12));
}

TEST(GCN, DropsEntriesByTheNodesKeyInTraining) {
  foil::View view = seven();
  view.data = torch::rand({7, 300}, torch::kDouble) + 1;
  view.key = torch::arange(7, torch::kLong) * 31 + 5;
  view.edges.ends = torch::empty({2, 0}, torch::kLong);  // A^ is the unit matrix
  const auto net = made({.widths = {300}, .last_activation = false, .dropout = 0.25}, 300);
  {
    torch::NoGradGuard no_grad;
    parameter(*net, "conv1.weight").copy_(torch::eye(300));
    parameter(*net, "conv1.bias").zero_();
  }
  const Tensor got = net->forward(view).pooled, kept = got != 0;
  EXPECT_TRUE(torch::allclose(got, kept.to(torch::kDouble) * view.data / 0.75, 0, 1e-12));
  const double share = kept.to(torch::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.75, 4 * std::sqrt(0.75 * 0.25 / 2100));
  EXPECT_TRUE(net->forward(view).pooled.equal(got));
  foil::View csr = view, other = view;
  csr.data = view.data.to_sparse_csr();
  EXPECT_TRUE(torch::allclose(net->forward(csr).pooled, got, 0, 1e-12)) << "in CSR layout";
  other.key = view.key + 1;
  EXPECT_FALSE(net->forward(other).pooled.equal(got));
  net->eval();
  EXPECT_TRUE(torch::allclose(net->forward(view).pooled, view.data, 0, 1e-12));
}

// Node 2 is hidden, 4 has another node's features, 5 is masked as it was.
TEST(GCN, PutsATokenInHiddenNodesAndDecodesWithoutWhatWasMasked) {
  foil::View view = seven();
  view.params = torch::tensor({0, 0, 1, 0, 2, 3, 0}, torch::kFloat).unsqueeze(1);
  view.data[2].zero_();
  const auto net = made({.widths = {5, 3}, .decoder = Decoder::gcn});
  const Tensor a = dense_norm(view.edges, 7);
  Tensor x = view.data.clone();
  x[2] += parameter(*net, "enc_mask_token")[0];
  for (const char* layer : {"conv1", "conv2"})
    x = (a.matmul(x).matmul(parameter(*net, std::string(layer) + ".weight").t()) +
         parameter(*net, std::string(layer) + ".bias"))
            .clamp_min(0);
  foil::Features got = net->forward(view);
  EXPECT_TRUE(torch::allclose(got.pooled, x, 0, 1e-12));
  Tensor y = x.matmul(parameter(*net, "encoder_to_decoder.weight").t());
  for (const int64_t masked : {2, 4, 5}) y[masked] = torch::zeros({3}, torch::kDouble);
  y = a.matmul(y).matmul(parameter(*net, "decoder.weight").t()) + parameter(*net, "decoder.bias");
  EXPECT_TRUE(torch::allclose(got.decoded, y, 0, 1e-12));
  view.data = view.data.to_sparse_csr();
  EXPECT_TRUE(torch::allclose(net->forward(view).decoded, y, 0, 1e-12)) << "in CSR layout";
}

TEST(GCN, DecodesByAPerceptronWithoutTheGraph) {
  const foil::View view = seven();
  const auto net = made({.widths = {3}, .decoder = Decoder::mlp});
  const foil::Features got = net->forward(view);
  Tensor y = got.pooled.matmul(parameter(*net, "encoder_to_decoder.weight").t());
  y = y.matmul(parameter(*net, "decoder.0.weight").t()) + parameter(*net, "decoder.0.bias");
  y = torch::where(y < 0, y * parameter(*net, "decoder.1.weight"), y);
  y = y.matmul(parameter(*net, "decoder.2.weight").t()) + parameter(*net, "decoder.2.bias");
  EXPECT_TRUE(torch::allclose(got.decoded, y, 0, 1e-12));
  EXPECT_EQ(got.decoded.sizes(), (std::vector<int64_t>{7, 4}));
}

TEST(GCN, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of([] { GCN({.widths = {}}); }), "2 widths = [], allowed: a list of one or more widths.");
  EXPECT_EQ(error_of([] {
              GCN({.widths = {4, 3}, .depths = {2}});
            }),
            "2 depths = a list of 1, allowed: one for each of the 2 layers, or none.");
  EXPECT_EQ(error_of([] { GCN({.widths = {4}, .depths = {2}, .decoder = Decoder::mlp}); }),
            "2 decoder = mlp, allowed: none with depths.");
  EXPECT_EQ(error_of([] { GCN({}).setup({3, 32, 32}); }), "2 gcn: the data is image, allowed: a graph.");
  const auto net = made({.widths = {4, 3}, .depths = {2, 2}});
  foil::View view = seven();
  view.params = torch::zeros({7, 1});
  EXPECT_EQ(error_of([&] { net->forward(view); }),
            "1 gcn: the view's params are [7, 1], allowed: [nodes, 2], the depths of 2 layers, as the "
            "augmentation depths writes them.");
  view.data = torch::zeros({7, 5});
  EXPECT_EQ(error_of([&] { net->forward(view); }),
            "1 gcn: the view is [7, 5], allowed: [nodes, 4] with edges.");
  view.edges = {};
  EXPECT_EQ(error_of([&] { net->forward(view); }),
            "1 gcn: the view is [7, 5] without edges, allowed: [nodes, 4] with edges.");
}

}  // namespace
