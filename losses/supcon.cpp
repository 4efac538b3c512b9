// SPDX-License-Identifier: BSD-3-Clause
// SupCon: every view of every sample of the anchor's class is a positive.
// Khosla et al., "Supervised contrastive learning", NeurIPS 2020, equation (2), L_out.
//
//   s(a,c) = <z_a, z_c> / temperature
//   l(a)   = -temperature/base_temperature
//            * mean over p in P(a) of ( s(a,p) - log sum over c != a of exp s(a,c) )
//   L      = mean over anchors a of l(a)
//
// z is unit norm. P(a): all views of all samples with the anchor's label but the anchor itself (positives =
// "label"; a sample without a label, -1, is alike to its own views only), or the other views of its sample
// (positives = "view": SimCLR's loss). The factor keeps gradients of one size over temperatures; as
// published, it is not 1 unless both temperatures are equal. An anchor without positives counts as 0
// (without_positives = "zero", the published code) or not at all ("leave_out", as pytorch-metric-learning).
// The mean is written as softplus(LSE of the other classes - LSE of the positives) plus what the latter is
// above their mean, 0 where there is one: that does not cancel for well separated classes.
//
//   [[loss]]
//   name = "supcon"
//   temperature = 0.1
//   base_temperature = 0.1
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class SupCon final : public foil::Loss {
 public:
  enum class Positives { label, view };
  enum class Anchors { all, one };
  enum class WithoutPositives { zero, leave_out };
  struct Options {
    double temperature = 0.07;
    double base_temperature = 0.07;
    Positives positives = Positives::label;
    Anchors anchors = Anchors::all;
    WithoutPositives without_positives = WithoutPositives::zero;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("base_temperature", base_temperature,
               "the loss is multiplied by temperature / base_temperature", foil::above(0));
      f.choice("positives", positives, {{"label", Positives::label}, {"view", Positives::view}},
               "what shares the label, or the other views of the sample only");
      f.choice("anchors", anchors, {{"all", Anchors::all}, {"one", Anchors::one}},
               "every view is an anchor, or the first one");
      f.choice("without_positives", without_positives,
               {{"zero", WithoutPositives::zero}, {"leave_out", WithoutPositives::leave_out}},
               "what an anchor without positives counts as");
    }
  };
  explicit SupCon(Options options) : options_(options) {}

  foil::Needs needs() const override {
    const bool labels = options_.positives == Positives::label;
    return {.min_views = labels ? 1 : 2, .max_views = foil::any_number, .labels = labels};
  }

  Tensor forward(const LossInput& input) override {
    const auto views = static_cast<int64_t>(input.z.size()), local = input.z[0].size(0);
    const Tensor of = classes(input), own = of.narrow(0, input.offset(), local);  // [N], [B]
    auto pairs = contrast::among(input, 1 / options_.temperature, contrast::LeftOut::itself);
    const bool one = options_.anchors == Anchors::one;
    if (one && !pairs.column.data.defined()) pairs.column = pairs.row;
    if (one) pairs.row = {.data = input.z[0], .id = pairs.row.id.narrow(0, 0, local)};
    pairs.row.label = own.repeat({one ? 1 : views});
    if (pairs.column.data.defined()) pairs.column.label = of.repeat({views});
    const std::vector<Tensor> lse = contrast::reduce(
        pairs, {lse_of(contrast::Which::unlike), lse_of(contrast::Which::alike)});  // [anchors]

    // The mean similarity with the positives, from the sums of the classes.
    const Tensor x = pairs.row.data.to(torch::kDouble), all = input.everyone().to(torch::kDouble);
    const Tensor sum = torch::zeros_like(all).index_add(0, of.repeat({views}), all);
    const Tensor count = torch::bincount(of).index_select(0, pairs.row.label) * views - 1;  // [anchors]
    const Tensor mean =
        (x * (sum.index_select(0, pairs.row.label) - x)).sum(1) / count.clamp_min(1) / options_.temperature;
    const Tensor zero = torch::zeros_like(mean);
    const Tensor alike = torch::where(count > 0, lse[1], torch::zeros_like(lse[1]));
    const Tensor spread = torch::where(count > 1, alike - mean, zero);
    const Tensor each = torch::where(count > 0, foil::softplus(lse[0] - alike) + spread, zero);
    const Tensor loss =
        (each * (options_.temperature / options_.base_temperature)).to(pairs.row.data.scalar_type());
    return options_.without_positives == WithoutPositives::zero ? input.mean(loss)
                                                                : input.mean(loss, count > 0);
  }

 private:
  static contrast::Channel lse_of(contrast::Which which) { return contrast::lse(contrast::Per::row, which); }

  // Numbers of the classes of all samples, from 0: int64 [N]. One without a label is a class of its own.
  Tensor classes(const LossInput& input) const {
    const Tensor sample = torch::arange(input.global_batch(), torch::device(input.z[0].device()));
    if (options_.positives == Positives::view) return sample;
    const Tensor label = input.gather(input.label);
    return std::get<1>(at::_unique(torch::where(label == -1, -1 - sample, label), true, true));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<SupCon>("supcon"); }
