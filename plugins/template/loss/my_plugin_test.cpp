// The loss against a loop that transcribes its formula. Ranks, extreme values, precision and state are what
// the conformance test is for.
#include <foil/host.h>

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

double slow_loop(const at::Tensor& z1, const at::Tensor& z2, double temperature) {
  double sum = 0;
  for (int64_t i = 0; i < z1.size(0); ++i) {
    double denominator = 0;
    for (int64_t j = 0; j < z2.size(0); ++j)
      denominator += std::exp((z1[i] * z2[j]).sum().item<double>() / temperature);
    sum += std::log(denominator) - (z1[i] * z2[i]).sum().item<double>() / temperature;
  }
  return sum / static_cast<double>(z1.size(0));
}

TEST(MyPlugin, EqualsTheLoopOverAllPairs) {
  foil::load_plugins();
  const auto loss = foil::make_loss("my_plugin", "temperature = 0.3");
  const foil::LossInput input =
      foil::make_input(*loss, {torch::randn({7, 5}, torch::kDouble), torch::randn({7, 5}, torch::kDouble)});
  loss->setup(input.sizes);
  EXPECT_NEAR((*loss)(input).item<double>(), slow_loop(input.z[0], input.z[1], 0.3), 1e-12);
}

}  // namespace
