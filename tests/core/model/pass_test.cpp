// SPDX-License-Identifier: BSD-3-Clause
// A pass in pieces gives the gradients of a pass at once, on any number of ranks, also where some have fewer
// samples than pieces.
#include "model/pass.h"

#include "data/loader.h"
#include "ranks/in_process.h"
#include "tests/core/line_tower.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

struct Scene {
  explicit Scene(const std::shared_ptr<World>& world) : world_(world) {
    tower->add_predictor({.hidden = {5}, .batch_norm = false});
    tower->to(torch::kDouble);
    const torch::NoGradGuard no_gradient;
    for (Tensor& parameter : tower->parameters())
      parameter.copy_(torch::arange(parameter.numel(), torch::kDouble).sin().view_as(parameter));
  }
  // Of views of `samples` in all; the loss has a parameter of its own, and squares what it sees.
  std::map<std::string, Tensor> gradients(int64_t samples, int64_t pieces) {
    const auto [begin, end] = rank_block(samples, world_->world_size(), world_->rank());
    Views views(2);
    for (size_t v = 0; v < 2; ++v) {
      views[v].kind = Kind::vector;
      views[v].data = (torch::arange(4 * samples, torch::kDouble) + static_cast<double>(v))
                          .cos()
                          .view({samples, 4})
                          .slice(0, begin, end);
    }
    tower->zero_grad();
    Model model(tower);
    const Tensor scale = torch::full({}, 0.7, torch::kDouble).requires_grad_();
    std::vector<std::pair<std::string, Tensor>> all{{"scale", scale}};
    for (const auto& one : tower->named_parameters()) all.emplace_back(one.key(), one.value());
    GradientReducer reducer(all, world_);
    Pass pass(model, views, /*bf16=*/false, pieces);
    const Tower::Output& out = pass.out();
    pass.backward(scale * (out.z[0] * out.p[1]).square().sum() + out.h[1].exp().sum(), reducer);
    std::map<std::string, Tensor> found;
    for (const auto& [name, parameter] : all) found[name] = parameter.grad().clone();
    return found;
  }
  std::shared_ptr<Tower> tower = test::line_tower(2);

 private:
  std::shared_ptr<World> world_;
};

TEST(Pass, InPiecesGivesTheGradientsOfAPassAtOnce) {
  for (const int ranks : {1, 2, 3}) {
    in_process_ranks(ranks, [&](World& world) {
      Scene scene(world.shared_from_this());
      const auto wanted = scene.gradients(7, 1);
      for (const int64_t pieces : {2, 3, 7}) {
        const auto got = scene.gradients(7, pieces);
        ASSERT_EQ(got.size(), 9u);
        for (const auto& [name, gradient] : wanted)
          EXPECT_TRUE(torch::allclose(got.at(name), gradient, 1e-12, 1e-12))
              << name << ", " << pieces << " pieces, " << ranks << " ranks";
      }
    });
  }
}

TEST(Pass, OfAFrozenTowerLeavesTheLossItsOwnGradient) {
  in_process_ranks(2, [](World& world) {
    Scene scene(world.shared_from_this());
    for (Tensor& parameter : scene.tower->parameters()) parameter.requires_grad_(false);
    Views views(2);
    Model model(scene.tower);
    const Tensor scale = torch::full({}, 0.7, torch::kDouble).requires_grad_();
    GradientReducer reducer({{"scale", scale}}, world.shared_from_this());
    for (View& view : views) {
      view.kind = Kind::vector;
      view.data = torch::ones({3, 4}, torch::kDouble);
    }
    Pass pass(model, views, false, 2);
    pass.backward(scale * pass.out().z[0].sum() * static_cast<double>(world.rank()), reducer);
    EXPECT_NEAR(scale.grad().item<double>(), pass.out().z[0].sum().item<double>() / 2, 1e-12);
  });
}

TEST(Pass, HasPiecesOfAMicroBatchAtMostAndAsManyOnEveryRank) {
  EXPECT_EQ(pieces_of(64, 1, 0), 1);
  EXPECT_EQ(pieces_of(64, 1, 64), 1);
  EXPECT_EQ(pieces_of(64, 1, 63), 2);
  EXPECT_EQ(pieces_of(64, 3, 11), 2);  // 22 samples on the largest rank
  EXPECT_EQ(pieces_of(64, 3, 7), 4);
  EXPECT_EQ(pieces_of(2, 3, 5), 1);
}

}  // namespace
}  // namespace foil
