// SPDX-License-Identifier: BSD-3-Clause
// MoCo: a query against its key of the momentum encoder and a queue of earlier keys.
// He et al., "Momentum contrast for unsupervised visual representation learning", CVPR 2020, equation 1 and
// algorithm 1.
//
//   q      = z of view 1
//   k      = target of view 2
//   s(i,n) = <q_i, n> / temperature
//   L_12   = mean over i of -log( exp s(i,k_i) / (exp s(i,k_i) + sum over n in queue of exp s(i,n)) )
//
// The queue holds queue_length earlier targets of view 2; all unit norm. L is L_12 (directions = "first"), or
// (L_12 + L_21) / 2 with a queue for each direction ("mean"), as solo-learn's mocov2plus. The host moves the
// momentum encoder and the queue after the step, so a key is never a negative of its own step, and a batch
// may split at the queue's end: queue_length need not be its multiple, as the published code asserts. Against
// that code: batch norm sees the global batch, so there is no shuffle between ranks.
//
//   [[loss]]
//   name = "moco"
//   temperature = 0.2
//   queue_length = 4096
//   [momentum]
//   value = 0.999
//   schedule = "constant"
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Queue;
using foil::QueueNeed;
using foil::Tensor;

class MoCo final : public foil::Loss {
 public:
  enum class Directions { first, mean };
  struct Options {
    double temperature = 0.07;
    int64_t queue_length = 65536;
    Directions directions = Directions::first;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.integer("queue_length", queue_length, "earlier keys that are negatives", foil::at_least(1));
      f.choice("directions", directions, {{"first", Directions::first}, {"mean", Directions::mean}},
               "first: view 1 is the query; mean: both are, each direction with its own queue");
      f.renamed("symmetric", "directions (\"mean\" for true)");
    }
  };
  explicit MoCo(Options options) : options_(options) {}

  foil::Needs needs() const override {
    foil::Needs needs{.target = true, .queues = {{options_.queue_length, QueueNeed::Source::target, 1}}};
    if (options_.directions == Directions::mean)
      needs.queues.push_back({options_.queue_length, QueueNeed::Source::target, 0});
    return needs;
  }

  Tensor forward(const LossInput& input) override {
    const Tensor forth = direction(input, 0, 1, input.queue[0]);
    if (options_.directions == Directions::first) return forth;
    return (forth + direction(input, 1, 0, input.queue[1])) / 2;
  }

 private:
  Tensor direction(const LossInput& input, size_t from, size_t to, const Queue& queue) const {
    const Tensor &q = input.z[from], &k = input.target[to];         // [B, D]
    const Tensor positive = (q * k).sum(1) / options_.temperature;  // [B]
    return input.mean(contrast::mean_lse(
        {.row = {.data = q}, .column = {.data = queue.data}, .scale = 1 / options_.temperature}, positive));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MoCo>("moco", {.samples = {"queue_length = 10\ndirections = \"mean\""}}); }
