// SPDX-License-Identifier: BSD-3-Clause
// MV-InfoNCE: one softmax per sample over all pairs of its views.
// Koromilas et al., "Multi-view contrastive learning" (arXiv:2507.06979), 2025.
//
//   l(i) = -log [ sum over l != l' of exp s(i,l; i,l') / sum over l and (j,m) != (i,l) of exp s(i,l; j,m) ]
//   L    = mean over samples i,   s(a; c) = <z_a, z_c> / temperature
//
// z is unit norm. As in the published code the denominator has the negatives of the anchor's own view and the
// sample's own other views (the formula of its README has neither). For two views this is not NT-Xent: the
// log is taken of sums over both anchors. The positives enter as softplus(LSE of the negatives - LSE of the
// positives), which neither overflows nor cancels.
//
//   [views]
//   count = 4
//   [[loss]]
//   name = "mv_infonce"
//   temperature = 0.5
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class MVInfoNCE final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.5;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
    }
  };
  explicit MVInfoNCE(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.max_views = foil::any_number}; }

  Tensor forward(const LossInput& input) override {
    const size_t views = input.z.size();
    const Tensor candidates = input.everyone();                                // [V*N, D]
    const Tensor negative = input.other_samples(static_cast<int64_t>(views));  // [B, V*N]

    std::vector<Tensor> positives, negatives;
    for (size_t v = 0; v < views; ++v) {
      const Tensor similarity = torch::matmul(input.z[v], candidates.t()) / options_.temperature;  // [B, V*N]
      negatives.push_back(foil::masked_logsumexp(similarity, negative));                           // [B]
      for (size_t u = 0; u < views; ++u) {
        if (u != v) positives.push_back((input.z[v] * input.z[u]).sum(1) / options_.temperature);
      }
    }
    const Tensor push = torch::stack(negatives, 1);  // [B, V]; -inf for the only sample of a batch
    const Tensor all = foil::masked_logsumexp(push, push.isneginf().logical_not());
    return input.mean(foil::softplus(all - torch::stack(positives, 1).logsumexp(1)));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<MVInfoNCE>(
      "mv_infonce",
      {.wider = {{"precision", 8, "one softmax over all rows of a sample, at temperature 0.001"}}});
}
