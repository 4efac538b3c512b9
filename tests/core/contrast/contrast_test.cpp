// SPDX-License-Identifier: BSD-3-Clause
// Every channel, schedule and mask against the whole matrix in plain tensors.
#include "contrast/plan.h"
#include "tests/core/contrast/truth.h"

#include <ATen/Parallel.h>

namespace {

using foil::Tensor;
using namespace foil::contrast;

// The tiles are small here: threads would only wait for each other.
const bool one_thread = (at::set_num_threads(1), true);

struct Shape {
  int64_t rows = 23, columns = 31, width = 7;
};

Tensor random(at::IntArrayRef sizes, double scale = 1) {
  return (torch::randn(sizes, torch::kDouble) * scale).requires_grad_();
}

// Everything that pairs can have: ids that leave out some pairs, labels of few classes and of none.
Pairs full(const Shape& s = {}) {
  torch::manual_seed(3);
  Pairs pairs{.row = {.data = random({s.rows, s.width})},
              .column = {.data = random({s.columns, s.width})},
              .scale = Scale(torch::tensor(0.8, torch::kDouble).requires_grad_())};
  const Tensor few = torch::arange(s.rows) % 7, many = torch::arange(s.columns) % 9;
  pairs.row.id = few * 3;
  pairs.column.id = many * 2;
  pairs.row.label = torch::arange(s.rows) % 5 - 1;
  pairs.column.label = torch::arange(s.columns) % 4 - 1;
  pairs.row.scale = (torch::rand({s.rows}, torch::kDouble) + 0.5).requires_grad_();
  pairs.column.scale = (torch::rand({s.columns}, torch::kDouble) + 0.5).requires_grad_();
  pairs.row.offset = random({s.rows});
  pairs.column.offset = random({s.columns});
  return pairs;
}

Pairs symmetric(int64_t n = 29) {
  Pairs pairs = full({n, n, 6});
  pairs.column = {};
  return pairs;
}

const std::vector<Tiling> kTilings = {
    {},
    {.rows = 3, .columns = 5},
    {.rows = 3, .columns = 5, .triangle = false},
    {.rows = 3, .columns = 5, .cached = false},
    {.rows = 3, .columns = 5, .triangle = false, .cached = false, .panel = false},
    {.rows = 64, .columns = 1},
    {.rows = 1, .columns = 64, .cached = false},
    {.plain = true},
    {.rows = 3, .plain = true}};

void equals_truth(const Pairs& pairs, const std::vector<Channel>& channels, double allowed = 1e-12) {
  const std::vector<Tensor> expected = truth::reduce(pairs, channels), leaves = truth::leaves(pairs);
  const bool differentiable = truth::weighted(expected).requires_grad();
  std::vector<Tensor> slopes;
  if (differentiable) slopes = truth::gradients(truth::weighted(expected), leaves);
  for (size_t t = 0; t < kTilings.size(); ++t) {
    const TilingScope scope(kTilings[t]);
    const std::vector<Tensor> got = reduce(pairs, channels);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(got[k].sizes(), expected[k].sizes());
      EXPECT_LE(truth::apart(got[k], expected[k]), allowed) << "tiling " << t << ", channel " << k;
    }
    if (!differentiable) continue;
    const std::vector<Tensor> by = truth::gradients(truth::weighted(got), leaves);
    for (size_t i = 0; i < by.size(); ++i)
      EXPECT_LE(truth::apart(by[i], slopes[i]), allowed) << "tiling " << t << ", gradient " << i;
  }
}

// With `positive` and without, where rows have equal weights and where not.
void averages_equal_truth(const Pairs& pairs, const Tensor& positive, Which which = Which::all) {
  const Tensor lse = truth::reduce(pairs, {foil::contrast::lse(Per::row, which)})[0];
  const Tensor expected = positive.defined() ? torch::logaddexp(lse - positive, torch::zeros_like(lse)) : lse;
  std::vector<Tensor> leaves = truth::leaves(pairs);
  if (positive.defined()) leaves.push_back(positive);
  for (size_t t = 0; t < kTilings.size(); ++t) {
    const TilingScope scope(kTilings[t]);
    const Tensor got = mean_lse(pairs, positive, which);
    EXPECT_LE(truth::apart(got, expected), 1e-12) << "tiling " << t;
    const auto mean = [](const Tensor& x) {
      return torch::where(x.isfinite(), x, torch::zeros_like(x)).mean();
    };
    for (const auto& value : {std::pair{mean(got), mean(expected)},
                              std::pair{truth::weighted({got}), truth::weighted({expected})},
                              std::pair{mean(got), mean(expected)}}) {
      const std::vector<Tensor> by = truth::gradients(value.first, leaves),
                                slopes = truth::gradients(value.second, leaves);
      for (size_t i = 0; i < by.size(); ++i)
        EXPECT_LE(truth::apart(by[i], slopes[i]), 1e-12) << "tiling " << t << ", gradient " << i;
    }
  }
}

