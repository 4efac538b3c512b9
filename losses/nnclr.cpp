// SPDX-License-Identifier: BSD-3-Clause
// NNCLR: the nearest neighbour of one view's projection, in a queue of earlier ones, is the positive of the
// other view's prediction.
// Dwibedi et al., "With a little help from my friends", ICCV 2021, equations 3 and 4.
//
//   NN(z) = the row of the queue with the largest <z, row>
//   s_ij  = <NN(z_1i), p_2j> / temperature
//   L_12  = mean over i of -log( exp s_ii / sum over j of exp s_ij )
//   T_12  = mean over i of -log( exp s_ii / sum over j of exp s_ji )
//   L     = (L_12 + L_21) / 2, with transposed = true (L_12 + T_12 + L_21 + T_21) / 2
//   j:      over the global batch
//
// z projections, p predictions, all unit norm. z gets no gradient but through p. The queue holds earlier z of
// view 1 and is looked up before this step's enter it. T is the term that the paper adds to make the loss
// symmetric in neighbours and predictions; solo-learn, from which the default is (the authors' release was
// not at hand), has L alone.
//
//   [[loss]]
//   name = "nnclr"
//   temperature = 0.1
//   queue_length = 4096
//   [predictor]
//   hidden = [512]
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class NNCLR final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.1;
    int64_t queue_length = 98304;
    bool transposed = false;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.integer("queue_length", queue_length, "earlier projections among which neighbours are looked for",
                foil::at_least(1));
      f.flag("transposed", transposed,
             "also tell each prediction's neighbour from those of the other samples");
    }
  };
  explicit NNCLR(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.predictor = true, .queues = {{options_.queue_length, foil::QueueNeed::Source::online, 0}}};
  }

  Tensor forward(const LossInput& input) override {
    return (direction(input, 0, 1) + direction(input, 1, 0)) / 2;
  }

 private:
  Tensor direction(const LossInput& input, size_t from, size_t to) const {
    const Tensor& queue = input.queue[0].data;                                      // [K, D]
    const Tensor row = torch::matmul(input.z[from].detach(), queue.t()).argmax(1);  // [B]
    const Tensor neighbour = queue.index_select(0, row);                            // [B, D]
    const Tensor& p = input.p[to];                                                  // [B, D]
    const Tensor positive = (neighbour * p).sum(1) / options_.temperature;          // [B]
    const auto term = [&](const Tensor& anchor, const Tensor& candidate) {
      LossInput two = input;
      two.z = {anchor, candidate};
      const auto pairs = contrast::between(two, 0, 1, 1 / options_.temperature);
      return input.mean(contrast::mean_lse(pairs, positive));
    };
    // Kept for tests alone.
    input.keep("neighbour_" + std::to_string(from + 1), row);
    return options_.transposed ? term(neighbour, p) + term(p, neighbour) : term(neighbour, p);
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<NNCLR>("nnclr", {.samples = {"queue_length = 10", "queue_length = 10\ntransposed = true"}});
}
