// SPDX-License-Identifier: BSD-3-Clause
// Many views by two-view parts: pairs, means of views, and poly-view contrast.
// Shidani et al., "Poly-view contrastive learning", ICLR 2024 (its arithmetic and geometric losses);
// baselines of Koromilas et al., "Multi-view contrastive learning" (arXiv:2507.06979), 2025.
//
//   s(a,c)      = <a, c> / temperature
//   CE(a, p; C) = -log [ exp s(a,p) / ( exp s(a,p) + sum over c in C of exp s(a,c) ) ]
//   e(i,l,l')   = CE(z_il, z_il'; other samples in all views)
//   aggregation = "pairwise"    mean over l != l' and i of CE(z_il, z_il'; other samples in views l and l')
//                 "average"     two-view loss of each view and the mean of the others (not normalised again),
//                               both as anchors
//                 "geometric"   mean over l != l' and i of e(i,l,l')
//                 "arithmetic"  mean over l and i of -log mean over l' != l of exp -e(i,l,l')
//
// z is unit norm; with two views all are NT-Xent. "arithmetic_published" is what the code of Multi-View-CL
// computes in place of the arithmetic mean: the log-sum-exp over l' of the batch means of e, less log N.
//
//   [views]
//   count = 4
//   [[loss]]
//   name = "multiview"
//   temperature = 0.5
//   aggregation = "geometric"
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class Multiview final : public foil::Loss {
 public:
  enum class Aggregation { pairwise, average, geometric, arithmetic, arithmetic_published };
  struct Options {
    double temperature = 0.5;
    Aggregation aggregation = Aggregation::pairwise;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.choice("aggregation", aggregation,
               {{"pairwise", Aggregation::pairwise},
                {"average", Aggregation::average},
                {"geometric", Aggregation::geometric},
                {"arithmetic", Aggregation::arithmetic},
                {"arithmetic_published", Aggregation::arithmetic_published}},
               "how views are joined; arithmetic_published reproduces the published code's deviation");
    }
  };
  explicit Multiview(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.max_views = foil::any_number}; }

  Tensor forward(const LossInput& input) override {
    if (options_.aggregation == Aggregation::average) return average(input);
    const int64_t views = static_cast<int64_t>(input.z.size());
    const Tensor push = repulsion(input);  // [V, B, V]
    std::vector<Tensor> anchors;           // V of [V-1, B]
    for (int64_t l = 0; l < views; ++l) {
      std::vector<Tensor> terms;  // V-1 of [B]
      for (int64_t m = 0; m < views; ++m) {
        if (m == l) continue;
        const Tensor of = options_.aggregation == Aggregation::pairwise
                              ? push[l].index_select(1, torch::tensor({l, m}, push.device()))
                              : push[l];  // [B, views met]
        const Tensor all = foil::masked_logsumexp(of, of.isneginf().logical_not());
        terms.push_back(foil::softplus(
            all - similarity(input.z[static_cast<size_t>(l)], input.z[static_cast<size_t>(m)])));
      }
      anchors.push_back(torch::stack(terms));
    }
    const Tensor losses = torch::stack(anchors);  // [V, V-1, B]
    if (options_.aggregation == Aggregation::arithmetic) {
      return input.mean(std::log(static_cast<double>(losses.size(1))) - (-losses).logsumexp(1));
    }
    if (options_.aggregation == Aggregation::arithmetic_published) {
      const double global = static_cast<double>(input.global_batch());
      const Tensor means =
          input.sum_ranks(losses.sum(2)) / global;  // [V, V-1], of the global batch on every rank
      return means.logsumexp(1).mean() - std::log(global);
    }
    return input.mean(losses);
  }

 private:
  Tensor similarity(const Tensor& a, const Tensor& b) const { return (a * b).sum(1) / options_.temperature; }

  // Log-sum-exp of each row of a view against those of every other sample, by the view of these: [V, B, V];
  // -inf for the only sample of a batch.
  Tensor repulsion(const LossInput& input) const {
    const int64_t views = static_cast<int64_t>(input.z.size());
    auto pairs = contrast::among(input, 1 / options_.temperature);
    pairs.segments.assign(input.z.size(), input.global_batch());
    return contrast::reduce(pairs, {contrast::lse()})[0].view({views, input.z[0].size(0), views});
  }

  Tensor average(const LossInput& input) const {
    std::vector<Tensor> terms;
    const Tensor sum = torch::stack(input.z).sum(0);  // [B, D]
    for (const Tensor& view : input.z) {
      const Tensor mean = (sum - view) / static_cast<double>(input.z.size() - 1);
      LossInput two = input;
      two.z = {view, mean};
      terms.push_back(contrast::mean_lse(contrast::among(two, 1 / options_.temperature),
                                         similarity(view, mean).repeat({2})));
    }
    return input.mean(torch::stack(terms));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<Multiview>("multiview"); }
