// SPDX-License-Identifier: BSD-3-Clause
// A model of two towers gives what each tower gives of its own views, and follows another tower by tower.
#include "model/model.h"

#include "model/weights.h"
#include "tests/core/line_tower.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

View view_of(const char* modality, int64_t seed, int64_t rows = 5) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  View view;
  view.modality = modality;
  view.kind = Kind::vector;
  view.data = torch::randn({rows, 4});
  return view;
}

struct Two {
  std::shared_ptr<Tower> a = test::line_tower(2), b = test::line_tower(2);
  Model model{{{"a", a}, {"b", b}}, {{"query", 0}, {"document", 0}, {"picture", 1}}};
};

TEST(Model, GivesEachViewToItsTowerAndKeepsTheirOrder) {
  Two two;
  const Views views = {view_of("picture", 1), view_of("query", 2), view_of("picture", 3),
                       view_of("document", 4)};
  const Tower::Output out = two.model.forward(views);
  ASSERT_EQ(out.z.size(), 4u);
  EXPECT_TRUE(out.p.empty());
  for (size_t v = 0; v < views.size(); ++v) {
    Tower& own = views[v].modality == "picture" ? *two.b : *two.a;
    EXPECT_TRUE(torch::allclose(out.z[v], own.forward({views[v]}).z[0])) << v;
    EXPECT_TRUE(torch::allclose(out.h[v], own.forward({views[v]}).h[0])) << v;
    EXPECT_EQ(&two.model.tower_of(views[v].modality), &own);
  }
}

TEST(Model, HasThePredictionsOfTheTowersThatPredict) {
  Two two;
  two.a->add_predictor({.hidden = {3}});
  const Tower::Output out = two.model.forward({view_of("picture", 1), view_of("query", 2)});
  ASSERT_EQ(out.p.size(), 2u);
  EXPECT_FALSE(out.p[0].defined());
  EXPECT_TRUE(out.p[1].defined());
}

// Vectors of four to themselves, decoded as their halves.
struct Halves final : Encoder {
  void setup(const EncoderSizes&) override {}
  Features forward(const View& view) override { return {view.data, {}, {}, view.data / 2}; }
  int64_t feature_dim() const override { return 4; }
};

TEST(Model, HasWhatTheTowersDecode) {
  Two two;
  const auto halves = std::make_shared<Tower>(std::make_shared<Halves>(),
                                              HeadOptions{.kind = HeadOptions::Kind::none}, ModelOptions{});
  Model model({{"a", two.a}, {"b", halves}}, {{"query", 0}, {"picture", 1}});
  const Tower::Output out = model.forward({view_of("picture", 1), view_of("query", 2)});
  ASSERT_EQ(out.decoded.size(), 2u);
  EXPECT_TRUE(torch::equal(out.decoded[0], out.h[0] / 2));
  EXPECT_FALSE(out.decoded[1].defined());
  EXPECT_TRUE(two.model.forward({view_of("query", 2)}).decoded.empty());
}

TEST(Model, HasParametersByTheNamesOfTheirTowers) {
  Two two;
  EXPECT_TRUE(two.model.parameters().at("b.encoder.layer.weight").is_same(two.b->parameters()[0]));
  EXPECT_EQ(Model(two.a).parameters().count("encoder.layer.weight"), 1u);
}

TEST(Model, RefusesAModalityThatNoTowerTakes) {
  Two two;
  EXPECT_EQ(test::refusal([&] { two.model.forward({view_of("sound", 1)}); }, Exit::failure),
            "no tower takes the modality 'sound'.");
}

TEST(Model, FollowsAnotherTowerByTower) {
  Two online, target;
  copy_model(online.model, target.model);
  EXPECT_TRUE(torch::equal(online.b->parameters()[0], target.b->parameters()[0]));
  EXPECT_FALSE(target.b->parameters()[0].requires_grad());
  torch::NoGradGuard no_grad;
  for (Tensor& parameter : online.b->parameters()) parameter.add_(1);
  const Tensor before = target.b->parameters()[0].clone(), a = target.a->parameters()[0].clone();
  follow(online.model, target.model, 0.75);
  EXPECT_TRUE(torch::allclose(target.b->parameters()[0], before + 0.25));
  EXPECT_TRUE(torch::equal(target.a->parameters()[0], a));
}

TEST(Model, NamesTheTensorsOfOneTowerWithoutItsName) {
  Two two;
  EXPECT_EQ(two.model.named("tower.")[1].first, "tower.b.");
  EXPECT_EQ(Model(two.a).named("tower.")[0].first, "tower.");
}

}  // namespace
}  // namespace foil
