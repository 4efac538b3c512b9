// SPDX-License-Identifier: BSD-3-Clause
// contrast in a loss: the example of plugins/README.md, and the pairs of an input, on one rank and on
// several.
#include "ranks/in_process.h"
#include "ranks/reducer.h"

#include <foil/contrast.h>

#include <gtest/gtest.h>
#include <torch/types.h>

#include <mutex>
#include <numeric>

namespace {

using foil::LossInput;
using foil::Tensor;

class InfoNCE final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
  };
  explicit InfoNCE(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const auto pairs = foil::contrast::between(input, 0, 1, 1 / options_.temperature);
    const Tensor positive = (input.z[0] * input.z[1]).sum(1) / options_.temperature;  // [B]
    return input.mean(foil::contrast::mean_lse(pairs, positive));
  }

 private:
  Options options_;
};

// The same in plain tensors.
Tensor plain(const LossInput& input, double temperature) {
  const Tensor z = torch::matmul(input.z[0], input.everyone(1).t()) / temperature;  // [B, N]
  const Tensor others = foil::masked_logsumexp(z, input.other_samples());
  return input.mean(foil::softplus(others - (input.z[0] * input.z[1]).sum(1) / temperature));
}

LossInput input_of(int64_t n) {
  torch::manual_seed(1);
  LossInput input;
  for (int v = 0; v < 2; ++v)
    input.z.push_back(foil::unit(torch::randn({n, 5}, torch::kDouble)).requires_grad_());
  input.index = torch::arange(n);
  input.ranks = foil::World::single();
  return input;
}

TEST(ContrastInput, TheExampleIsInfoNCE) {
  const LossInput input = input_of(11);
  const Tensor got = InfoNCE({}).forward(input), expected = plain(input, 0.2);
  EXPECT_NEAR(got.item<double>(), expected.item<double>(), 1e-14);
  got.backward();
  const Tensor by = input.z[1].grad().clone();
  input.z[1].mutable_grad().zero_();
  expected.backward();
  EXPECT_LE((by - input.z[1].grad()).abs().max().item<double>(), 1e-15);
}

TEST(ContrastInput, AmongLeavesOutTheSampleOrTheRowItself) {
  namespace contrast = foil::contrast;
  const LossInput input = input_of(6);
  const contrast::Pairs pairs = contrast::among(input, 2.0);
  EXPECT_FALSE(pairs.column.data.defined());
  EXPECT_TRUE(pairs.row.id.equal(torch::arange(6).repeat({2})));
  const Tensor z = torch::cat(input.z), s = torch::matmul(z, z.t()) * 2.0;
  const Tensor lse = contrast::reduce(pairs, {contrast::lse()})[0];
  EXPECT_LE(
      (lse - foil::masked_logsumexp(s, input.other_samples(2).repeat({2, 1}))).abs().max().item<double>(),
      1e-14);
  const Tensor itself = contrast::among(input, 2.0, contrast::LeftOut::itself).row.id;
  EXPECT_TRUE(itself.equal(torch::arange(12)));
  EXPECT_TRUE(contrast::all_rows(input, lse).equal(lse));
}

// Value and gradient by a shared parameter, averaged over ranks of so many samples of 11.
using Formula = std::function<Tensor(const LossInput&)>;
std::pair<Tensor, Tensor> run(const std::vector<int64_t>& sizes, const Formula& formula) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({11, 4}, torch::kDouble), start = torch::randn({4, 3}, torch::kDouble);
  std::pair<Tensor, Tensor> result{torch::zeros({}, torch::kDouble), Tensor()};
  std::mutex mutex;
  foil::in_process_ranks(static_cast<int>(sizes.size()), [&](foil::World& world) {
    const int64_t before = std::accumulate(sizes.begin(), sizes.begin() + world.rank(), int64_t{0});
    const Tensor own = x.narrow(0, before, sizes[static_cast<size_t>(world.rank())]);
    Tensor parameter = start.clone().requires_grad_();
    foil::GradientReducer reducer({{"parameter", parameter}}, world.shared_from_this());
    LossInput input;
    input.ranks = world.shared_from_this();
    input.index = torch::arange(before, before + own.size(0));
    input.z = {torch::matmul(own, parameter), torch::matmul(own.sin(), parameter)};
    const Tensor value = input.join(formula(input));
    reducer.prepare(value);
    value.backward();
    const std::lock_guard lock(mutex);
    result.first += value.detach() / static_cast<double>(sizes.size());
    result.second = parameter.grad();
  });
  return result;
}

Tensor both_directions(const LossInput& input) {
  namespace contrast = foil::contrast;
  const auto lse = contrast::reduce(contrast::between(input, 0, 1, 0.7),
                                    {contrast::lse(), contrast::lse(contrast::Per::column)});
  const Tensor positive = (input.z[0] * input.z[1]).sum(1) * 0.7;
  return input.mean(foil::softplus(lse[0] - positive) +
                    foil::softplus(contrast::all_rows(input, lse[1]) - positive));
}

Tensor all_views(const LossInput& input) {
  const auto pairs = foil::contrast::among(input, 0.7);
  const Tensor positive = ((input.z[0] * input.z[1]).sum(1) * 0.7).repeat({2});
  return input.mean(foil::contrast::mean_lse(pairs, positive));
}

TEST(ContrastInput, RanksOfUnevenAndEmptyShardsAreOneRank) {
  const std::vector<Formula> formulas = {[](const LossInput& input) { return InfoNCE({}).forward(input); },
                                         both_directions, all_views};
  for (size_t f = 0; f < formulas.size(); ++f) {
    const auto whole = run({11}, formulas[f]);
    for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{7, 4}, {4, 0, 7}}) {
      const auto sharded = run(sizes, formulas[f]);
      EXPECT_NEAR(sharded.first.item<double>() / whole.first.item<double>(), 1, 1e-12) << f;
      EXPECT_LE((sharded.second - whole.second).abs().max().item<double>(),
                1e-12 * whole.second.abs().max().item<double>())
          << f;
    }
  }
}

}  // namespace
