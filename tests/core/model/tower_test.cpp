// SPDX-License-Identifier: BSD-3-Clause
#include "model/tower.h"

#include "model/weights.h"
#include "run/safetensors.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <foil/batch_norm.h>
#include <foil/loss.h>

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {

using at::Tensor;

// 1x1 convolution, batch norm, mean over places: any height and width. F = 6.
struct Pool : foil::Encoder {
  Pool() {
    conv = register_module("conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 6, 1).bias(false)));
    norm = register_module("bn1", std::make_shared<foil::BatchNorm>(6));
  }
  void setup(const foil::EncoderSizes&) override {}
  foil::Features forward(const foil::View& view) override {
    batches.push_back(view);
    return {norm->forward(conv->forward(view.data)).mean({2, 3}), {}, {}, {}};
  }
  int64_t feature_dim() const override { return 6; }
  torch::nn::Conv2d conv{nullptr};
  std::shared_ptr<foil::BatchNorm> norm;
  foil::Views batches;  // what forward was given
};

foil::View view(std::vector<int64_t> shape, double shift, at::ScalarType dtype = torch::kDouble) {
  return {"image", foil::Kind::image, torch::randn(shape, dtype) + shift, {}, {}, {}, {}};
}

foil::HeadOptions no_head() {
  foil::HeadOptions options;
  options.kind = foil::HeadOptions::Kind::none;
  return options;
}

std::vector<std::string> names(const torch::nn::Module& module) {
  std::vector<std::string> all;
  for (const auto& item : module.named_parameters()) all.push_back(item.key());
  return all;
}

TEST(Tower, TakesBatchStatisticsOverAllViewsOfOneShape) {
  torch::manual_seed(1);
  const auto encoder = std::make_shared<Pool>();
  foil::Tower tower(encoder, no_head(), {});
  tower.to(torch::kDouble);
  foil::Views views = {view({5, 3, 2, 2}, 1), view({5, 3, 3, 1}, 7), view({3, 3, 2, 2}, -2)};
  for (foil::View& v : views) v.params = torch::rand({v.data.size(0), 4});
  const foil::Tower::Output out = tower.forward(views);
  ASSERT_EQ(encoder->batches.size(), 2u);
  EXPECT_TRUE(torch::equal(encoder->batches[0].data, torch::cat({views[0].data, views[2].data})));
  EXPECT_TRUE(torch::equal(encoder->batches[0].params, torch::cat({views[0].params, views[2].params})));
  EXPECT_TRUE(torch::equal(encoder->batches[1].data, views[1].data));
  EXPECT_EQ(encoder->norm->num_batches_tracked.item<int64_t>(), 2);
  EXPECT_EQ(out.h[0].size(0), 5);
  EXPECT_EQ(out.h[1].size(0), 5);
  EXPECT_EQ(out.h[2].size(0), 3);
  EXPECT_LT(torch::cat({out.h[0], out.h[2]}).mean(0).abs().max().item<double>(),
            1e-12);                                              // normalised together,
  EXPECT_GT(out.h[0].mean(0).abs().max().item<double>(), 1e-2);  // not each alone
  EXPECT_LT(out.h[1].mean(0).abs().max().item<double>(), 1e-12);
}

TEST(Tower, HandsTheEncoderTheKeysOfAllSamplesThatRunTogether) {
  const auto encoder = std::make_shared<Pool>();
  foil::Tower tower(encoder, no_head(), {});
  tower.to(torch::kDouble);
  foil::Views views = {view({3, 3, 2, 2}, 0), view({3, 3, 2, 2}, 1), view({2, 3, 3, 3}, 0)};
  for (size_t v = 0; v < views.size(); ++v)
    views[v].key = torch::arange(views[v].size(), torch::kLong) + 10 * static_cast<int64_t>(v);
  tower.forward(views);
  ASSERT_EQ(encoder->batches.size(), 2u);
  EXPECT_TRUE(torch::equal(encoder->batches[0].key, torch::cat({views[0].key, views[1].key})));
  EXPECT_TRUE(torch::equal(encoder->batches[1].key, views[2].key));
}

TEST(Tower, HandsAFrozenEncoderNoKeysToDrawBy) {
  const auto encoder = std::make_shared<Pool>();
  foil::ModelOptions frozen;
  frozen.frozen = true;
  foil::Tower tower(encoder, no_head(), frozen);
  tower.to(torch::kDouble);
  tower.train();
  foil::Views views = {view({3, 3, 2, 2}, 0)};
  views[0].key = torch::arange(3, torch::kLong);
  tower.forward(views);
  ASSERT_EQ(encoder->batches.size(), 1u);
  EXPECT_FALSE(encoder->batches[0].key.defined());
}

TEST(Tower, TakesBatchStatisticsPerViewWhenAsked) {
  torch::manual_seed(1);
  foil::ModelOptions options;
  options.batch_norm = foil::ModelOptions::BatchNorm::per_view;
  const auto encoder = std::make_shared<Pool>();
  foil::Tower tower(encoder, no_head(), options);
  tower.to(torch::kDouble);
  const foil::Views views = {view({5, 3, 2, 2}, 1), view({5, 3, 2, 2}, 7), view({3, 3, 2, 2}, -2)};
  const foil::Tower::Output out = tower.forward(views);
  EXPECT_EQ(encoder->norm->num_batches_tracked.item<int64_t>(), 3);
  Tensor running = torch::zeros({6}, torch::kDouble);
  for (size_t v = 0; v < views.size(); ++v) {
    EXPECT_LT(out.h[v].mean(0).abs().max().item<double>(), 1e-12);
    running = 0.9 * running + 0.1 * encoder->conv->forward(views[v].data).mean({0, 2, 3});
  }
  EXPECT_TRUE(torch::allclose(encoder->norm->running_mean, running, 0, 1e-12));
}

TEST(Tower, GivesTheSameInEvaluationWhicheverWayItBatches) {
  foil::ModelOptions per_view;
  per_view.batch_norm = foil::ModelOptions::BatchNorm::per_view;
  const auto encoder = std::make_shared<Pool>();
  foil::Tower together(encoder, no_head(), {}), apart(encoder, no_head(), per_view);
  together.to(torch::kDouble);
  together.eval();
  const foil::Views views = {view({5, 3, 2, 2}, 1), view({2, 3, 2, 2}, 7)};
  const foil::Tower::Output a = together.forward(views), b = apart.forward(views);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(a.z[v], b.z[v], 0, 1e-12));
}

TEST(Tower, TheHeadIsLinearNormReluLinear) {
  torch::manual_seed(2);
  foil::HeadOptions head;
  head.dims = {7, 4};
  foil::Tower tower(std::make_shared<Pool>(), head, {});
  tower.to(torch::kDouble);
  EXPECT_EQ(names(tower), (std::vector<std::string>{"encoder.conv1.weight", "encoder.bn1.weight",
                                                    "encoder.bn1.bias", "head.0.weight", "head.1.weight",
                                                    "head.1.bias", "head.3.weight", "head.3.bias"}));
  EXPECT_EQ(tower.z_dim(), 4);
  const foil::Tower::Output out = tower.forward({view({9, 3, 2, 2}, 0)});
  const auto w = tower.named_parameters();
  const Tensor hidden = out.h[0].matmul(w["head.0.weight"].t());
  const Tensor normed = (hidden - hidden.mean(0)) / (hidden.var(0, /*unbiased=*/false) + 1e-5).sqrt();
  const Tensor z = normed.clamp_min(0).matmul(w["head.3.weight"].t()) + w["head.3.bias"];
  EXPECT_TRUE(torch::allclose(out.z[0], z, 0, 1e-12));
}

TEST(Tower, TheHeadFollowsItsOptions) {
  foil::HeadOptions head;
  head.dims = {8, 7, 4};
  head.batch_norm = false;
  head.last_batch_norm = true;
  EXPECT_EQ(names(*foil::Tower(std::make_shared<Pool>(), head, {}).children().back()),
            (std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "5.weight",
                                      "5.bias"}));
  head.kind = foil::HeadOptions::Kind::linear;
  const foil::Tower linear(std::make_shared<Pool>(), head, {});
  EXPECT_EQ(names(*linear.children().back()), (std::vector<std::string>{"0.weight", "1.weight", "1.bias"}));
  EXPECT_EQ(linear.named_parameters()["head.0.weight"].sizes(), (std::vector<int64_t>{4, 6}));
  foil::Tower none(std::make_shared<Pool>(), no_head(), {});
  EXPECT_EQ(none.z_dim(), 6);
  const foil::Tower::Output out = none.forward({view({2, 3, 2, 2}, 0, torch::kFloat)});
  EXPECT_TRUE(torch::equal(out.h[0], out.z[0]));
  head.dims = {};
  EXPECT_THROW(foil::Tower(std::make_shared<Pool>(), head, {}), foil::Error);
}

