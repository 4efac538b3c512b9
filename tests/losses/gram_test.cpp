// SPDX-License-Identifier: BSD-3-Clause
// GRAM against the determinants of explicit Gram matrices, in long double where views are near duplicates.
#include "losses/gram.cpp"

#include "tests/support/error_of.h"
#include "tests/support/loss_steps.h"

namespace {

using Real = long double;
using Row = std::vector<Real>;

Real dot(const Row& a, const Row& b) {
  Real sum = 0;
  for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

// The square root of the determinant of the Gram matrix, by elimination.
Real volume(const std::vector<Row>& rows) {
  const size_t n = rows.size();
  std::vector<Row> g(n, Row(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) g[i][j] = dot(rows[i], rows[j]);
  Real product = 1;
  for (size_t k = 0; k < n; ++k) {
    product *= g[k][k];
    for (size_t i = k + 1; i < n; ++i) {
      const Real factor = g[i][k] / g[k][k];
      for (size_t j = k; j < n; ++j) g[i][j] -= factor * g[k][j];
    }
  }
  return std::sqrt(std::abs(product));
}

// Unit rows by view and sample.
std::vector<std::vector<Row>> rows_of(const std::vector<Tensor>& z) {
  std::vector<std::vector<Row>> all;
  for (const Tensor& view : z) {
    all.emplace_back();
    for (int64_t i = 0; i < view.size(0); ++i) {
      const Tensor x = view[i].detach().contiguous();
      Row row(x.const_data_ptr<double>(), x.const_data_ptr<double>() + x.size(0));
      const Real norm = std::sqrt(dot(row, row));
      for (Real& d : row) d /= norm;
      all.back().push_back(row);
    }
  }
  return all;
}

// The formula pair by pair.
double slow(const std::vector<Tensor>& z, const GRAM::Options& o = {}) {
  const auto rows = rows_of(z);
  const size_t n = rows[0].size();
  std::vector<Row> s(n, Row(n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      std::vector<Row> spanning{rows[0][i]};
      for (size_t v = 1; v < z.size(); ++v) spanning.push_back(rows[v][j]);
      s[i][j] = -volume(spanning) / static_cast<Real>(o.temperature);
    }
  }
  Real loss = 0;
  for (size_t i = 0; i < n; ++i) {
    for (const bool by_row : {true, false}) {
      Real exponentials = 0, mean = 0;
      for (size_t j = 0; j < n; ++j) {
        const Real score = by_row ? s[i][j] : s[j][i];
        exponentials += std::exp(score);
        mean += score / static_cast<Real>(n);
      }
      loss += (std::log(exponentials) - (1 - o.label_smoothing) * s[i][i] - o.label_smoothing * mean) /
              static_cast<Real>(2 * n);
    }
  }
  return static_cast<double>(loss);
}

std::shared_ptr<GRAM> gram(const GRAM::Options& options = {}) {
  auto loss = std::make_shared<GRAM>(options);
  loss->setup({});
  loss->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  loss->parameters()[0].fill_(options.temperature);
  return loss;
}

double value(const std::vector<Tensor>& z, const GRAM::Options& options = {}) {
  return gram(options)->forward(foil::input_of(z)).item<double>();
}

// Views of each sample that differ by about `distance`.
std::vector<Tensor> near_duplicates(int64_t views, double distance, int64_t n = 5, int64_t d = 7) {
  const Tensor centre = foil::unit_views(1, n, d)[0];
  std::vector<Tensor> z;
  for (const Tensor& noise : foil::unit_views(views, n, d, 8))
    z.push_back(foil::unit(centre + distance * noise));
  return z;
}

std::vector<Tensor> gradients(const std::vector<Tensor>& z, const GRAM::Options& options = {}) {
  std::vector<Tensor> leaves;
  for (const Tensor& view : z) leaves.push_back(view.clone().requires_grad_());
  std::vector<Tensor> units;
  for (const Tensor& leaf : leaves) units.push_back(foil::unit(leaf));
  const auto loss = gram(options);
  if (z[0].scalar_type() == torch::kFloat) loss->to(torch::kFloat);
  return torch::autograd::grad({loss->forward(foil::input_of(units))}, leaves);
}

TEST(GRAM, EqualsTheDeterminantsPairByPair) {
  for (const int64_t views : {2, 3, 4, 5}) {
    const auto z = foil::unit_views(views, 6, 7);
    EXPECT_NEAR(value(z), slow(z), 1e-12) << views << " views";
    EXPECT_NEAR(value(z, {.temperature = 0.3, .label_smoothing = 0}),
                slow(z, {.temperature = 0.3, .label_smoothing = 0}), 1e-12)
        << views << " views";
  }
}

TEST(GRAM, OfTwoViewsTakesOppositeForEqual) {
  const auto z = foil::unit_views(2, 6, 7);
  EXPECT_NEAR(value({z[0], -z[0]}), value({z[0], z[0]}), 1e-12);
  EXPECT_NEAR(value({z[0], -z[1]}), value(z), 1e-12);
}

TEST(GRAM, TheOrderOfTheOtherViewsIsNothing) {
  const auto z = foil::unit_views(4, 6, 7);
  EXPECT_NEAR(value({z[0], z[3], z[1], z[2]}), value(z), 1e-12);
}

TEST(GRAM, IsExactAtNearDuplicates) {
  for (const int64_t views : {2, 3, 4, 5}) {
    for (const double distance : {1e-2, 1e-4}) {
      const auto z = near_duplicates(views, distance);
      EXPECT_NEAR(value(z), slow(z), 1e-9) << views << " views at " << distance;
    }
  }
}

// The quotient of the slow truth; what the volumes of five vectors a thousandth apart leave of it is
// rounding.
TEST(GRAM, GradientsAtNearDuplicatesAreThoseOfTheVolume) {
  const double step = 1e-7;
  for (const int64_t views : {2, 3, 4}) {
    const auto z = near_duplicates(views, 1e-3);
    const auto got = gradients(z);
    for (size_t v = 0; v < z.size(); ++v) {
      for (const int64_t d : {0, 3}) {
        auto more = z, less = z;
        more[v] = z[v].clone(), less[v] = z[v].clone();
        more[v][2][d] += step, less[v][2][d] -= step;
        EXPECT_NEAR(got[v][2][d].item<double>(), (slow(more) - slow(less)) / (2 * step), 1e-5)
            << views << " views, view " << v << ", entry " << d;
      }
    }
  }
}

TEST(GRAM, GradientsOfEqualViewsAreFiniteAndBounded) {
  for (const auto type : {torch::kDouble, torch::kFloat}) {
    for (const int64_t views : {2, 3, 4, 5}) {
      for (const double distance : {0.0, 1e-9, 1e-6}) {
        auto z = near_duplicates(views, distance);
        for (Tensor& view : z) view = view.to(type);
        for (const Tensor& gradient : gradients(z)) {
          EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << views << " views at " << distance;
          // A volume moves by no more than 1 of what a unit vector does; two directions, N terms, a share
          // each.
          EXPECT_LE(gradient.norm(2, {1}).max().item<double>(), 4 / 0.07)
              << views << " views at " << distance;
        }
      }
    }
  }
}

// As one matrix: more rows than a block holds.
TEST(GRAM, BlocksGiveTheWhole) {
  std::vector<Tensor> leaves = foil::unit_views(4, 650, 6), z;
  for (Tensor& leaf : leaves) z.push_back(foil::unit(leaf.requires_grad_()));
  const auto loss = gram();
  leaves.push_back(loss->parameters()[0]);
  const Tensor ours = loss->forward(foil::input_of(z));
  const Others others = others_of(z);
  const Tensor s = -volumes(torch::stack(others.axes, 1), others.volume, z[0]).t() / leaves[4];
  const auto entropy = [](const Tensor& scores) {
    return (scores.logsumexp(1) - 0.9 * scores.diagonal() - 0.1 * scores.mean(1)).mean();
  };
  const Tensor whole = (entropy(s) + entropy(s.t())) / 2;
  EXPECT_NEAR(ours.item<double>(), whole.item<double>(), 1e-12);
  const auto gradient = [&](const Tensor& of) {
    return torch::autograd::grad({of}, leaves, {}, /*retain_graph=*/true);
  };
  const auto got = gradient(ours), want = gradient(whole);
  for (size_t i = 0; i < leaves.size(); ++i)
    EXPECT_LT((got[i] - want[i]).abs().max().item<double>(), 1e-12) << i;
}

TEST(GRAM, DetachedItTeachesEachSideByItsOwnDirection) {
  // The value is the same; of each gradient that of the compared side is missing.
  const auto z = foil::unit_views(3, 6, 7);
  EXPECT_EQ(value(z), value(z, {.detach_gathered = true}));
  const auto whole = gradients(z), held = gradients(z, {.detach_gathered = true});
  for (size_t v = 0; v < 3; ++v) EXPECT_GT((whole[v] - held[v]).abs().max().item<double>(), 1e-4) << v;
}

TEST(GRAM, OneSampleHasNothingToTellApart) { EXPECT_EQ(value(foil::unit_views(3, 1, 4)), 0); }

TEST(GRAM, BringsTheTemperatureBackToItsBound) {
  const auto loss = gram({.smallest_temperature = 0.02});
  torch::NoGradGuard no_grad;
  loss->parameters()[0].fill_(-0.3);
  loss->after_step({});
  EXPECT_EQ(loss->parameters()[0].item<double>(), 0.02);
  EXPECT_EQ(loss->parameters()[0].dim(), 0);
}

TEST(GRAM, RefusesMoreViewsThanDimensions) {
  EXPECT_EQ(foil::test::refusal([] { GRAM({}).setup({.z_dim = 3, .views = 4}); }),
            "gram: 4 views in 3 dimensions span no volume, allowed: at most as many views as z has "
            "dimensions.");
}

TEST(GRAM, SaysThatThereIsNoSecondDerivative) {
  auto z = foil::unit_views(2, 4, 5);
  for (Tensor& view : z) view.requires_grad_();
  const Tensor loss = gram()->forward(foil::input_of(z));
  EXPECT_EQ(foil::test::refusal([&] { torch::autograd::grad({loss}, z, {}, true, /*create_graph=*/true); },
                                foil::Exit::failure),
            "gram has no second derivative.");
}

}  // namespace
