// SPDX-License-Identifier: BSD-3-Clause
// MV-DHEL: all views of a sample attract each other at once, each view repels other samples in its own view
// only.
// Koromilas et al., "Multi-view contrastive learning" (arXiv:2507.06979), 2025.
//
//   D(i,l) = log sum over j != i of exp s(i,l; j,l),   s(a; c) = <z_a, z_c> / temperature
//   L, by aggregation:
//   "joint"             mean over i of [ -log sum over l < l' of exp s(i,l; i,l') + sum_l D(i,l) ]  (MV-DHEL)
//   "pairwise"          mean over pairs l < l' and i of [ -s(i,l; i,l') + D(i,l) + D(i,l') ]
//   "average"           the pair loss of each view and the normalised mean of the others, averaged over views
//   "anchor_positives"  mean over i, l of [ -log sum over l' != l of exp s(i,l; i,l') + sum_m D(i,m) ] (CL_2)
//   "anchor_softmax"    mean over i, l of -log [ sum over l' != l of exp s(i,l; i,l')
//                                                / sum over j and l' != l of exp s(i,l; j,l') ]  (CL_1)
//
// z is unit norm. The last four are the paper's ablations; with two views the first three are one. The
// published code multiplies the V sums before the log, which overflows float32; here their logs are added.
// The loss grows with V: the learning rate feels it. A batch of one sample has nothing to repel: D = 0.
//
//   [views]
//   count = 4
//   [[loss]]
//   name = "mv_dhel"
//   temperature = 0.5
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class MVDHEL final : public foil::Loss {
 public:
  enum class Aggregation { joint, pairwise, average, anchor_positives, anchor_softmax };
  struct Options {
    double temperature = 0.5;
    Aggregation aggregation = Aggregation::joint;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.choice("aggregation", aggregation,
               {{"joint", Aggregation::joint},
                {"pairwise", Aggregation::pairwise},
                {"average", Aggregation::average},
                {"anchor_positives", Aggregation::anchor_positives},
                {"anchor_softmax", Aggregation::anchor_softmax}},
               "how views are joined; joint is MV-DHEL, the others are its ablations");
      f.renamed("form", "aggregation");
    }
  };
  explicit MVDHEL(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.max_views = foil::any_number}; }

  Tensor forward(const LossInput& input) override {
    if (options_.aggregation == Aggregation::average) return average(input);
    if (options_.aggregation == Aggregation::anchor_softmax) return anchor_softmax(input);
    const size_t views = input.z.size();
    std::vector<Tensor> energies;
    for (size_t v = 0; v < views; ++v) energies.push_back(energy(input, input.z[v]));
    const Tensor push = torch::stack(energies).sum(0);  // [B]
    std::vector<Tensor> pairs, anchors;
    for (size_t v = 0; v < views; ++v) {
      for (size_t u = v + 1; u < views; ++u) pairs.push_back(similarity(input.z[v], input.z[u]));
      anchors.push_back(positives(input, v));
    }
    if (options_.aggregation == Aggregation::joint)
      return input.mean(push - torch::stack(pairs).logsumexp(0));
    if (options_.aggregation == Aggregation::anchor_positives)
      return input.mean(push - torch::stack(anchors).mean(0));
    return input.mean(2 * push / static_cast<double>(views) -
                      torch::stack(pairs).mean(0));  // a view is in V - 1 pairs
  }

 private:
  Tensor similarity(const Tensor& a, const Tensor& b) const { return (a * b).sum(1) / options_.temperature; }

  // log sum over the other views of view v: [B].
  Tensor positives(const LossInput& input, size_t v) const {
    std::vector<Tensor> others;
    for (size_t u = 0; u < input.z.size(); ++u) {
      if (u != v) others.push_back(similarity(input.z[v], input.z[u]));
    }
    return torch::stack(others).logsumexp(0);
  }

  // D of local rows against the same rows of all samples: [B].
  Tensor energy(const LossInput& input, const Tensor& a) const {
    const Tensor d =
        contrast::reduce(contrast::within(input, a, 1 / options_.temperature), {contrast::lse()})[0];
    return torch::where(d.isneginf(), torch::zeros_like(d), d);
  }

  Tensor average(const LossInput& input) const {
    std::vector<Tensor> terms;
    const Tensor sum = torch::stack(input.z).sum(0);  // [B, D]
    for (const Tensor& view : input.z) {
      const Tensor mean = foil::unit(sum - view);
      terms.push_back(energy(input, view) + energy(input, mean) - similarity(view, mean));  // [B]
    }
    return input.mean(torch::stack(terms));
  }

  Tensor anchor_softmax(const LossInput& input) const {
    const int64_t views = static_cast<int64_t>(input.z.size());
    contrast::Pairs pairs = contrast::among(input, 1 / options_.temperature);
    pairs.segments.assign(input.z.size(), input.global_batch());
    const Tensor each = contrast::reduce(pairs, {contrast::lse()})[0];  // [V B, V], by view
    const Tensor own = torch::eye(views, each.options().dtype(torch::kBool))
                           .repeat_interleave(each.size(0) / views, 0);   // [V B, V]
    const Tensor push = foil::masked_logsumexp(each, own.logical_not());  // [V B]
    std::vector<Tensor> pull;
    for (size_t v = 0; v < input.z.size(); ++v) pull.push_back(positives(input, v));
    return input.mean(foil::softplus(push - torch::cat(pull)));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MVDHEL>("mv_dhel"); }
