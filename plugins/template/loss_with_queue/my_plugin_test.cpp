// The loss against a loop that transcribes its formula. Ranks, extreme values and precision are what the
// conformance test is for.
#include "my_plugin.cpp"

#include <foil/host.h>

#include <gtest/gtest.h>

namespace {

Tensor unit_rows(int64_t rows) {
  const Tensor x = torch::randn({rows, 4}, torch::kDouble);
  return x / x.norm(2, 1, /*keepdim=*/true);
}

TEST(MyPlugin, EqualsTheLoopOverTheBatchAndWhatIsInTheQueue) {
  MyPlugin loss({.temperature = 0.3, .queue_length = 5});
  foil::LossInput input =
      foil::make_input(loss, {unit_rows(3), unit_rows(3)},
                       {{"target.0", unit_rows(3)}, {"target.1", unit_rows(3)}, {"queue.0", unit_rows(5)}});
  input.queue[0].filled = 2;
  double expected = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const auto s = [&](const Tensor& t) { return (input.z[0][i] * t).sum().item<double>() / 0.3; };
    double denominator = 0;
    for (int64_t j = 0; j < 3; ++j) denominator += std::exp(s(input.target[1][j]));
    for (int64_t k = 0; k < 2; ++k) denominator += std::exp(s(input.queue[0].data[k]));
    expected += (std::log(denominator) - s(input.target[1][i])) / 3;
  }
  EXPECT_NEAR(loss(input).item<double>(), expected, 1e-12);
}

}  // namespace
