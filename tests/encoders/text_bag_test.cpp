// SPDX-License-Identifier: BSD-3-Clause
#include "encoders/text_bag.cpp"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace {

using foil::test::error_of;

// Of 11 tokens, texts of 4, 0, 1 and 6 of them; what stands behind must not count.
foil::View some_tokens() {
  torch::manual_seed(3);
  foil::View view;
  view.modality = "text";
  view.kind = foil::Kind::text;
  view.data = torch::randint(0, 11, {4, 6}, torch::kLong);
  view.length = torch::tensor({4, 0, 1, 6}, torch::kLong);
  return view;
}

std::shared_ptr<TextBag> bag_of(TextBag::Options options, at::ScalarType type = at::kDouble) {
  torch::manual_seed(1);
  auto bag = std::make_shared<TextBag>(std::move(options));
  bag->setup({0, 0, 0, foil::Kind::text, 6, 11});
  bag->to(type);
  return bag;
}

TEST(TextBag, IsTheMeanTheSumOrTheSumOverTheRootTokenByToken) {
  const foil::View view = some_tokens();
  for (const Pooling pooling : {Pooling::mean, Pooling::sqrt, Pooling::sum}) {
    const auto bag = bag_of({.embedding = 5, .pooling = pooling, .widths = {}});
    const Tensor table = bag->named_parameters()["embedding.weight"];
    const Tensor got = bag->forward(view).pooled;
    ASSERT_EQ(got.sizes(), (std::vector<int64_t>{4, 5}));
    for (int64_t b = 0; b < 4; ++b) {
      const int64_t n = view.length[b].item<int64_t>();
      Tensor sum = torch::zeros({5}, torch::kDouble);
      for (int64_t t = 0; t < n; ++t) sum = sum + table[view.data[b][t].item<int64_t>()];
      const double by = n == 0 || pooling == Pooling::sum ? 1
                        : pooling == Pooling::mean        ? static_cast<double>(n)
                                                          : std::sqrt(static_cast<double>(n));
      EXPECT_TRUE(torch::allclose(got[b], sum / by, 0, 1e-12)) << b;
    }
    EXPECT_TRUE(got[1].eq(0).all().item<bool>()) << "a text without a token";
  }
}

TEST(TextBag, StandsUnderLinearNormReluWrittenOut) {
  const auto bag = bag_of({.embedding = 5, .widths = {7, 3}});
  const auto plain = bag_of({.embedding = 5, .widths = {}});
  torch::NoGradGuard no_grad;
  plain->named_parameters()["embedding.weight"].copy_(bag->named_parameters()["embedding.weight"]);
  Tensor x = plain->forward(some_tokens()).pooled;
  for (const char* name : {"layers.0.weight", "layers.3.weight"}) {
    x = x.matmul(bag->named_parameters()[name].t());
    x = ((x - x.mean(0)) / (x.var(0, /*unbiased=*/false) + 1e-5).sqrt()).clamp_min(0);
  }
  EXPECT_TRUE(torch::allclose(bag->forward(some_tokens()).pooled, x, 0, 1e-12));
  EXPECT_EQ(bag->feature_dim(), 3);
  EXPECT_EQ(plain->feature_dim(), 5);
}

TEST(TextBag, OfARowHasTheSameBitsInAnyBatch) {
  const foil::View view = some_tokens();
  const auto bag = bag_of({.embedding = 64, .widths = {}}, at::kFloat);
  const Tensor whole = bag->forward(view).pooled;
  for (int64_t b = 0; b < 4; ++b) {
    foil::View alone = view;
    alone.data = view.data.narrow(0, b, 1);
    alone.length = view.length.narrow(0, b, 1);
    EXPECT_TRUE(bag->forward(alone).pooled.equal(whole.narrow(0, b, 1))) << b;
    alone.data = alone.data.slice(1, 0, std::max<int64_t>(alone.length.item<int64_t>(), 1)).contiguous();
    EXPECT_TRUE(bag->forward(alone).pooled.equal(whole.narrow(0, b, 1))) << b << " without padding";
  }
  foil::View none = view;
  none.data = view.data.narrow(0, 0, 0);
  none.length = view.length.narrow(0, 0, 0);
  EXPECT_EQ(bag->forward(none).pooled.sizes(), (std::vector<int64_t>{0, 64}));
}

TEST(TextBag, WithoutLengthsCountsEveryToken) {
  foil::View view = some_tokens();
  const auto bag = bag_of({.embedding = 5, .widths = {}});
  view.length = torch::full({4}, 6, torch::kLong);
  const Tensor want = bag->forward(view).pooled;
  view.length.reset();
  EXPECT_TRUE(bag->forward(view).pooled.equal(want));
}

TEST(TextBag, HasADenseGradientThatIsTheCountOverTheNumber) {
  const foil::View view = some_tokens();
  const auto bag = bag_of({.embedding = 2, .widths = {}});
  bag->forward(view).pooled.sum().backward();
  const Tensor got = bag->named_parameters()["embedding.weight"].grad();
  Tensor want = torch::zeros({11, 2}, torch::kDouble);
  for (int64_t b = 0; b < 4; ++b) {
    const int64_t n = view.length[b].item<int64_t>();
    for (int64_t t = 0; t < n; ++t) want[view.data[b][t].item<int64_t>()] += 1.0 / static_cast<double>(n);
  }
  EXPECT_FALSE(got.is_sparse());
  EXPECT_TRUE(torch::allclose(got, want, 0, 1e-12));
}

TEST(TextBag, RefusesWhatIsNotTokens) {
  TextBag bag(TextBag::Options{});
  EXPECT_EQ(error_of([&] {
              bag.setup({3, 32, 32});
            }),
            "2 text_bag: the data is image, allowed: text, cut into tokens (hashed_ngrams).");
  EXPECT_EQ(error_of([&] {
              bag.setup({0, 0, 0, foil::Kind::audio, 8000, 0});
            }),
            "2 text_bag: the data is audio, allowed: text, cut into tokens (hashed_ngrams).");
  const auto good = bag_of({});
  foil::View view = some_tokens();
  view.data = view.data.to(at::kFloat);
  EXPECT_EQ(error_of([&] { good->forward(view); }),
            "1 text_bag: the view is [4, 6] of float, allowed: tokens [B, L] of int64.");
}

}  // namespace
