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
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
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
    const auto pairs = contrast::among(input, 1 / options_.temperature);
    const Tensor z = torch::stack(input.z);  // [V, B, D]
    std::vector<Tensor> positives;           // V-1 of [V, B], of each view with that so many after it
    for (int64_t u = 1; u < z.size(0); ++u)
      positives.push_back((z * z.roll(-u, 0)).sum(2) / options_.temperature);
    const Tensor push = contrast::reduce(pairs, {contrast::lse()})[0]
                            .view({z.size(0), z.size(1)})
                            .t();  // [B, V]; -inf for the only sample of a batch
    const Tensor all = foil::masked_logsumexp(push, push.isneginf().logical_not());
    return input.mean(foil::softplus(all - torch::cat(positives).logsumexp(0)));
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
