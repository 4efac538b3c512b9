// SPDX-License-Identifier: BSD-3-Clause
// contrast where numbers end: rounding, large scales, nothing to compare with, NaN, threads, memory,
// refusals.
#include "contrast/plan.h"
#include "tests/core/contrast/truth.h"
#include "tests/support/error_of.h"

#include <ATen/Parallel.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace {

using foil::Tensor;
using foil::test::refusal;
using namespace foil::contrast;

Tensor unit_rows(int64_t n, int64_t d, at::ScalarType type = torch::kFloat) {
  return foil::unit(torch::randn({n, d}, torch::kDouble)).to(type).requires_grad_();
}

// Of a value's gradients by x in fp32 and fp64.
double gradient_error(const Tensor& fp32, const Tensor& fp64) {
  return ((fp32.to(torch::kDouble) - fp64).norm() / fp64.norm()).item<double>();
}

// InfoNCE, CLIP's two directions, NT-Xent with the halves of x as views, a sum: in the type of x.
std::vector<Tensor> values(const Tensor& x, const Tensor& y, double scale) {
  const Tensor id = torch::arange(x.size(0));
  const Pairs pairs{.row = {.data = x, .id = id}, .column = {.data = y, .id = id}, .scale = scale};
  const auto positive = [&] { return (x * y).sum(1) * scale; };
  const std::vector<Tensor> both = reduce(pairs, {lse(), lse(Per::column)});
  const int64_t half = x.size(0) / 2;
  const Tensor partners = (x * x.roll(half, 0)).sum(1) * scale;
  return {mean_lse(pairs, positive()).mean(),
          (foil::softplus(both[0] - positive()) + foil::softplus(both[1] - positive())).mean(),
          mean_lse({.row = {.data = x, .id = id % half}, .scale = scale}, partners).mean(),
          mean_sum(pairs, Phi::softplus).mean()};
}

void gradients_in_fp32_are_within(double allowed, const Tensor& x, const Tensor& y, double scale) {
  const Tensor a = x.detach().to(torch::kDouble).requires_grad_(),
               b = y.detach().to(torch::kDouble).requires_grad_();
  const std::vector<Tensor> single = values(x, y, scale), wide = values(a, b, scale);
  for (size_t k = 0; k < single.size(); ++k) {
    EXPECT_NEAR(single[k].item<double>() / wide[k].item<double>(), 1, allowed) << "value " << k;
    EXPECT_LE(
        gradient_error(torch::autograd::grad({single[k]}, {x})[0], torch::autograd::grad({wide[k]}, {a})[0]),
        allowed)
        << "value " << k;
  }
}

TEST(ContrastEdges, GradientsInSinglePrecisionAreWithin2em7) {
  torch::manual_seed(1);
  gradients_in_fp32_are_within(2e-7, unit_rows(700, 64), unit_rows(700, 64), 14.3);
}

TEST(ContrastEdges, NearlySeparatedPairsAndLargeScalesKeepTheirGradients) {
  torch::manual_seed(2);
  gradients_in_fp32_are_within(1e-5, unit_rows(300, 64), unit_rows(300, 64), 1000);
  const Tensor x = unit_rows(300, 64);
  const Tensor y = foil::unit(x.detach() + 0.05 * torch::randn({300, 64})).requires_grad_();
  gradients_in_fp32_are_within(1e-5, x, y, 14.3);
}

TEST(ContrastEdges, IdenticalRowsAtScale1000AreFinite) {
  const Tensor x = torch::full({40, 16}, 0.25).requires_grad_();
  for (const Tensor& value : values(x, x, 1000)) {
    EXPECT_TRUE(value.isfinite().item<bool>());
    EXPECT_TRUE(torch::autograd::grad({value}, {x}, {}, true)[0].isfinite().all().item<bool>());
  }
}

TEST(ContrastEdges, ARowWithoutPairsIsMinusInfinityWithoutGradient) {
  const Tensor x = unit_rows(9, 4, torch::kDouble), y = unit_rows(7, 4, torch::kDouble);
  Tensor id = torch::zeros({9}, torch::kLong);
  id.slice(0, 4) = 1;
  const Pairs pairs{.row = {.data = x, .id = id},
                    .column = {.data = y, .id = torch::zeros({7}, torch::kLong)}};
  for (const bool average : {false, true}) {
    const Tensor rows = average ? mean_lse(pairs) : reduce(pairs, {lse(), lse(Per::column)})[0];
    EXPECT_TRUE(rows.slice(0, 0, 4).isneginf().all().item<bool>());
    EXPECT_TRUE(rows.slice(0, 4).isfinite().all().item<bool>());
    const Tensor by = torch::autograd::grad({rows.sum()}, {x})[0];
    EXPECT_TRUE(by.slice(0, 0, 4).eq(0).all().item<bool>());
    EXPECT_TRUE(by.isfinite().all().item<bool>());
  }
  const Tensor none = mean_lse(pairs, torch::zeros({9}, torch::kDouble));
  EXPECT_TRUE(none.slice(0, 0, 4).eq(0).all().item<bool>());
}

