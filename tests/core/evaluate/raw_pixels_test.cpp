// SPDX-License-Identifier: BSD-3-Clause
// The published order of magnitude on real data: kNN (k = 20, cosine) on raw Fashion-MNIST pixels is 84.5 %.
#include "data/idx.h"
#include "evaluate/evaluate.h"
#include "ranks/world.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace foil {
namespace {

TEST(RawPixels, OfFashionMnistReach84Point5PercentInKnn) {
  Subject pixels;
  pixels.encode = raw_pixels;
  pixels.prepare = [](const Views& views) {
    View view = views.at(0);
    view.data = view.data.to(torch::kFloat) / 255;
    return view;
  };
  pixels.preparation = "resize-none";
  EvaluateOptions options;
  options.linear = options.geometry = false;
  const nlohmann::json result = evaluate(pixels, FashionMnist({}), options, *World::single());
  EXPECT_NEAR(result["features.knn"]["value"].get<double>(), 84.5, 0.3);
  EXPECT_EQ(result["features.knn"]["protocol"],
            "knn-cosine-k20-T0.07-weighted/features/train60000/test10000/resize-none/v1");
}

}  // namespace
}  // namespace foil
