#include "my_plugin.cpp"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

foil::View view_of(const foil::Tensor& images) {
  foil::View view;
  view.data = images;
  return view;
}

foil::AugmentContext context(const std::vector<int64_t>& samples) {
  foil::AugmentContext context;
  context.seed = 7;
  context.index = torch::tensor(samples, torch::kLong);
  return context;
}

TEST(MyPlugin, ChangesAtMostASquareOfEachImage) {
  MyPlugin erase({.side = 3, .probability = 1});
  const foil::Tensor images = torch::rand({4, 3, 9, 7});
  const foil::Tensor changed =
      (erase.apply(view_of(images), context({5, 1, 8, 2})).data != images).any(1);  // [4, 9, 7]
  EXPECT_TRUE((changed.sum({1, 2}) == 9).all().item<bool>());
}

TEST(MyPlugin, ASampleIsChangedAlikeAtAnyPlaceOfTheBatch) {
  MyPlugin erase({.side = 3, .probability = 0.5});
  const foil::Tensor images = torch::rand({3, 1, 8, 8});
  const foil::Tensor here = erase.apply(view_of(images), context({5, 1, 8})).data;
  const foil::Tensor there = erase.apply(view_of(images.flip(0)), context({8, 1, 5})).data.flip(0);
  EXPECT_TRUE(here.equal(there));
}

}  // namespace
