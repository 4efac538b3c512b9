// SPDX-License-Identifier: BSD-3-Clause
// The linear probe against Newton's method and against the gradient of its stated objective by autograd; how
// L2 is chosen.
#include "evaluate/linear_probe.h"

#include "evaluate/lbfgs.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

struct Problem {
  Tensor x, y;
};

// Three overlapping classes in F correlated dimensions of very different scale and offset.
Problem overlapping(int64_t rows, int64_t width, uint64_t seed) {
  torch::manual_seed(seed);
  const Tensor y = torch::randint(3, {rows}), centre = torch::randn({3, width}, torch::kDouble);
  const Tensor mixed = (centre.index_select(0, y) + 1.5 * torch::randn({rows, width}, torch::kDouble))
                           .mm(torch::randn({width, width}, torch::kDouble));
  return {mixed * torch::logspace(-2, 2, width, 10.0, torch::kDouble) + 3, y};
}

// The minimiser of the documented objective, [3, F+1] with the bias last, for standardised x: Newton's
// method, one entry at a time.
Tensor newton(const Tensor& x, const Tensor& y, double l2) {
  const int64_t n = x.size(0), width = x.size(1), size = 3 * (width + 1);
  const Tensor ones = torch::ones({n, 1}, torch::kDouble);
  const Tensor standard = torch::cat({(x - x.mean(0)) / x.std(0, false), ones}, 1);
  Tensor w = torch::zeros({3, width + 1}, torch::kDouble);
  for (int step = 0; step < 30; ++step) {
    const Tensor p = standard.mm(w.t()).softmax(1);
    Tensor gradient = torch::zeros({size}, torch::kDouble),
           hessian = torch::zeros({size, size}, torch::kDouble);
    for (int64_t a = 0; a < 3; ++a) {
      for (int64_t b = 0; b < 3; ++b) {
        const Tensor weight = p.select(1, a) * ((a == b ? 1.0 : 0.0) - p.select(1, b));
        hessian.narrow(0, a * (width + 1), width + 1).narrow(1, b * (width + 1), width + 1) =
            standard.t().mm(standard * weight.unsqueeze(1)) / n;
      }
      const Tensor error = p.select(1, a) - (y == a).to(torch::kDouble);
      gradient.narrow(0, a * (width + 1), width + 1) = standard.t().mv(error) / n;
      for (int64_t f = 0; f < width; ++f) {
        const int64_t i = a * (width + 1) + f;
        gradient[i] += l2 * w[a][f];
        hessian[i][i] += l2;
      }
      hessian[a * (width + 1) + width][a * (width + 1) + width] +=
          1e-12;  // the biases have one direction without curvature
    }
    w = w - torch::linalg_solve(hessian, gradient).view_as(w);
  }
  return w;
}

TEST(LinearProbe, EqualsNewtonsMethod) {
  const Problem train = overlapping(83, 4, 1);
  for (double l2 : {1.0, 1e-2, 1e-4}) {
    LinearProbeOptions options;
    options.l2 = {l2};
    options.tolerance = 1e-11;
    options.max_iterations = 2000;
    const LinearProbe probe = linear_probe(train.x, train.y, train.x, train.y, 3, options);
    const Tensor truth = newton(train.x, train.y, l2);
    const Tensor weight = probe.weight * train.x.std(0, false);  // for standardised features
    const Tensor bias = probe.bias + probe.weight.mv(train.x.mean(0));
    EXPECT_TRUE(probe.converged) << l2;
    EXPECT_LT((weight - truth.narrow(1, 0, 4)).abs().max().item<double>(), 1e-6) << l2;
    EXPECT_LT(
        ((bias - bias.mean()) - (truth.select(1, 4) - truth.select(1, 4).mean())).abs().max().item<double>(),
        1e-6)
        << l2;
  }
}