TEST(Tower, ACosineHeadEndsInCosinesWithDirections) {
  torch::manual_seed(2);
  foil::HeadOptions head;
  head.kind = foil::HeadOptions::Kind::cosine;
  head.dims = {7, 5, 11};
  head.batch_norm = false;
  head.activation = foil::HeadOptions::Activation::gelu;
  foil::Tower tower(std::make_shared<Pool>(), head, {});
  tower.to(torch::kDouble);
  EXPECT_EQ(tower.z_dim(), 11);
  const foil::Tower::Output out = tower.forward({view({9, 3, 2, 2}, 0)});
  const auto w = tower.named_parameters();
  EXPECT_EQ(names(*tower.children().back()),
            (std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias", "3.weight"}));
  const Tensor hidden = torch::gelu(out.h[0].matmul(w["head.0.weight"].t()) + w["head.0.bias"]);
  const Tensor bottleneck =
      hidden.matmul(w["head.2.weight"].t()) + w["head.2.bias"];  // no activation after it
  const Tensor directions = w["head.3.weight"];                  // [11, 5]
  for (int64_t b = 0; b < 9; ++b) {
    for (int64_t k = 0; k < 11; ++k) {
      const Tensor cosine =
          (bottleneck[b] * directions[k]).sum() / (bottleneck[b].norm() * directions[k].norm());
      EXPECT_NEAR(out.z[0][b][k].item<double>(), cosine.item<double>(), 1e-12);
    }
  }
}

TEST(Tower, TheLastLayerOfTheHeadIsFrozenAloneAndOnlyWhenAsked) {
  using Kind = foil::HeadOptions::Kind;
  const std::pair<Kind, std::string> last_of[] = {
      {Kind::nonlinear, "head.6.weight"}, {Kind::linear, "head.0.weight"}, {Kind::cosine, "head.5.weight"}};
  for (const auto& [kind, last] : last_of) {
    foil::HeadOptions options;
    options.kind = kind;
    options.dims = {7, 5, 4};
    options.last_batch_norm = true;
    foil::Tower tower(std::make_shared<Pool>(), options, {});
    tower.to(torch::kDouble);
    tower.forward({view({4, 3, 2, 2}, 0)}).z[0].square().sum().backward();
    std::vector<std::string> before, after;
    const auto with_gradient = [&] {
      std::vector<std::string> all;
      for (const auto& item : tower.named_parameters())
        if (item.value().grad().defined()) all.push_back(item.key());
      return all;
    };
    before = with_gradient();
    tower.freeze_last_layer();
    after = with_gradient();
    std::vector<std::string> frozen;
    for (const std::string& name : before)
      if (std::find(after.begin(), after.end(), name) == after.end()) frozen.push_back(name);
    EXPECT_EQ(before.size(), tower.parameters().size()) << last;
    EXPECT_EQ(frozen, std::vector<std::string>{last});
  }
}

TEST(Tower, ThePredictorIsLinearNormReluLinearOnZInTrainingOnly) {
  torch::manual_seed(2);
  foil::HeadOptions head;
  head.dims = {4};
  foil::Tower tower(std::make_shared<Pool>(), head, {});
  tower.to(torch::kDouble);
  EXPECT_TRUE(tower.forward({view({9, 3, 2, 2}, 0)}).p.empty());
  foil::PredictorOptions options;
  options.hidden = {7};
  tower.add_predictor(options);
  tower.to(torch::kDouble);
  const foil::Tower::Output out = tower.forward({view({9, 3, 2, 2}, 0), view({5, 3, 3, 1}, 0)});
  ASSERT_EQ(out.p.size(), 2u);
  EXPECT_EQ(out.p[1].sizes(), (std::vector<int64_t>{5, 4}));
  const auto w = tower.named_parameters();
  const Tensor hidden = out.z[0].matmul(w["predictor.0.weight"].t());
  const Tensor normed = (hidden - hidden.mean(0)) / (hidden.var(0, /*unbiased=*/false) + 1e-5).sqrt();
  const Tensor p = normed.clamp_min(0).matmul(w["predictor.3.weight"].t()) + w["predictor.3.bias"];
  EXPECT_TRUE(torch::allclose(out.p[0], p, 0, 1e-12));
  tower.eval();
  EXPECT_TRUE(tower.forward({view({9, 3, 2, 2}, 0)}).p.empty());
}

TEST(Tower, UnderBf16AutocastGivesFp32NearTheFp32Result) {
  torch::manual_seed(4);
  foil::Tower tower(std::make_shared<Pool>(), {}, {});
  const foil::Views views = {view({31, 3, 4, 4}, 0, torch::kFloat), view({31, 3, 4, 4}, 1, torch::kFloat)};
  const foil::Tower::Output full = tower.forward(views), half = tower.forward(views, /*bf16_autocast=*/true);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  for (size_t v = 0; v < 2; ++v) {
    EXPECT_EQ(half.h[v].scalar_type(), torch::kFloat);
    EXPECT_EQ(half.z[v].scalar_type(), torch::kFloat);
    EXPECT_FALSE(torch::equal(full.z[v], half.z[v]));
    EXPECT_LT((full.z[v] - half.z[v]).norm().item<float>(), 0.02 * full.z[v].norm().item<float>());
  }
  half.z[0].square().sum().backward();
  for (const Tensor& parameter : tower.parameters()) EXPECT_EQ(parameter.grad().scalar_type(), torch::kFloat);
}

TEST(Tower, LeavesAutocastAsItWasAfterAnError) {
  foil::Tower tower(std::make_shared<Pool>(), {}, {});
  EXPECT_THROW(tower.forward({view({2, 5, 1, 1}, 0, torch::kFloat)}, true), c10::Error);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST(Tower, AFrozenEncoderKeepsWeightsAndRunningStatistics) {
  foil::ModelOptions options;
  options.frozen = true;
  const auto encoder = std::make_shared<Pool>();
  foil::Tower tower(encoder, {}, options);
  tower.train();
  EXPECT_TRUE(tower.is_training());
  const foil::Tower::Output out = tower.forward({view({9, 3, 2, 2}, 3, torch::kFloat)});
  EXPECT_FALSE(out.h[0].requires_grad());
  EXPECT_TRUE(out.z[0].requires_grad());
  EXPECT_EQ(encoder->norm->num_batches_tracked.item<int64_t>(), 0);
  for (const auto& item : tower.named_parameters())
    EXPECT_EQ(item.value().requires_grad(), item.key().starts_with("head.")) << item.key();
}

TEST(Tower, LoadsTheEncoderOfASavedTower) {
  const foil::test::TempFolder folder;
  const std::string path = folder / "tower.safetensors";
  torch::manual_seed(6);
  const auto trained = std::make_shared<Pool>(), fresh = std::make_shared<Pool>();
  foil::Tower saved(trained, {}, {});
  saved.forward({view({9, 3, 2, 2}, 3, torch::kFloat)});
  foil::save_tensors(path, foil::named_tensors(saved));
  foil::ModelOptions options;
  options.weights = path;
  const foil::Tower tower(fresh, {}, options);
  for (const auto& [name, tensor] : foil::named_tensors(*fresh)) {
    EXPECT_TRUE(torch::equal(tensor, foil::named_tensors(*trained).at(name))) << name;
  }
  EXPECT_EQ(tower.weights_left_out().size(), 8u);  // head.0.weight, head.1.* (5), head.3.weight, head.3.bias
}

TEST(Unit, HasNormOneInFp32OrWiderAndKeepsZero) {
  const Tensor x = torch::tensor({{3.0, 4.0}, {0.0, 0.0}}, torch::kDouble);
  EXPECT_TRUE(
      torch::allclose(foil::unit(x), torch::tensor({{0.6, 0.8}, {0.0, 0.0}}, torch::kDouble), 0, 1e-15));
  EXPECT_EQ(foil::unit(x.to(torch::kBFloat16)).scalar_type(), torch::kFloat);
  EXPECT_EQ(foil::unit(x.to(torch::kFloat)).scalar_type(), torch::kFloat);
}

class Alone : public foil::Ranks {
 public:
  int64_t rank() const override { return 0; }
  int64_t world_size() const override { return 1; }
  Tensor gather(const Tensor& local) override { return local; }
  Tensor sum(const Tensor& local) override { return local; }
  std::vector<int64_t> counts(int64_t local) override { return {local}; }
};

TEST(ShareRanks, ReachesEveryBatchNormOfATower) {
  foil::HeadOptions head;
  head.last_batch_norm = true;
  foil::Tower tower(std::make_shared<Pool>(), head, {});
  const auto ranks = std::make_shared<Alone>();
  foil::share_ranks(tower, ranks);
  EXPECT_EQ(ranks.use_count(), 1 + 3);  // encoder.bn1, head.1, head.4
}

TEST(ShareRanks, RefusesLibTorchsBatchNormByName) {
  torch::nn::Sequential net(torch::nn::Linear(2, 2), torch::nn::BatchNorm1d(2));
  EXPECT_EQ(foil::test::refusal([&] { foil::share_ranks(*net, nullptr); }),
            "1 is a torch::nn::BatchNorm1dImpl, allowed: "
            "foil::BatchNorm, whose statistics are those of all ranks.");
}

}  // namespace
