// SPDX-License-Identifier: BSD-3-Clause
// Hard contrastive loss: InfoNCE on the nearest negatives only, so that a larger temperature can be tolerant
// among them. Wang & Liu, "Understanding the behaviour of contrastive loss", CVPR 2021.
//
//   s(a,c) = <z_a, z_c> / temperature
//   l(a)   = -log [ exp s(a,p) / ( exp s(a,p) + sum over the kept negatives n of exp s(a,n) ) ]
//   kept: the ceil(kept_fraction M) most similar of the anchor's M negatives, at least one
//   L    = mean over anchors
//
// negatives = "batch": anchors of both views, M = 2N - 2: both views of every other sample of the global
// batch. negatives = "queue": anchors of the first view, positives of the second, and the M rows that have
// entered a queue of second views, without gradient. z is unit norm. kept_fraction = 1 is InfoNCE; the paper
// keeps 4095 of 50,000. The choice is a constant: gradient flows through the kept similarities, not through
// the threshold. Exactly k are kept also where similarities tie.
//
//   [[loss]]
//   name = "hard_contrastive"
//   temperature = 0.3
//   kept_fraction = 0.1
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class HardContrastive final : public foil::Loss {
 public:
  enum class Negatives { batch, queue };
  struct Options {
    double temperature = 0.3;
    double kept_fraction = 0.0819;
    Negatives negatives = Negatives::batch;
    int64_t queue_length = 4096;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("kept_fraction", kept_fraction, "part of the negatives that is kept, the most similar",
               foil::above_up_to(0, 1));
      f.choice("negatives", negatives, {{"batch", Negatives::batch}, {"queue", Negatives::queue}},
               "where the negatives are from");
      f.integer("queue_length", queue_length, "earlier projections that are negatives; negatives = \"queue\"",
                foil::at_least(1));
    }
  };
  explicit HardContrastive(Options options) : options_(options) {}

  foil::Needs needs() const override {
    foil::Needs needs;
    if (options_.negatives == Negatives::queue) {
      needs.queues = {
          {.length = options_.queue_length, .source = foil::QueueNeed::Source::online, .view = 1}};
    }
    return needs;
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1) / options_.temperature;  // [B]
    if (options_.negatives == Negatives::queue) {
      const foil::Queue& queue = input.queue.at(0);
      const Tensor similarity = torch::matmul(input.z[0], queue.data.t()) / options_.temperature;  // [B, K]
      const Tensor entered =
          torch::arange(similarity.size(1), similarity.options().dtype(torch::kLong)) < queue.filled;
      return input.mean(
          foil::softplus(kept_logsumexp(similarity, entered.expand_as(similarity), queue.filled) - positive));
    }
    const Tensor candidates = input.everyone();      // [2N, D]
    const Tensor negative = input.other_samples(2);  // [B, 2N]
    std::vector<Tensor> terms;
    for (const Tensor& anchor : input.z) {
      const Tensor similarity = torch::matmul(anchor, candidates.t()) / options_.temperature;  // [B, 2N]
      terms.push_back(
          foil::softplus(kept_logsumexp(similarity, negative, 2 * input.global_batch() - 2) - positive));
    }
    return input.mean(torch::stack(terms));
  }

 private:
  // Log-sum-exp over the kept of `count` negatives: [B]; -inf where there are none.
  Tensor kept_logsumexp(const Tensor& similarity, const Tensor& negative, int64_t count) const {
    const double lowest = -std::numeric_limits<double>::infinity();
    const int64_t kept = std::max<int64_t>(
        1, static_cast<int64_t>(std::ceil(options_.kept_fraction * static_cast<double>(count))));
    const Tensor at = std::get<1>(
        similarity.detach().masked_fill(negative.logical_not(), lowest).topk(kept, 1));  // [B, kept]
    return foil::masked_logsumexp(similarity.gather(1, at), negative.gather(1, at));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<HardContrastive>("hard_contrastive"); }