TEST(LinearProbe, StopsWhereTheGradientOfItsObjectiveVanishes) {
  const Problem train = overlapping(301, 9, 2);
  const LinearProbe probe = linear_probe(train.x, train.y, train.x, train.y, 3);
  ASSERT_TRUE(probe.converged);
  EXPECT_LE(probe.gradient_norm, 1e-4);
  const Tensor standard = (train.x - train.x.mean(0)) / train.x.std(0, false);
  const Tensor weight = (probe.weight * train.x.std(0, false)).requires_grad_();
  const Tensor bias = (probe.bias + probe.weight.mv(train.x.mean(0))).requires_grad_();
  const Tensor loss = torch::cross_entropy_loss(standard.mm(weight.t()) + bias, train.y) +
                      probe.l2 / 2 * weight.square().sum();
  loss.backward();
  const double norm = std::hypot(weight.grad().norm().item<double>(), bias.grad().norm().item<double>());
  EXPECT_NEAR(norm, probe.gradient_norm, 1e-10);
}

TEST(LinearProbe, CountsHitsOnTest) {
  const Problem train = overlapping(200, 5, 3);
  const Tensor test = train.x.narrow(0, 0, 71);
  const LinearProbe probe = linear_probe(train.x, train.y, test, train.y.narrow(0, 0, 71), 3);
  int64_t hits = 0;
  for (int64_t i = 0; i < 71; ++i)
    hits += (probe.weight.mv(test[i]) + probe.bias).argmax().item<int64_t>() == train.y[i].item<int64_t>();
  EXPECT_EQ(probe.accuracy, static_cast<double>(hits) / 71);
  EXPECT_GT(hits, 30);
  EXPECT_LT(hits, 71);
}

TEST(LinearProbe, SeparatesWhatIsSeparable) {
  torch::manual_seed(4);
  const Tensor y = torch::randint(4, {157}),
               x = 5 * torch::one_hot(y, 4).to(torch::kFloat) + 0.1 * torch::randn({157, 4});
  const LinearProbe probe = linear_probe(x, y, x, y, 4);
  EXPECT_EQ(probe.accuracy, 1.0);
  EXPECT_TRUE(probe.converged);
}

TEST(LinearProbe, ChoosesL2WithoutLookingAtTest) {
  const Problem train = overlapping(240, 6, 5), test = overlapping(91, 6, 5);
  const LinearProbe a = linear_probe(train.x, train.y, test.x, test.y, 3);
  const LinearProbe b = linear_probe(train.x, train.y, test.x, test.y.flip(0), 3);
  EXPECT_EQ(a.l2, b.l2);
  EXPECT_TRUE(a.weight.equal(b.weight));
  EXPECT_NE(a.accuracy, b.accuracy);
}

TEST(LinearProbe, ChoosesAStrongPenaltyForNoiseAndAWeakOneForSignal) {
  torch::manual_seed(6);
  const Tensor y = torch::randint(2, {400});
  Tensor noisy = torch::randn({400, 150});
  noisy.select(1, 0) += 1.5 * y;  // one telling feature among 150
  const LinearProbe strong = linear_probe(noisy, y, noisy, y, 2);
  EXPECT_GE(strong.l2, 1e-2);
  EXPECT_LT(strong.held_out_accuracy, strong.accuracy);  // the held-out rows were not fitted
  const Tensor x = torch::randn({400, 2}),
               boundary = (x.select(1, 0) + 8 * x.select(1, 1) > 3).to(torch::kLong);
  EXPECT_LE(linear_probe(x, boundary, x, boundary, 2).l2, 1e-2);
}

TEST(LinearProbe, TakesTheLargerOfEquallyGoodL2) {
  torch::manual_seed(7);
  const Tensor y = torch::arange(120) % 2, x = (10.0 * y).unsqueeze(1) + 0.1 * torch::randn({120, 1});
  LinearProbeOptions options;
  options.l2 = {1e-6, 1e-2, 1e-1, 1e-4};
  EXPECT_EQ(linear_probe(x, y, x, y, 2, options).l2, 1e-1);
}

TEST(LinearProbe, HoldsOutByTheSeed) {
  const Problem train = overlapping(130, 4, 8);
  const auto held_out = [&](uint64_t seed) {
    LinearProbeOptions options;
    options.seed = seed;
    return linear_probe(train.x, train.y, train.x, train.y, 3, options).held_out_accuracy;
  };
  EXPECT_EQ(held_out(0), held_out(0));
  EXPECT_NEAR(held_out(0) * 13, std::round(held_out(0) * 13), 1e-9);  // a tenth of 130 rows
  bool differs = false;
  for (uint64_t seed = 1; seed < 6; ++seed) differs = differs || held_out(seed) != held_out(0);
  EXPECT_TRUE(differs);
}