TEST(ContrastEdges, NothingGivesNothing) {
  for (const auto& [n, m] : {std::pair{0, 5}, std::pair{5, 0}}) {
    const Tensor x = unit_rows(n, 4), y = unit_rows(m, 4);
    const Pairs pairs{.row = {.data = x}, .column = {.data = y}};
    const std::vector<Tensor> results = reduce(pairs, {lse(), lse(Per::column), sum(Phi::exp)});
    EXPECT_EQ(results[0].size(0), n);
    EXPECT_EQ(results[1].size(0), m);
    EXPECT_TRUE(results[0].isneginf().all().item<bool>());
    const Tensor by = torch::autograd::grad({mean_lse(pairs, torch::zeros({n})).sum()}, {y})[0];
    EXPECT_EQ(by.sizes(), y.sizes());
  }
}

TEST(ContrastEdges, ANaNInARowLeavesTheOtherRowsAlone) {
  for (const Tiling& tiling : {Tiling{}, Tiling{.rows = 3, .columns = 5, .cached = false}}) {
    const TilingScope scope(tiling);
    torch::manual_seed(4);
    Tensor x = unit_rows(20, 8).detach();
    x[6][2] = std::numeric_limits<float>::quiet_NaN();
    x.requires_grad_();
    const Tensor y = unit_rows(20, 8);
    const Pairs pairs{.row = {.data = x}, .column = {.data = y}, .scale = 5.0};
    for (const bool average : {false, true}) {
      const Tensor rows = average ? mean_lse(pairs) : reduce(pairs, {lse()})[0];
      EXPECT_TRUE(rows[6].isnan().item<bool>());
      EXPECT_EQ(rows.isfinite().sum().item<int64_t>(), 19);
      const Tensor by = torch::autograd::grad({rows.sum()}, {x})[0];
      EXPECT_EQ(by.isfinite().all(1).sum().item<int64_t>(), 19);
    }
    const Pairs swapped{.row = {.data = y}, .column = {.data = x}};
    EXPECT_EQ(reduce(swapped, {lse(), lse(Per::column)})[1].isfinite().sum().item<int64_t>(), 19);
    EXPECT_TRUE(reduce(swapped, {max()})[0].isnan().all().item<bool>());
  }
}

TEST(ContrastEdges, HalfPrecisionIsWidened) {
  torch::manual_seed(5);
  const Tensor x = unit_rows(50, 16, torch::kBFloat16), y = unit_rows(60, 16, torch::kBFloat16);
  const Tensor a = x.detach().to(torch::kFloat).requires_grad_(),
               b = y.detach().to(torch::kFloat).requires_grad_();
  const Tensor half = mean_lse({.row = {.data = x}, .column = {.data = y}, .scale = 10.0}),
               single = mean_lse({.row = {.data = a}, .column = {.data = b}, .scale = 10.0});
  EXPECT_EQ(half.scalar_type(), torch::kFloat);
  EXPECT_TRUE(half.equal(single));
  const Tensor by = torch::autograd::grad({half.mean()}, {y})[0];
  EXPECT_EQ(by.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(by.equal(torch::autograd::grad({single.mean()}, {b})[0].to(torch::kBFloat16)));
}

TEST(ContrastEdges, TheBitsDoNotDependOnTheThreads) {
  const int before = at::get_num_threads();
  std::vector<std::vector<Tensor>> all;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    torch::manual_seed(6);
    const Tensor x = unit_rows(1100, 24), y = unit_rows(1100, 24);
    std::vector<Tensor> results = values(x, y, 20);
    for (size_t k = 0, count = results.size(); k < count; ++k)
      for (const Tensor& by : torch::autograd::grad({results[k]}, {x, y}, {}, false, false, true))
        if (by.defined()) results.push_back(by);
    all.push_back(results);
  }
  at::set_num_threads(before);
  for (size_t k = 0; k < all[0].size(); ++k) EXPECT_TRUE(all[0][k].equal(all[1][k])) << k;
}

