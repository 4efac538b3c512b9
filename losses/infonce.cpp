// SPDX-License-Identifier: BSD-3-Clause
// InfoNCE over V >= 2 views, as NT-Xent: every other view of the sample is a positive, every view of every
// other sample a negative.
//
//   s(a; c)  = <z_a, z_c> / temperature
//   l(v,b,u) = -s(v,b; u,b) + log sum over (w,c) != (v,b) of exp s(v,b; w,c)
//   L        = mean over anchors (v,b) and positives u != v of l(v,b,u)
//
// z is unit norm. The positive is in the denominator, only the anchor itself is not. With two views this is
// equation (1) of SimCLR (Chen et al., "A simple framework for contrastive learning of visual
// representations", 2020), averaged over 2N anchors; the first published sum of both view means
// (google-research/simclr) is twice it. With more views it is the NT-Xent baseline of "Multi-view contrastive
// learning" (MV-InfoNCE's comparison), where the log-probabilities of the V - 1 positives are averaged. The
// positive enters as softplus(LSE of the others - s_pos), which does not cancel when pairs are aligned.
//
//   [[loss]]
//   name = "infonce"
//   temperature = 0.2
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class InfoNCE final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.1;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
    }
  };
  explicit InfoNCE(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.max_views = foil::any_number}; }

  Tensor forward(const LossInput& input) override {
    const size_t views = input.z.size();
    const Tensor candidates = input.everyone();                                // [V*N, D], view-major
    const Tensor negative = input.other_samples(static_cast<int64_t>(views));  // [B, V*N]

    std::vector<Tensor> terms;
    for (size_t v = 0; v < views; ++v) {
      const Tensor similarity = torch::matmul(input.z[v], candidates.t()) / options_.temperature;  // [B, V*N]
      const Tensor negatives = foil::masked_logsumexp(similarity, negative);                       // [B]
      std::vector<Tensor> positives;  // V-1 of [B]
      for (size_t u = 0; u < views; ++u) {
        if (u != v) positives.push_back((input.z[v] * input.z[u]).sum(1) / options_.temperature);
      }
      for (size_t p = 0; p < positives.size(); ++p) {
        Tensor others = negatives;
        for (size_t q = 0; q < positives.size(); ++q) {
          if (q != p) others = torch::logaddexp(others, positives[q]);
        }
        terms.push_back(foil::softplus(others - positives[p]));  // [B]
      }
    }
    return input.mean(torch::stack(terms));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<InfoNCE>("infonce"); }
