// SPDX-License-Identifier: BSD-3-Clause
#include "augment/mask_feature.cpp"

#include "graph_test.h"

using namespace foil::test;

namespace {

// How often each feature is masked in `steps` steps; every feature must be of some node.
std::vector<int64_t> masks(MaskFeature& mask, const foil::View& view, int64_t steps) {
  std::vector<int64_t> count(static_cast<size_t>(view.data.size(1)), 0);
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor none = mask.apply(view, place(at::arange(view.size()), 1, step)).data.abs().sum(0) == 0;
    for (int64_t k = 0; k < none.size(0); ++k) count[static_cast<size_t>(k)] += none[k].item<bool>();
  }
  return count;
}

}  // namespace

TEST(MaskFeature, HidesWholeColumnsByOneDrawEachAndRescalesNothing) {
  MaskFeature mask({.probability = 0.4});
  const foil::View view = random_graph(15, 20, 40, 1);
  const foil::AugmentContext context = place(15);
  Tensor want = view.data.clone();
  foil::Draws draws = context.shared();
  for (int64_t k = 0; k < 40; ++k)
    if (draws.uniform() < 0.4) want.select(1, k).zero_();
  const foil::View out = mask.apply(view, context);
  EXPECT_TRUE(out.data.equal(want));
  EXPECT_TRUE(out.edges.ends.is_same(view.edges.ends));
}

TEST(MaskFeature, KeepsTheLayoutAndTheTypeOfFeatures) {
  MaskFeature mask({.probability = 0.4});
  const foil::View view = random_graph(15, 20, 40, 2);
  const Tensor want = mask.apply(view, place(15)).data;
  foil::View other = view;
  other.data = view.data.to_sparse_csr();
  const Tensor sparse = mask.apply(other, place(15)).data;
  EXPECT_EQ(sparse.layout(), at::kSparseCsr);
  EXPECT_EQ(sparse._nnz(), other.data._nnz());
  EXPECT_TRUE(sparse.to_dense().equal(want));
  other.data = view.data.to(at::kDouble);
  EXPECT_TRUE(mask.apply(other, place(15)).data.equal(want.to(at::kDouble)));
}

TEST(MaskFeature, MasksAsOftenAsItsProbabilityAnewForEveryPlace) {
  const foil::View view = graph(at::ones({3, 20000}), at::zeros({2, 0}, at::kLong));
  MaskFeature mask({.probability = 0.3});
  const auto masked = [&](const foil::AugmentContext& context) { return mask.apply(view, context).data[0]; };
  const Tensor index = at::arange(3), base = masked(place(index, 5, 6, 7, 8));
  expect_frequency((base == 0).sum().item<int64_t>(), 20000, 0.3);
  EXPECT_TRUE(masked(place(index, 5, 6, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 6, 6, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 7, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 6, 8, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 6, 7, 9)).equal(base));
}

// GCA, equations 7 and 8, by their definition.
TEST(MaskFeature, ByDegreeMasksWhatHubsHaveLessOften) {
  const foil::View view = random_graph(20, 50, 8, 3);
  for (const Usage usage : {Usage::nodes, Usage::magnitude}) {
    MaskFeature mask({.probability = 0.3, .adaptive = Adaptive::degree, .threshold = 0.55, .usage = usage});
    mask.setup(GraphData(view));
    std::vector<double> score;
    for (int64_t k = 0; k < 8; ++k) {
      double use = 0;
      for (int64_t v = 0; v < 20; ++v) {
        const double degree = (view.edges.ends[1] == v).sum().item<double>(),
                     x = view.data[v][k].item<float>();
        use += usage == Usage::magnitude ? x * degree : x != 0 ? degree : 0;
      }
      score.push_back(std::log(use));
    }
    double highest = score[0], mean = 0;
    for (const double s : score) {
      highest = std::max(highest, s);
      mean += s / 8;
    }
    const std::vector<int64_t> count = masks(mask, view, 2000);
    for (size_t k = 0; k < 8; ++k)
      expect_frequency(count[k], 2000, std::min(0.55, 0.3 * (highest - score[k]) / (highest - mean)));
  }
}

// Columns 0 and 1 are of the strong community alone, 2 of both, 3 of the weak one, 4 of nobody.
TEST(MaskFeature, ByCommunityMasksWhatWeakCommunitiesHave) {
  std::vector<int64_t> from, to;
  for (int64_t a = 0; a < 11; ++a)
    for (int64_t b = 0; b < 11; ++b)
      if (a != b && (a < 8) == (b < 8)) {
        from.push_back(a);
        to.push_back(b);
      }
  Tensor x = at::zeros({11, 5});
  x.slice(0, 0, 8).slice(1, 0, 3).fill_(1);
  x.slice(0, 8, 11).slice(1, 2, 4).fill_(1);
  const foil::View view = graph(x, at::stack({at::tensor(from, at::kLong), at::tensor(to, at::kLong)}));
  MaskFeature mask({.probability = 0.2, .adaptive = Adaptive::community, .threshold = 1});
  mask.setup(GraphData(view));
  const double strong = 56.0 / 62 - std::pow(56.0 / 62, 2), weak = 6.0 / 62 - std::pow(6.0 / 62, 2);
  const std::vector<double> use = {8 * strong, 8 * strong, 8 * strong + 3 * weak, 3 * weak,
                                   8 * strong + 3 * weak};
  double mean = 0;
  for (const double u : use) mean += std::log(u) / 5;
  const std::vector<int64_t> count = masks(mask, view, 3000);
  for (size_t k = 0; k < 4; ++k)
    expect_frequency(count[k], 3000,
                     std::min(1.0, 0.2 * std::log(use[2] / use[k]) / (std::log(use[2]) - mean)));
}

TEST(MaskFeature, LeavesTheViewAloneAndRefusesWhatDoesNotFit) {
  MaskFeature mask({}), by_degree({.adaptive = Adaptive::degree});
  const foil::View view = random_graph(20, 40, 3, 6);
  expect_leaves_the_view_alone(mask, view);
  expect_refuses_what_is_no_graph(mask, "mask_feature");
  EXPECT_EQ(refusal([&] { by_degree.apply(view, place(20)); }, foil::Exit::failure),
            "mask_feature: setup() was not called.");
  by_degree.setup(GraphData(random_graph(20, 40, 4, 6)));
  EXPECT_EQ(refusal([&] { by_degree.apply(view, place(20)); }),
            "adaptive = of 3 features, allowed: the 4 of the data set.");
}