// What tensors take at once, at most.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    now_ += size;
    most = std::max(most, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t most = 0;

 private:
  int64_t now_ = 0;
};

// Of forward and backward, gradients included.
int64_t most_memory(int64_t n, bool average) {
  const Tensor x = unit_rows(n, 8), y = unit_rows(n, 8), id = torch::arange(n);
  const auto meter = std::make_shared<Meter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  const Pairs pairs{.row = {.data = x, .id = id}, .column = {.data = y, .id = id}, .scale = 10.0};
  if (average) {
    mean_lse(pairs, (x * y).sum(1)).mean().backward();
  } else {
    const std::vector<Tensor> both = reduce(pairs, {lse(), lse(Per::column)});
    (both[0] + both[1]).mean().backward();
  }
  return meter->most;
}

TEST(ContrastEdges, MemoryIsLinearInTheRows) {
  const int64_t n = 6000;  // the matrix: 144 MB
  for (const bool average : {false, true}) {
    const int64_t most = most_memory(n, average);
    EXPECT_GT(most, 1 << 20);
    EXPECT_LE(most, (32 << 20) + 64 * 2 * n) << average;
  }
}

TEST(ContrastEdges, RefusesWhatDoesNotFitAndSaysWhatIsAllowed) {
  const Tensor x = torch::randn({4, 3}), y = torch::randn({5, 2}), z = torch::randn({5, 3});
  const auto refused = [](const Pairs& pairs, const std::vector<Channel>& channels = {lse()}) {
    return refusal([&] { reduce(pairs, channels); }, foil::Exit::failure);
  };
  EXPECT_EQ(refused({.row = {.data = x}, .column = {.data = y}}),
            "contrast::reduce: column.data is [5, 2], allowed: [M, 3], as row.data is [4, 3].");
  EXPECT_EQ(refused({.row = {.data = x}, .column = {.data = z.to(torch::kDouble)}}),
            "contrast::reduce: column.data is of type Double, allowed: Float, as row.data.");
  EXPECT_EQ(refused({.row = {.data = x, .id = torch::arange(3)}}),
            "contrast::reduce: row.id is [3], allowed: [4], one for each row of data.");
  EXPECT_EQ(refused({.row = {.data = x, .id = torch::arange(4)}, .column = {.data = z}}),
            "contrast::reduce: only one side has an id, allowed: both or none.");
  EXPECT_EQ(refused({.row = {.data = x}, .column = {.data = z}, .segments = {2, 2}}),
            "contrast::reduce: segments has 4 columns, allowed: the 5 of column.data.");
  EXPECT_EQ(refused({.row = {.data = x}}, {lse(Per::row, Which::alike)}),
            "contrast::reduce: a channel of pairs alike or unlike, allowed: only with labels.");
  EXPECT_EQ(refused({.row = {.data = x}}, {}), "contrast::reduce: 0 channels, allowed: 1 to 8.");
  const auto without = [&](const Tensor& pairs) {
    return refused({.row = {.data = x}, .column = {.data = z}, .left_out = pairs});
  };
  EXPECT_EQ(without(torch::zeros({3, 2}, torch::kLong)),
            "contrast::reduce: left_out is [3, 2] of type Long, allowed: [2, E] of type int64.");
  EXPECT_EQ(without(torch::tensor({{0, 1}, {4, 5}})),
            "contrast::reduce: left_out has a pair outside of the matrix, allowed: rows from 0 to 3, columns "
            "from 0 to 4.");
  const Pairs ranges{.row = {.data = x}, .column = {.data = z}, .segments = {2, 3}};
  EXPECT_EQ(refusal([&] { mean_lse(ranges); }, foil::Exit::failure),
            "contrast::mean_lse: segments has 2 sizes, allowed: at most one.");
}

TEST(ContrastEdges, RefusesASecondDerivative) {
  const Tensor x = unit_rows(4, 3), y = unit_rows(5, 3);
  const Tensor value = reduce({.row = {.data = x}, .column = {.data = y}}, {lse()})[0].sum();
  EXPECT_EQ(refusal([&] { torch::autograd::grad({value}, {x}, {}, true, /*create_graph=*/true); },
                    foil::Exit::failure),
            "contrast::reduce: a second derivative is asked for, allowed: the first.");
}

}  // namespace
