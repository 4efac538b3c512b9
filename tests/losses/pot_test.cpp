// SPDX-License-Identifier: BSD-3-Clause
#include "losses/pot.cpp"

#include "tests/support/error_of.h"
#include "tests/support/loss_steps.h"

namespace {

using compactness::Layers;

constexpr int64_t kNodes = 8, kFeatures = 6, kHidden = 10, kWidth = 4;

// An undirected graph, node 7 without an edge; [2, 20].
Tensor graph() {
  const Tensor half =
      torch::tensor({0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 1, 2, 3, 4, 2, 5, 6, 6, 5, 6}, torch::kLong).view({2, 10});
  return torch::cat({half, half.flip(0)}, 1);
}

// Its directed edges but some.
Tensor without(std::vector<int64_t> dropped) {
  const Tensor ends = graph();
  Tensor kept = torch::ones({ends.size(1)}, torch::kBool);
  for (const int64_t edge : dropped) kept[edge] = false;
  return ends.index_select(1, kept.nonzero().squeeze(1));
}

// D^-1/2 (A + I) D^-1/2, entry [to, from].
Tensor dense(const Tensor& ends) {
  Tensor a = torch::eye(kNodes, torch::kDouble);
  for (int64_t e = 0; e < ends.size(1); ++e) a[ends[1][e].item<int64_t>()][ends[0][e].item<int64_t>()] = 1;
  const Tensor scale = a.sum(1).rsqrt();
  return scale.unsqueeze(1) * a * scale;
}

struct Problem {
  Tensor x, slope;
  Layers layers;
  std::vector<Tensor> h;
  LossInput input;
};

Problem problem(double slope) {
  torch::manual_seed(11);
  Problem p;
  const auto leaf = [](at::IntArrayRef shape) {
    return torch::randn(shape, torch::kDouble).requires_grad_();
  };
  p.x = leaf({kNodes, kFeatures});
  p.slope = torch::tensor({slope}, torch::kDouble).requires_grad_();
  p.layers = {leaf({kHidden, kFeatures}), leaf({kHidden}), leaf({kWidth, kHidden}), leaf({kWidth}),
              p.slope[0]};
  p.h = {leaf({kNodes, kWidth}), leaf({kNodes, kWidth})};
  p.input = foil::input_of({p.h[0], p.h[1], p.h[0]});
  p.input.h = p.input.z;
  for (const Tensor& ends : {without({0, 3, 12}), without({5, 17}), graph()}) {
    foil::View view;
    view.data = p.x;
    view.edges.ends = ends;
    p.input.views.push_back(view);
  }
  p.input.weights = {{"encoder.conv1.weight", p.layers.weight1},
                     {"encoder.conv1.bias", p.layers.bias1},
                     {"encoder.conv2.weight", p.layers.weight2},
                     {"encoder.conv2.bias", p.layers.bias2},
                     {"encoder.activation.weight", p.slope}};
  return p;
}

std::vector<Tensor> leaves(const Problem& p) {
  return {p.x, p.layers.weight1, p.layers.bias1, p.layers.weight2, p.layers.bias2, p.h[0], p.h[1]};
}

// The paper's steps on dense matrices, for nodes [m].
struct Slow {
  Tensor low[2], high[2], slope[2], raise[2];

  Slow(const Problem& p, const Tensor& chosen, double rate) {
    Tensor upper = torch::zeros({kNodes, kNodes}, torch::kDouble), lower = torch::zeros_like(upper);
    const Tensor pattern = dense(graph()) > 0, degree = pattern.sum(1) - 1;
    const auto left = [&](int64_t i) {
      const double d = degree[i].item<double>();
      return d + 1 - std::min(std::max(d - 1, 0.0), std::nearbyint(rate * d));
    };
    for (int64_t i = 0; i < kNodes; ++i) {
      lower[i][i] = 1 / (degree[i].item<double>() + 1);
      for (int64_t j = 0; j < kNodes; ++j)
        if (pattern[i][j].item<bool>()) upper[i][j] = 1 / std::sqrt(left(i) * left(j));
    }
    const auto cut = [&](const Tensor& m) { return m.index_select(0, chosen).index_select(1, chosen); };
    const Tensor centre = cut(upper + lower) / 2, radius = cut(upper - lower) / 2;
    const Tensor y1 = torch::matmul(p.x, p.layers.weight1.t());
    const Tensor hidden = p.layers.act(torch::matmul(dense(graph()), y1) + p.layers.bias1);
    const Tensor y[] = {y1.index_select(0, chosen),
                        torch::matmul(hidden, p.layers.weight2.t()).index_select(0, chosen)};
    const Tensor bias[] = {p.layers.bias1, p.layers.bias2}, &a = p.layers.slope;
    for (int l = 0; l < 2; ++l) {
      low[l] = torch::matmul(centre, y[l]) - torch::matmul(radius, y[l].abs()) + bias[l];
      high[l] = torch::matmul(centre, y[l]) + torch::matmul(radius, y[l].abs()) + bias[l];
      const Tensor mixed = (low[l] < 0).logical_and(high[l] > 0), one = torch::ones_like(low[l]);
      const auto divisor = [&](const Tensor& x) { return torch::where(mixed, x, one); };
      slope[l] = torch::where(mixed, (high[l] - a * low[l]) / divisor(high[l] - low[l]),
                              torch::where(low[l] >= 0, one, a * one));
      raise[l] = torch::where(mixed, (a - 1) * high[l] * low[l] / divisor(high[l] - a * low[l]), 0 * one);
    }
  }

