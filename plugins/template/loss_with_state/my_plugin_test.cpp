// The loss against a loop that transcribes its formula, over two steps, so that the state has moved. Ranks,
// extreme values, precision and resuming are what the conformance test is for.
#include <foil/host.h>

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

std::vector<double> slow_each(const at::Tensor& z1, const at::Tensor& z2, double temperature) {
  std::vector<double> each;
  for (int64_t i = 0; i < z1.size(0); ++i) {
    double denominator = 0;
    for (int64_t j = 0; j < z2.size(0); ++j)
      denominator += std::exp((z1[i] * z2[j]).sum().item<double>() / temperature);
    each.push_back(std::log(denominator) - (z1[i] * z2[i]).sum().item<double>() / temperature);
  }
  return each;
}

TEST(MyPlugin, EqualsTheLoopBeforeAndAfterItsStateMoved) {
  foil::load_plugins();
  const auto loss = foil::make_loss("my_plugin", "temperature = 0.3\nstrength = 2.0\nmomentum = 0.25");
  const at::Tensor index = torch::tensor({4, 0, 2}, torch::kLong);
  std::vector<double> difficulty(5, 0.0);
  for (int step = 0; step < 2; ++step) {
    const auto input =
        foil::make_input(*loss, {torch::randn({3, 4}, torch::kDouble), torch::randn({3, 4}, torch::kDouble)},
                         {{"index", index}});
    if (step == 0) {
      loss->setup(input.sizes);
      loss->to(torch::kDouble);
    }
    const std::vector<double> each = slow_each(input.z[0], input.z[1], 0.3);
    double expected = 0;
    for (size_t i = 0; i < 3; ++i) {
      double& d = difficulty[static_cast<size_t>(index[static_cast<int64_t>(i)].item<int64_t>())];
      expected += (1 + 2.0 * d) * each[i] / 3;
      d = 0.25 * d + 0.75 * each[i];
    }
    EXPECT_NEAR((*loss)(input).item<double>(), expected, 1e-12) << "step " << step;
    loss->after_step(input);
  }
}

}  // namespace
