// SPDX-License-Identifier: BSD-3-Clause
#include "losses/mochi.cpp"

#include "tests/support/loss_steps.h"

#include <algorithm>

namespace {

const MoCHi::Options kOptions{.temperature = 0.2,
                              .queue_length = 11,
                              .hardest = 4,
                              .pairs = 5,
                              .with_query = 3,
                              .mixing_start_epoch = 2};

LossInput step_of(const std::vector<Tensor>& z, int64_t epoch = 2) {
  LossInput input = foil::input_of(z);
  input.target = foil::unit_views(2, z[0].size(0), z[0].size(1), 6);
  input.queue = {{foil::unit_views(1, kOptions.queue_length, z[0].size(1), 7)[0], {}, {}, 0, 0}};
  input.epoch = epoch;
  return input;
}

Tensor slow_unit(const Tensor& x) { return x / x.norm(); }

// The paper's section 3, query by query, with the draws of the host; mask_own: without the queue's entries of
// the query's sample.
double slow(const LossInput& input, bool mask_own = false) {
  const Tensor &q = input.z[0], &k = input.target[1], &queue = input.queue[0].data;
  const double temperature = kOptions.temperature;
  double sum = 0;
  for (int64_t i = 0; i < q.size(0); ++i) {
    std::vector<int64_t> hardest;
    std::vector<Tensor> negatives;
    for (int64_t j = 0; j < queue.size(0); ++j) {
      if (mask_own && input.queue[0].index[j].item<int64_t>() == input.index[i].item<int64_t>()) continue;
      hardest.push_back(j);
      negatives.push_back(queue[j]);
    }
    std::sort(hardest.begin(), hardest.end(),
              [&](int64_t a, int64_t b) { return foil::dot(q[i], queue[a]) > foil::dot(q[i], queue[b]); });
    hardest.resize(static_cast<size_t>(kOptions.hardest));
    std::sort(hardest.begin(), hardest.end());
    const auto draw = [&](const char* name, int64_t count, int64_t c) {
      return input.uniform(name, count)[i][c].item<double>();
    };
    const auto row = [&](const char* name, int64_t count, int64_t c) {
      return queue[hardest[static_cast<size_t>(draw(name, count, c) *
                                               static_cast<double>(kOptions.hardest))]];
    };
    for (int64_t c = 0; c < kOptions.pairs && input.epoch >= kOptions.mixing_start_epoch; ++c) {
      const double alpha = draw("alpha", kOptions.pairs, c);
      negatives.push_back(slow_unit(alpha * row("pair_a", kOptions.pairs, c) +
                                    (1 - alpha) * row("pair_b", kOptions.pairs, c)));
    }
    for (int64_t c = 0; c < kOptions.with_query && input.epoch >= kOptions.mixing_start_epoch; ++c) {
      const double beta = draw("beta", kOptions.with_query, c) / 2;
      negatives.push_back(slow_unit(beta * q[i] + (1 - beta) * row("partner", kOptions.with_query, c)));
    }
    const double positive = std::exp(foil::dot(q[i], k[i]) / temperature);
    double all = positive;
    for (const Tensor& n : negatives) all += std::exp(foil::dot(q[i], n) / temperature);
    sum -= std::log(positive / all);
  }
  return sum / static_cast<double>(q.size(0));
}

TEST(MoCHi, EqualsTheLoopOverQueueAndMixedNegatives) {
  const auto z = foil::unit_views(2, 7, 5);
  EXPECT_NEAR(MoCHi(kOptions).forward(step_of(z)).item<double>(), slow(step_of(z)), 1e-12);
}

TEST(MoCHi, IsPlainMoCoBeforeItsStartEpoch) {
  const auto z = foil::unit_views(2, 7, 5);
  const double plain = MoCHi(kOptions).forward(step_of(z, 1)).item<double>();
  EXPECT_NEAR(plain, slow(step_of(z, 1)), 1e-12);
  EXPECT_GT(MoCHi(kOptions).forward(step_of(z, 2)).item<double>(), plain);
}

TEST(MoCHi, MixedNegativesPassNoGradientToTheQueryInThem) {
  MoCHi::Options options = kOptions;
  options.pairs = 0;
  const Tensor q = foil::unit_views(1, 1, 5)[0].requires_grad_();
  LossInput input = step_of({q, q.detach()});
  MoCHi loss(options);
  loss.forward(input).backward();
  // By hand: d L / d q = (sum_j p_j n_j - (1 - p_0) k) / temperature, all n_j constant.
  const Tensor negative = input.kept("negative")[0], positive = input.kept("positive")[0];
  const Tensor share = torch::softmax(torch::cat({positive.unsqueeze(0), negative}), 0);
  Tensor rows = input.queue[0].data;
  const Tensor similarity = torch::matmul(rows, q.detach()[0]);
  const Tensor hardest = std::get<0>(std::get<1>(similarity.topk(options.hardest)).sort());
  for (int64_t c = 0; c < options.with_query; ++c) {
    const double beta = input.uniform("beta", options.with_query)[0][c].item<double>() / 2;
    const auto place =
        static_cast<int64_t>(input.uniform("partner", options.with_query)[0][c].item<double>() *
                             static_cast<double>(options.hardest));
    rows = torch::cat(
        {rows,
         slow_unit(beta * q.detach()[0] + (1 - beta) * rows[hardest[place].item<int64_t>()]).unsqueeze(0)});
  }
  const Tensor all = torch::cat({input.target[1], rows});
  const Tensor expected = (torch::matmul(share, all) - input.target[1][0]) / options.temperature;
  EXPECT_TRUE(torch::allclose(q.grad()[0], expected, 1e-10, 1e-12));
}

TEST(MoCHi, LeavesOutEntriesOfTheQuerysOwnSampleWhenAsked) {
  MoCHi::Options options = kOptions;
  options.mask_own = true;
  LossInput input = step_of(foil::unit_views(2, 7, 5));
  // Sample 3 is there twice, sample 5 once, some slots are empty.
  input.queue[0].index = torch::tensor({3, 12, 5, 20, 3, 21, 22, 23, -1, -1, -1}, torch::kLong);
  const double masked = MoCHi(options).forward(input).item<double>();
  EXPECT_NEAR(masked, slow(input, true), 1e-12);
  EXPECT_GT(MoCHi(kOptions).forward(input).item<double>(), masked);
  // A query whose sample fills the queue has nothing to be told from but what is mixed; without mixing,
  // nothing at all.
  input.queue[0].index.fill_(0);
  options.mixing_start_epoch = 5;
  input.index.fill_(0);
  EXPECT_EQ(MoCHi(options).forward(input).item<double>(), 0);
}

TEST(MoCHi, RefusesToMixMoreThanTheQueueHolds) {
  try {
    MoCHi({.queue_length = 8, .hardest = 9});
    FAIL() << "no error";
  } catch (const foil::Error& error) {
    EXPECT_STREQ(error.what(), "hardest = 9, allowed: at most queue_length = 8.");
  }
}

}  // namespace
