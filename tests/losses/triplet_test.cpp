// SPDX-License-Identifier: BSD-3-Clause
#include "losses/triplet.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Options = Triplet::Options;

// Each anchor's mean distances, pair by pair, with autograd.
Tensor slow_direction(const Options& o, const Tensor& anchors, const Tensor& others, const Tensor& label) {
  const int64_t n = anchors.size(0);
  std::vector<Tensor> each;
  for (int64_t i = 0; i < n; ++i) {
    std::vector<Tensor> near, far;
    for (int64_t j = 0; j < n; ++j) {
      const bool same = o.positives == Triplet::Positives::label && label[i].item<int64_t>() >= 0 &&
                        label[i].item<int64_t>() == label[j].item<int64_t>();
      (i == j || same ? near : far).push_back((anchors[i] - others[j]).square().sum().sqrt());
    }
    each.push_back((torch::stack(near).mean() - torch::stack(far).mean() + o.margin).clamp_min(0));
  }
  return torch::stack(each).mean();
}

std::vector<Tensor> leaves(int64_t n, int64_t width) {
  auto z = foil::unit_views(2, n, width);
  for (Tensor& view : z) view = (3 * view).requires_grad_();
  return z;
}

TEST(Triplet, EqualsTheLoopOverAllPairs) {
  const Tensor label = torch::tensor({0, 1, 0, -1, 1, -1, 2});
  for (const auto positives : {Triplet::Positives::sample, Triplet::Positives::label})
    for (const auto directions : {Triplet::Directions::mean, Triplet::Directions::first}) {
      const Options o{.margin = 0.8, .positives = positives, .directions = directions};
      const auto z = leaves(7, 5);
      const Tensor value = std::make_shared<Triplet>(o)->forward(foil::input_of(z, label));
      Tensor want = slow_direction(o, z[0], z[1], label);
      if (directions == Triplet::Directions::mean) want = (want + slow_direction(o, z[1], z[0], label)) / 2;
      EXPECT_NEAR(value.item<double>(), want.item<double>(), 1e-12);
      const auto ours = torch::autograd::grad({value}, z), theirs = torch::autograd::grad({want}, z);
      for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(ours[v], theirs[v], 1e-11, 1e-14)) << v;
    }
}

TEST(Triplet, InBlocksHasTheGradientOfTheWholeMatrix) {
  constexpr int64_t n = 1600;  // blocks of 1310 rows
  const auto z = leaves(n, 3);
  const Tensor value = std::make_shared<Triplet>(Options{.margin = 3})->forward(foil::input_of(z));
  const auto dense = [&](const Tensor& a, const Tensor& b) {
    const Tensor d = (a.unsqueeze(1) - b).square().sum(2).sqrt();
    return (d.diag() - (d.sum(1) - d.diag()) / (n - 1.0) + 3).clamp_min(0).mean();
  };
  const Tensor want = (dense(z[0], z[1]) + dense(z[1], z[0])) / 2;
  const auto ours = torch::autograd::grad({value}, z), theirs = torch::autograd::grad({want}, z);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(ours[v], theirs[v], 1e-10, 1e-14)) << v;
}

TEST(Triplet, AnAnchorWithoutNegativesDoesNotCount) {
  const auto z = leaves(1, 4);
  const Tensor value = std::make_shared<Triplet>(Options{})->forward(foil::input_of(z));
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_EQ(z[0].grad().abs().max().item<double>(), 0);
}

}  // namespace
