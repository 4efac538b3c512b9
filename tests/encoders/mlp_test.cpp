// SPDX-License-Identifier: BSD-3-Clause
#include "encoders/mlp.cpp"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace {

using at::Tensor;
using foil::test::error_of;

TEST(MLP, EqualsLinearNormReluWrittenOut) {
  torch::manual_seed(1);
  MLP net({{7, 5}, true});
  net.setup({2, 3, 1});
  net.to(torch::kDouble);
  const Tensor image = torch::randn({9, 2, 3, 1}, torch::kDouble);
  Tensor x = image.reshape({9, 6});
  for (const char* name : {"layers.0.weight", "layers.3.weight"}) {
    x = x.matmul(net.named_parameters()[name].t());
    x = ((x - x.mean(0)) / (x.var(0, /*unbiased=*/false) + 1e-5).sqrt()).clamp_min(0);
  }
  const foil::Features got = net.forward({"image", foil::Kind::image, image, {}, {}, {}, {}});
  EXPECT_TRUE(torch::allclose(got.pooled, x, 0, 1e-12));
  EXPECT_FALSE(got.map.defined());
  EXPECT_EQ(net.feature_dim(), 5);
}

TEST(MLP, WithoutBatchNormHasBiases) {
  torch::manual_seed(1);
  MLP net({{4}, false});
  net.setup({6, 0, 0});  // vectors
  std::vector<std::string> names;
  for (const auto& item : net.named_parameters()) names.push_back(item.key());
  EXPECT_EQ(names, (std::vector<std::string>{"layers.0.weight", "layers.0.bias"}));
  const Tensor x = torch::randn({3, 6});
  const auto w = net.named_parameters();
  EXPECT_TRUE(torch::allclose(net.forward({"vector", foil::Kind::vector, x, {}, {}, {}, {}}).pooled,
                              (x.matmul(w["layers.0.weight"].t()) + w["layers.0.bias"]).clamp_min(0), 0,
                              1e-6));
}

TEST(MLP, DecodesByTheSameWidthsBackwards) {
  torch::manual_seed(1);
  MLP net({.widths = {5, 2}, .batch_norm = false, .last_activation = false, .decoder = true});
  net.setup({6, 0, 0, foil::Kind::graph});
  const Tensor x = torch::relu(torch::randn({4, 6}));
  foil::View view{"graph", foil::Kind::graph, x, {}, {}, {}, {}};
  const auto w = net.named_parameters();
  const auto linear = [&](const Tensor& of, const std::string& name) {
    return of.matmul(w[name + ".weight"].t()) + w[name + ".bias"];
  };
  const Tensor h = linear(linear(x, "layers.0").clamp_min(0), "layers.2");
  const Tensor back = linear(linear(h, "decoder.0").clamp_min(0), "decoder.2");
  EXPECT_EQ(back.sizes(), x.sizes());
  for (const Tensor& data : {x, x.to_sparse_csr()}) {
    view.data = data;
    const foil::Features got = net.forward(view);
    EXPECT_TRUE(torch::allclose(got.pooled, h, 0, 1e-6));
    EXPECT_TRUE(torch::allclose(got.decoded, back, 0, 1e-6));
  }
}

TEST(MLP, OfFeaturesInCsrLayoutIsThatOfDenseOnes) {
  torch::manual_seed(1);
  MLP net({.widths = {5, 3}});
  net.setup({6, 0, 0, foil::Kind::graph});
  const Tensor x = torch::relu(torch::randn({9, 6}));
  foil::View view{"graph", foil::Kind::graph, x, {}, {}, {}, {}};
  const Tensor want = net.forward(view).pooled;
  view.data = x.to_sparse_csr();
  EXPECT_TRUE(torch::allclose(net.forward(view).pooled, want, 0, 1e-5));
}

TEST(MLP, RefusesAViewOfAnotherWidth) {
  MLP net({{4}, true});
  net.setup({6, 0, 0});
  EXPECT_EQ(error_of([&] {
              net.forward({"vector", foil::Kind::vector, torch::zeros({3, 5}), {}, {}, {}, {}});
            }),
            "1 mlp: the view is [3, 5], allowed: 6 numbers for each sample.");
}

TEST(MLP, RefusesNoWidths) { EXPECT_THROW(MLP({{}, true}), foil::Error); }

}  // namespace
