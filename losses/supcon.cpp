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
// The log-probability of p is written as the distance to the largest candidate plus softplus(LSE of the rest
// - the largest), which does not cancel for well separated classes.
//
//   [[loss]]
//   name = "supcon"
//   temperature = 0.1
//   base_temperature = 0.1
#include <foil/plugin.h>

namespace {

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
    const int64_t views = static_cast<int64_t>(input.z.size()), global = input.global_batch();
    const Tensor candidates = input.everyone();  // [V*N, D], view-major
    const Tensor own = torch::arange(input.offset(), input.offset() + input.z[0].size(0),
                                     candidates.options().dtype(torch::kLong));
    Tensor alike = input.other_samples().logical_not();  // [B, N], its own sample
    if (options_.positives == Positives::label)
      alike = alike.logical_or(foil::same_class(input.label, input.gather(input.label)));
    const Tensor same = alike.repeat({1, views});                                     // [B, V*N]
    const Tensor column = torch::arange(views * global, own.options()).unsqueeze(0);  // [1, V*N]

    std::vector<Tensor> terms, counts;
    for (int64_t v = 0; v < (options_.anchors == Anchors::all ? views : 1); ++v) {
      const Tensor similarity =
          torch::matmul(input.z[static_cast<size_t>(v)], candidates.t()) / options_.temperature;  // [B, V*N]
      const Tensor other = column != (own + v * global).unsqueeze(1);                             // [B, V*N]
      const Tensor positive = same.logical_and(other);
      counts.push_back(positive.sum(1));  // [B]
      terms.push_back(mean_negative_log(similarity, other, positive, counts.back()));
    }
    const Tensor loss =
        torch::stack(terms) * (options_.temperature / options_.base_temperature);  // [anchor views, B]
    const Tensor valid = torch::stack(counts) > 0;
    return options_.without_positives == WithoutPositives::zero ? input.mean(loss) : input.mean(loss, valid);
  }

 private:
  // -mean over the positives of log softmax over the other rows: [B]; 0 without positives.
  static Tensor mean_negative_log(const Tensor& similarity, const Tensor& other, const Tensor& positive,
                                  const Tensor& count) {
    const Tensor lowest =
        similarity.detach().masked_fill(other.logical_not(), -std::numeric_limits<double>::infinity());
    const Tensor at = lowest.argmax(1, /*keepdim=*/true);                 // [B, 1]
    const Tensor is_top = torch::zeros_like(other).scatter(1, at, true);  // [B, V*N]
    const Tensor top = similarity.gather(1, at);                          // [B, 1]
    const Tensor rest = foil::masked_logsumexp(similarity, other.logical_and(is_top.logical_not()));  // [B]
    const Tensor below = torch::where(positive.logical_and(is_top.logical_not()), top - similarity,
                                      torch::zeros_like(similarity));
    const Tensor loss = below.sum(1) / count.clamp_min(1) + foil::softplus(rest - top.squeeze(1));
    return torch::where(count > 0, loss, torch::zeros_like(loss));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<SupCon>("supcon"); }
