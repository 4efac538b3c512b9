// SPDX-License-Identifier: BSD-3-Clause
// MoCHi: MoCo with further negatives that are mixed from the hardest of the queue.
// Kalantidis et al., "Hard negative mixing for contrastive learning", NeurIPS 2020, section 3: MoCHi(hardest,
// pairs, with_query).
//
//   s(i,n) = <q_i, n> / temperature
//   L      = mean over i of -log( exp s(i,k_i) / sum over n of exp s(i,n) )
//   n:       k_i, the queue, the pairs and those with the query
//   pairs:       h  = unit(alpha n_a + (1 - alpha) n_b),  alpha in [0, 1)     (equation 4)
//   with_query:  h' = unit(beta q_i + (1 - beta) n_c),    beta in [0, 0.5)    (equation 5)
//
// n_a, n_b, n_c are drawn with replacement from the `hardest` queue entries of largest q_i.n. What is mixed
// carries no gradient. As in the paper, mixing starts after some epochs of plain MoCo. Draws are keyed by
// sample, and the hardest are taken in the order of the queue, so that a draw means the same entry on every
// device. Memory: B (pairs + with_query) D. With mask_own = true an entry of the query's own sample, from an
// earlier epoch, is no negative, and is mixed only where fewer than `hardest` others are there; the paper
// does not say so, the public re-implementation does.
//
//   [[loss]]
//   name = "mochi"
//   temperature = 0.2
//   queue_length = 4096
//   hardest = 256
//   pairs = 128
//   with_query = 64
//   mixing_start_epoch = 2
//   [momentum]
//   value = 0.999
//   schedule = "constant"
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class MoCHi final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    int64_t queue_length = 16384;
    int64_t hardest = 1024;
    int64_t pairs = 1024;
    int64_t with_query = 128;
    int64_t mixing_start_epoch = 10;
    bool mask_own = false;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.integer("queue_length", queue_length, "earlier keys that are negatives", foil::at_least(1));
      f.integer("hardest", hardest,
                "entries of the queue that are mixed: the most similar ones of each query",
                foil::at_least(1));
      f.integer("pairs", pairs, "negatives mixed from two of the hardest", foil::at_least(0));
      f.integer("with_query", with_query, "negatives mixed from the query and one of the hardest",
                foil::at_least(0));
      f.integer("mixing_start_epoch", mixing_start_epoch, "mixing starts at this epoch", foil::at_least(0));
      f.flag("mask_own", mask_own, "entries of the query's own sample are no negatives");
      f.renamed("start_epoch", "mixing_start_epoch");
    }
  };
  explicit MoCHi(Options options) : options_(options) {
    if (options_.hardest > options_.queue_length) {
      foil::refuse("hardest", options_.hardest,
                   "at most queue_length = " + std::to_string(options_.queue_length));
    }
    for (const auto& [key, mixed] :
         {std::pair("pairs", options_.pairs), std::pair("with_query", options_.with_query)}) {
      if (mixed > 1'000'000) foil::refuse(key, mixed, "at most 1000000");
    }
  }

  foil::Needs needs() const override {
    return {.target = true,
            .queues = {{.length = options_.queue_length, .view = 1, .index = options_.mask_own}}};
  }

  Tensor forward(const LossInput& input) override {
    const Tensor &q = input.z[0], &k = input.target[1], &queue = input.queue[0].data;
    const Tensor positive = (q * k).sum(1) / options_.temperature;         // [B]
    Tensor negative = torch::matmul(q, queue.t()) / options_.temperature;  // [B, K]
    if (options_.mask_own) {
      const Tensor own = input.index.unsqueeze(1) == input.queue[0].index;  // [B, K]
      negative = negative.masked_fill(own, -std::numeric_limits<double>::infinity());
    }
    if (input.epoch >= options_.mixing_start_epoch) {
      const Tensor mixed = mix(input, q.detach(), queue, negative.detach());  // [B, pairs + with_query, D]
      negative =
          torch::cat({negative, torch::matmul(mixed, q.unsqueeze(2)).squeeze(2) / options_.temperature}, 1);
    }
    // Kept for tests alone.
    input.keep("positive", positive);
    input.keep("negative", negative);
    return input.mean(
        foil::softplus(foil::masked_logsumexp(negative, negative.isneginf().logical_not()) - positive));
  }

 private:
  Tensor mix(const LossInput& input, const Tensor& q, const Tensor& queue, const Tensor& similarity) const {
    const Tensor hard = std::get<0>(
        std::get<1>(similarity.topk(options_.hardest, 1)).sort(1));  // [B, hardest], rows of the queue
    const auto drawn = [&](const char* name, int64_t count) {        // [B, count, D]
      const Tensor place = (input.uniform(name, count) * options_.hardest).to(torch::kLong);
      const Tensor row = hard.gather(1, place.clamp_max(options_.hardest - 1));
      return queue.index_select(0, row.flatten()).view({q.size(0), count, queue.size(1)});
    };
    const auto share = [&](const char* name, int64_t count) {
      return input.uniform(name, count).to(q.dtype()).unsqueeze(2);
    };
    const Tensor alpha = share("alpha", options_.pairs), beta = 0.5 * share("beta", options_.with_query);
    const Tensor pairs =
        alpha * drawn("pair_a", options_.pairs) + (1 - alpha) * drawn("pair_b", options_.pairs);
    const Tensor with_query = beta * q.unsqueeze(1) + (1 - beta) * drawn("partner", options_.with_query);
    return foil::unit(torch::cat({pairs, with_query}, 1)).detach();
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<MoCHi>(
      "mochi",
      {.samples = {"queue_length = 10\nhardest = 6\npairs = 5\nwith_query = 3\nmixing_start_epoch = 0",
                   "queue_length = 10\nhardest = 6\npairs = 5\nwith_query = 3\nmixing_start_epoch = "
                   "0\nmask_own = true"}});
}
