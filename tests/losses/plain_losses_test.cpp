// SPDX-License-Identifier: BSD-3-Clause
// The losses over all pairs against their formulas in plain tensors: values and gradients, at sizes below and
// above what is taken at once.
#include "tests/support/plain_losses.h"

#include "tests/support/loss_steps.h"

#include <foil/host.h>

namespace foil {
namespace {

using Views = std::vector<Tensor>;

struct Twin {
  std::string name, options;
  int64_t views;
  std::function<Tensor(const Views&, const Tensor& label)> plain;
};

Tensor number(double value) { return torch::full({}, value, torch::kDouble); }

const std::vector<Twin> kTwins{
    {"infonce", "temperature = 0.1", 2, [](const auto& z, const auto&) { return plain::ntxent(z, 0.1); }},
    {"infonce", "temperature = 0.3", 3, [](const auto& z, const auto&) { return plain::ntxent(z, 0.3); }},
    {"dcl", "temperature = 0.1", 2, [](const auto& z, const auto&) { return plain::dcl(z, 0.1); }},
    {"supcon", "temperature = 0.1\nbase_temperature = 0.1", 1,
     [](const auto& z, const auto& label) { return plain::supcon(z, label, 0.1); }},
    {"supcon", "temperature = 0.1\nbase_temperature = 0.1", 3,
     [](const auto& z, const auto& label) { return plain::supcon(z, label, 0.1); }},
    {"clip", "temperature = 0.1\nlearn_temperature = false", 2,
     [](const auto& z, const auto&) { return plain::clip(z[0], z[1], number(10)); }},
    {"siglip", "temperature = 0.1\nbias = -3\nlearn_temperature = false", 2,
     [](const auto& z, const auto&) { return plain::siglip(z[0], z[1], number(10), number(-3)); }},
    {"mw", "temperature = 0.1\npairing = \"per_query\"", 2,
     [](const auto& z, const auto&) { return plain::mw(z[0], z[1], 0.1); }}};

// The value, and the gradients of all views one after another.
std::pair<Tensor, Tensor> differentiated(const std::function<Tensor(const Views&)>& loss, const Views& z) {
  Views leaves;
  for (const Tensor& view : z) leaves.push_back(view.detach().clone().requires_grad_());
  const Tensor value = loss(leaves);
  return {value.detach(), torch::cat(torch::autograd::grad({value}, leaves))};
}

// Labels of which some are shared, some are not and some samples have none.
Tensor some_labels(int64_t n) {
  const Tensor label = torch::arange(n) % (n / 3 + 1);
  return torch::where(torch::arange(n) % 7 == 3, torch::full_like(label, -1), label);
}

void expect_equal(const Twin& twin, int64_t n, at::ScalarType type, double tolerance) {
  SCOPED_TRACE(twin.name + ", " + std::to_string(twin.views) + " views of " + std::to_string(n));
  const Views z = unit_views(twin.views, n, 24);
  const Tensor label = some_labels(n);
  const auto loss = make_loss(twin.name, twin.options);
  loss->setup({});
  loss->to(type);
  const auto [value, gradient] = differentiated(
      [&](const Views& views) {
        Views typed;
        for (const Tensor& view : views) typed.push_back(view.to(type));
        return (*loss)(input_of(typed, label));
      },
      z);
  const auto [slow, slow_gradient] =
      differentiated([&](const Views& views) { return twin.plain(views, label); }, z);
  // Relative, but where both are 0: one view of two samples has no positives.
  EXPECT_LE((value - slow).abs().item<double>(), tolerance * slow.abs().item<double>());
  EXPECT_LE((gradient - slow_gradient).norm().item<double>(),
            tolerance * slow_gradient.norm().item<double>());
}

class PlainLosses : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { load_plugins(); }
};

TEST_F(PlainLosses, EqualFoilsInDouble) {
  for (const Twin& twin : kTwins)
    for (const int64_t n : {2, 37, 700}) expect_equal(twin, n, torch::kDouble, 1e-12);
}

TEST_F(PlainLosses, EqualFoilsInFloat) {
  for (const Twin& twin : kTwins) expect_equal(twin, 700, torch::kFloat, 2e-6);
}

}  // namespace
}  // namespace foil
