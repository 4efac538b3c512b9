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
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
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
    const contrast::Pairs pairs = contrast::among(input, 1 / options_.temperature);
    const Tensor z = torch::stack(input.z);  // [V, B, D]
    std::vector<Tensor> positives;  // V-1 of [V B], of each anchor with the view so many after its own
    for (int64_t u = 1; u < z.size(0); ++u)
      positives.push_back((z * z.roll(-u, 0)).sum(2).flatten() / options_.temperature);
    if (positives.size() == 1) return input.mean(contrast::mean_lse(pairs, positives[0]));

    const Tensor negatives = contrast::reduce(pairs, {contrast::lse()})[0];  // [V B]
    std::vector<Tensor> terms;
    for (size_t p = 0; p < positives.size(); ++p) {
      Tensor others = negatives;
      for (size_t q = 0; q < positives.size(); ++q) {
        if (q != p) others = torch::logaddexp(others, positives[q]);
      }
      terms.push_back(foil::softplus(others - positives[p]));
    }
    return input.mean(torch::stack(terms));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<InfoNCE>("infonce"); }