TEST(Contrast, EqualsTheWholeMatrixPerRow) { equals_truth(full(), {lse()}); }
TEST(Contrast, EqualsTheWholeMatrixPerColumn) { equals_truth(full(), {lse(Per::column)}); }
TEST(Contrast, EqualsTheWholeMatrixInBothDirections) { equals_truth(full(), {lse(), lse(Per::column)}); }
TEST(Contrast, EqualsTheWholeMatrixOfPairsAlikeAndUnlike) {
  equals_truth(full(), {lse(Per::row, Which::alike), lse(Per::column, Which::unlike), lse(),
                        lse(Per::column, Which::alike)});
}
TEST(Contrast, EqualsTheWholeMatrixWithOtherSlopes) {
  equals_truth(full(), {lse().times(1.5), lse().times(-0.5), lse(Per::column).times(1.5)});
}
TEST(Contrast, EqualsTheWholeMatrixOfTheSumsOfEveryPhi) {
  for (const Phi phi :
       {Phi::identity, Phi::exp, Phi::softplus, Phi::sigmoid, Phi::hinge, Phi::squared_hinge}) {
    equals_truth(full(), {sum(phi)});
    equals_truth(full(), {sum(phi), sum(phi, Per::column), lse(Per::row, Which::alike)});
    equals_truth(symmetric(), {sum(phi, Per::row, Which::unlike)});
  }
}
TEST(Contrast, EqualsTheLargestOfTheWholeMatrix) {
  equals_truth(full(), {max(), max(Per::column), max(Per::row, Which::alike), lse()});
  equals_truth(symmetric(), {max()});
}
TEST(Contrast, EqualsTheWholeMatrixWhereTheColumnsAreTheRows) {
  equals_truth(symmetric(), {lse()});
  equals_truth(symmetric(), {lse(), sum(Phi::exp, Per::row, Which::alike)});
  equals_truth(symmetric(), {lse(), lse(Per::column, Which::unlike)});
}
TEST(Contrast, EqualsTheWholeMatrixInRangesOfColumns) {
  Pairs pairs = full();
  pairs.segments = {7, 0, 13, 11};
  equals_truth(pairs, {lse(), lse(Per::column), sum(Phi::softplus), max()});
  pairs = symmetric();
  pairs.segments = {4, 17, 8};
  equals_truth(pairs, {lse(), max(), sum(Phi::sigmoid)});
}
TEST(Contrast, EqualsTheWholeMatrixWithoutPairsThatAreNamed) {
  // In no order, one of them twice, a whole row, and some that ids leave out already.
  const Tensor named = torch::tensor({22, 0, 4, 4, 9, 0, 22, 9, 30, 2, 5, 5, 0, 0, 22, 30}).view({2, 8});
  Pairs pairs = full();
  pairs.left_out = torch::cat({named, torch::stack({torch::full({31}, 7), torch::arange(31)})}, 1);
  equals_truth(pairs, {lse(), lse(Per::column), sum(Phi::softplus), max(), lse(Per::row, Which::alike)});
  averages_equal_truth(pairs, random({23}));
  pairs = symmetric();
  pairs.left_out = named.remainder(29);  // the matrix is no longer symmetric
  equals_truth(pairs, {lse(), lse(Per::column)});
  pairs.left_out = torch::empty({2, 0}, torch::kLong);
  equals_truth(pairs, {lse()});
}
TEST(Contrast, EqualsTheWholeMatrixOfOneRowAndOfOneColumn) {
  equals_truth(full({1, 31, 7}), {lse(), lse(Per::column)});
  equals_truth(full({23, 1, 7}), {lse(), lse(Per::column)});
  equals_truth(symmetric(1), {lse()});
}
TEST(Contrast, EqualsTheWholeMatrixOfNoRowsAndOfNoColumns) {
  equals_truth(full({0, 31, 7}), {lse(), lse(Per::column), sum(Phi::exp, Per::column), max()});
  equals_truth(full({23, 0, 7}), {lse(), lse(Per::column), sum(Phi::exp), max()});
}
TEST(Contrast, EqualsTheWholeMatrixOverASpreadOfThousandsOfBits) {
  Pairs pairs = full();
  pairs.row.data = random({23, 7}, 30);
  pairs.column.data = random({31, 7}, 30);
  equals_truth(pairs, {lse(), lse(Per::column)}, 1e-11);
  pairs = symmetric();
  pairs.row.data = random({29, 6}, 30);
  equals_truth(pairs, {lse()}, 1e-11);
}

TEST(Contrast, AveragesAreThoseOfTheWholeMatrixWhateverTheWeights) {
  Pairs pairs = full();
  averages_equal_truth(pairs, {});
  averages_equal_truth(pairs, random({23}));
  pairs.column.offset = Tensor();
  averages_equal_truth(pairs, {});
  averages_equal_truth(pairs, random({23}));
  averages_equal_truth(pairs, random({23}), Which::unlike);
  averages_equal_truth(symmetric(), random({29}));
}

TEST(Contrast, AveragesOfSumsAreThoseOfTheWholeMatrix) {
  for (const Phi phi : {Phi::identity, Phi::softplus, Phi::squared_hinge}) {
    Pairs pairs = full();
    pairs.column.offset = Tensor();
    const Tensor expected = truth::reduce(pairs, {sum(phi)})[0];
    const std::vector<Tensor> leaves = truth::leaves(pairs),
                              slopes = truth::gradients(expected.mean(), leaves);
    for (const Tiling& tiling : kTilings) {
      const TilingScope scope(tiling);
      const Tensor got = mean_sum(pairs, phi);
      EXPECT_LE(truth::apart(got, expected), 1e-12);
      const std::vector<Tensor> by = torch::autograd::grad({got.mean()}, leaves);
      for (size_t i = 0; i < by.size(); ++i) EXPECT_LE(truth::apart(by[i], slopes[i]), 1e-12) << i;
    }
  }
}

}  // namespace