TEST(LinearProbe, DoesNotDependOnScaleOffsetOrChunk) {
  const Problem train = overlapping(103, 5, 9);
  LinearProbeOptions options;
  options.l2 = {1e-3};
  options.tolerance = 1e-8;
  const LinearProbe plain = linear_probe(train.x, train.y, train.x, train.y, 3, options);
  options.chunk_bytes = 30 * 5 * 8;
  const Tensor moved = train.x * torch::tensor({1e3, 1., 1e-3, 1., 7.}, torch::kDouble) - 11;
  const LinearProbe other = linear_probe(moved, train.y, moved, train.y, 3, options);
  const Tensor logits = train.x.mm(plain.weight.t()) + plain.bias;
  EXPECT_LT((logits - (moved.mm(other.weight.t()) + other.bias)).abs().max().item<double>(), 1e-5);
}

TEST(LinearProbe, LeavesConstantFeaturesOut) {
  const Problem train = overlapping(103, 5, 10);
  const Tensor wider = torch::cat({train.x, torch::full({103, 1}, 0.1), torch::zeros({103, 1})}, 1);
  const LinearProbe probe = linear_probe(wider, train.y, wider, train.y, 3),
                    without = linear_probe(train.x, train.y, train.x, train.y, 3);
  EXPECT_EQ(probe.weight.narrow(1, 5, 2).abs().max().item<double>(), 0);
  EXPECT_EQ(probe.l2, without.l2);
  EXPECT_EQ(probe.accuracy, without.accuracy);
}

TEST(LinearProbe, SaysWhenItDidNotConverge) {
  const Problem train = overlapping(103, 5, 11);
  LinearProbeOptions options;
  options.l2 = {1e-6};
  options.max_iterations = 2;
  const LinearProbe probe = linear_probe(train.x, train.y, train.x, train.y, 3, options);
  EXPECT_FALSE(probe.converged);
  EXPECT_EQ(probe.iterations, 2);
  EXPECT_GT(probe.gradient_norm, options.tolerance);
}

TEST(LinearProbe, RejectsBadLabelsAndShapes) {
  const Tensor x = torch::randn({4, 3}), y = torch::tensor({0, 1, 2, 1});
  const auto message = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message([&] { linear_probe(x, y, x, y, 2); }),
            "linear probe, train: labels from 0 to 2, allowed: 0 to 1.");
  EXPECT_EQ(message([&] { linear_probe(x, y, x, -y, 3); }),
            "linear probe, test: labels from -2 to 0, allowed: 0 to 2.");
  EXPECT_EQ(message([&] { linear_probe(x, y, x.narrow(1, 0, 2), y, 3); }),
            "linear probe: test is [4, 2] but train is [4, 3]; last sizes must agree.");
  EXPECT_EQ(message([&] { linear_probe(x / 0.0, y, x, y, 3); }),
            "linear probe, train: 4 of 4 rows hold nan or inf, the first is row 0.");
  EXPECT_EQ(message([&] { linear_probe(x, y * 0, x, y * 0, 1); }),
            "linear probe: 1 class, allowed: 2 or more.");
}

TEST(Lbfgs, FindsTheMinimumOfAnIllConditionedQuadratic) {
  const Tensor scale = torch::logspace(-2, 3, 17, 10.0, torch::kDouble),
               minimum = torch::arange(17).to(torch::kDouble) - 5;
  const auto value = [&](const Tensor& x, Tensor& gradient) {
    gradient.copy_(scale * (x - minimum));
    return (0.5 * scale * (x - minimum).square()).sum().item<double>();
  };
  const auto done = [](const Tensor& gradient) { return gradient.norm().item<double>() < 1e-8; };
  const Minimum found = minimise(value, torch::zeros({17}, torch::kDouble), done, 500);
  EXPECT_TRUE(found.converged);
  EXPECT_LT((found.x - minimum).abs().max().item<double>(), 1e-5);
  EXPECT_FALSE(minimise(value, torch::zeros({17}, torch::kDouble), done, 3).converged);
}

}  // namespace
}  // namespace foil
