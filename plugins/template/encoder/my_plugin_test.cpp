#include "my_plugin.cpp"

#include <gtest/gtest.h>

namespace {

foil::View view_of(const foil::Tensor& images) {
  foil::View view;
  view.data = images;
  return view;
}

TEST(MyPlugin, GivesOneFeatureVectorASample) {
  MyPlugin encoder({.widths = {4, 6}, .dropout = 0});
  encoder.setup({.channels = 3, .height = 9, .width = 7});
  const foil::Features out = encoder.forward(view_of(torch::rand({5, 3, 9, 7})));
  EXPECT_EQ(out.pooled.sizes(), (std::vector<int64_t>{5, encoder.feature_dim()}));
  EXPECT_EQ(out.map.sizes(), (std::vector<int64_t>{5, 6, 3, 2}));
}

TEST(MyPlugin, ASampleInEvaluationDoesNotDependOnTheOthers) {
  MyPlugin encoder({.widths = {4, 6}, .dropout = 0});
  encoder.setup({.channels = 1, .height = 8, .width = 8});
  const foil::Tensor images = torch::rand({5, 1, 8, 8});
  encoder.forward(view_of(images));  // the running statistics move
  encoder.eval();
  const foil::Tensor all = encoder.forward(view_of(images)).pooled,
                     one = encoder.forward(view_of(images.slice(0, 3, 4))).pooled;
  EXPECT_LT((all[3] - one[0]).abs().max().item<double>(), 1e-6);
}

}  // namespace