  Tensor loss(const Problem& p, const Tensor& chosen, const Tensor& h, const Tensor& adjacency) const {
    const double m = static_cast<double>(chosen.size(0));
    const Tensor z = foil::unit(h.index_select(0, chosen)), x = p.x.index_select(0, chosen);
    const Tensor contrast = z - (z.sum(0) - z) / (m - 1);  // own row less the mean of the others
    const Tensor line2 = slope[1] * contrast, w2 = torch::matmul(line2, p.layers.weight2);
    const Tensor b2 = (line2 * (raise[1] * (contrast < 0) + p.layers.bias2)).sum(1);
    const Tensor line1 = slope[0] * w2, w1 = torch::matmul(line1, p.layers.weight1);
    const Tensor b1 = (line1 * (raise[0] * (w2 < 0) + p.layers.bias1)).sum(1);
    const Tensor a = adjacency.index_select(0, chosen).index_select(1, chosen);
    const Tensor score = torch::matmul(a, torch::matmul(a, (x * w1).sum(1)) + b1) + b2;
    return torch::log1p((-score).exp()).mean();
  }
};

void expect_slow(const Problem& p, const Tensor& value, const Tensor& chosen, bool transposed) {
  const Slow slow(p, chosen, 0.4);
  Tensor want = torch::zeros({}, torch::kDouble);
  for (size_t v = 0; v < 2; ++v) {
    const Tensor a = dense(p.input.views[v].edges.ends);
    want = want + slow.loss(p, chosen, p.h[1 - v], transposed ? a.t() : a) / 2;
  }
  EXPECT_NEAR(value.item<double>(), want.item<double>(), 1e-12);
  const auto ours = torch::autograd::grad({value}, leaves(p)),
             theirs = torch::autograd::grad({want}, leaves(p));
  for (size_t i = 0; i < ours.size(); ++i)
    EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-10, 1e-13)) << i;
}

TEST(POT, EqualsItsStepsOnDenseMatrices) {
  for (const bool transposed : {false, true}) {
    const Problem p = problem(0.25);
    POT loss({.activation = POT::Activation::prelu, .outgoing_edges = transposed});
    expect_slow(p, loss.forward(p.input), torch::arange(kNodes), transposed);
  }
  const Problem p = problem(0);
  expect_slow(p, POT({}).forward(p.input), torch::arange(kNodes), false);
}

TEST(POT, TakesTheNodesOfTheSmallestDrawsAndTheEdgesBetweenThem) {
  const Problem p = problem(0);
  p.input.preset("nodes", torch::tensor({0.9F, 0.1F, 0.3F, 0.8F, 0.2F, 0.5F, 0.4F, 0.7F}).unsqueeze(1));
  expect_slow(p, POT({.nodes_per_step = 5}).forward(p.input), torch::tensor({1, 4, 2, 6, 5}), false);
}

TEST(POT, BoundsTheAdjacencyAndWhatGoesIntoTheActivations) {
  const Problem p = problem(0.25);
  torch::NoGradGuard no_grad;
  const Tensor all = torch::arange(kNodes);
  const auto bounds = compactness::adjacency_bounds({graph(), {}, {}}, kNodes, 0.4, torch::kDouble, false);
  const compactness::BoundedLayers bounded(p.x, {graph(), {}, {}}, bounds, all, p.layers);
  Tensor upper = torch::zeros({kNodes, kNodes}, torch::kDouble);
  upper.index_put_({bounds.upper.ends[0], bounds.upper.ends[1]}, bounds.upper.weight);
  const Tensor most = (0.4 * (dense(graph()) > 0).sum(1).sub(1)).round();
  torch::manual_seed(4);
  int tried = 0;
  for (int i = 0; i < 400; ++i) {  // undirected edges dropped at random, where no node loses too many
    const Tensor kept = (torch::rand({10}) > 0.25).repeat({2}),
                 ends = graph().index_select(1, kept.nonzero().squeeze(1));
    const Tensor a = dense(ends), lost = (dense(graph()) > 0).sum(1) - (a > 0).sum(1);
    if ((lost > most).any().item<bool>()) continue;
    ++tried;
    EXPECT_TRUE((a <= upper + 1e-12).all().item<bool>());
    EXPECT_TRUE((a.diag() >= bounds.lower - 1e-12).all().item<bool>());
    const Tensor in = torch::matmul(a, torch::matmul(p.x, p.layers.weight1.t())) + p.layers.bias1;
    EXPECT_TRUE((in >= bounded.first->low - 1e-12).all().item<bool>());
    EXPECT_TRUE((in <= bounded.first->high + 1e-12).all().item<bool>());
    const Tensor out = p.layers.act(in), &slope = bounded.first->slope;
    EXPECT_TRUE((out >= slope * in - 1e-12).all().item<bool>());
    EXPECT_TRUE((out <= slope * (in + bounded.first->raise) + 1e-12).all().item<bool>());
  }
  EXPECT_GT(tried, 20);
}

TEST(POT, ReadsFeaturesInCSRLayout) {
  const Problem p = problem(0);
  const double dense_value = POT({}).forward(p.input).item<double>();
  LossInput sparse = p.input.anew();
  for (foil::View& view : sparse.views) view.data = p.x.detach().to_sparse_csr();
  EXPECT_NEAR(POT({}).forward(sparse).item<double>(), dense_value, 1e-12);
}

TEST(POT, RefusesAnEncoderWhoseSecondLayerIsNotItsLast) {
  const Problem p = problem(0);
  LossInput input = p.input.anew();
  for (Tensor& h : input.h) h = torch::zeros({kNodes, kWidth + 1}, torch::kDouble);
  EXPECT_EQ(
      foil::test::refusal([&] { POT({}).forward(input); }, foil::Exit::failure),
      "POT: h is [8, 5] but the encoder's second layer gives 4 columns, allowed: an encoder of two layers.");
}

}  // namespace
