// SPDX-License-Identifier: BSD-3-Clause
// SwAV: every crop predicts the assignment of the first two views to prototypes; assignments are balanced
// over the global batch.
// Caron et al., "Unsupervised learning of visual features by contrasting cluster assignments", NeurIPS 2020,
// equations 1 to 4.
//
//   C     = `prototypes` unit rows
//   s_v   = z_v C^T
//   q_i   = Sinkhorn(s_i / assignment_temperature), without gradient
//   p_v   = softmax(s_v / temperature)
//   L     = 1/2 sum over i in {1, 2} of 1/(V-1) sum over v != i of
//           mean over b of ( - sum over k of q_ibk log p_vbk )
//
// With queue_length > 0 the assignments of views 1 and 2 also balance over earlier embeddings of theirs, once
// the queue has been filled. The prototypes are brought to unit norm after each step; the published code does
// it before each, which is the same. It exponentiates scores directly; here the iteration works on logarithms
// (foil/cluster.h), so a small assignment_temperature (the paper's epsilon) is safe. The queue is of the
// global batch, where the published one is split over ranks: the objective does not depend on the world size.
//
//   [[loss]]
//   name = "swav"
//   prototypes = 100
//   queue_length = 1024
//   queue_start_epoch = 2
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::QueueNeed;
using foil::Tensor;

class SwAV final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.1;
    double assignment_temperature = 0.05;
    int64_t iterations = 3;
    int64_t prototypes = 3000;
    int64_t frozen_steps = 0;
    int64_t queue_length = 0;
    int64_t queue_start_epoch = 15;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the scores", foil::above(0));
      f.number("assignment_temperature", assignment_temperature,
               "divides the scores in the assignment: the smaller, the sharper (epsilon)", foil::above(0));
      f.integer("iterations", iterations, "of the balancing", foil::at_least(1));
      f.integer("prototypes", prototypes, "how many", foil::at_least(2));
      f.integer("frozen_steps", frozen_steps, "in the first so many steps the prototypes do not learn",
                foil::at_least(0));
      f.integer("queue_length", queue_length, "earlier embeddings that help to balance; 0 = none",
                foil::at_least(0));
      f.integer("queue_start_epoch", queue_start_epoch, "the queue fills from this epoch on",
                foil::at_least(0));
      f.renamed("epsilon", "assignment_temperature");
    }
  };
  explicit SwAV(Options options) : options_(options) {
    if (options_.iterations > 1'000) foil::refuse("iterations", options_.iterations, "at most 1000");
  }

  foil::Needs needs() const override {
    foil::Needs needs{.max_views = foil::any_number};
    for (int64_t v = 0; v < 2 && options_.queue_length > 0; ++v)
      needs.queues.push_back(
          {options_.queue_length, QueueNeed::Source::online, v, options_.queue_start_epoch});
    return needs;
  }

  void setup(const foil::Sizes& sizes) override {
    prototypes_ =
        register_parameter("prototypes", foil::unit(torch::randn({options_.prototypes, sizes.z_dim})));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor directions =
        input.step < options_.frozen_steps ? prototypes_.detach() : prototypes_;  // [K, D]
    std::vector<Tensor> scores;                                                   // V x [B, K]
    for (const Tensor& z : input.z) scores.push_back(torch::matmul(z, directions.t()));
    Tensor sum = torch::zeros({}, scores[0].options());
    for (size_t i = 0; i < 2; ++i) {
      const Tensor code = assignment(input, i, scores[i].detach());  // [B, K]
      // Kept for tests alone.
      input.keep("codes_" + std::to_string(i + 1), code);
      for (size_t v = 0; v < scores.size(); ++v) {
        if (v != i) sum = sum - input.mean((code * (scores[v] / options_.temperature).log_softmax(1)).sum(1));
      }
    }
    return sum / (2.0 * static_cast<double>(scores.size() - 1));
  }

  void after_step(const LossInput&) override { prototypes_.copy_(foil::unit(prototypes_)); }

 private:
  Tensor assignment(const LossInput& input, size_t i, const Tensor& scores) const {
    Tensor rows = scores;
    if (i < input.queue.size() && input.queue[i].filled == options_.queue_length)
      rows = torch::cat({scores, torch::matmul(input.share(input.queue[i].data), prototypes_.detach().t())});
    return foil::sinkhorn(rows, options_.assignment_temperature, options_.iterations, *input.ranks)
        .slice(0, 0, scores.size(0));
  }

  Options options_;
  Tensor prototypes_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<SwAV>("swav", {.samples = {"prototypes = 5\nqueue_length = 10\nqueue_start_epoch = 0"}});
}
