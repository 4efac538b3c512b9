// SPDX-License-Identifier: BSD-3-Clause
// Triplet: an anchor's positives shall be nearer than its negatives by a margin, on average over both. After
// Schroff, Kalenichenko and Philbin, "FaceNet: a unified embedding for face recognition and clustering", CVPR
// 2015, equation (1), with means over the rows of the batch in place of single rows, as PyGCL's
// TripletMarginSP.
//
//   d(a,c)  = || z_a - z_c ||
//   l_12(i) = max( 0, mean over p in P(i) of d(1i,2p) - mean over n not in P(i) of d(1i,2n) + margin )
//   L       = mean over i of (l_12(i) + l_21(i)) / 2, or of l_12(i) (directions = "first")
//
// z is as the head gives it. P(i) is the sample itself (positives = "sample") or every sample of its label
// ("label"; a sample without a label, -1, has itself). An anchor without negatives does not count. Rows are
// taken in blocks, once in each pass, so that memory is linear in the batch.
//
//   [[loss]]
//   name = "triplet"
//   margin = 1
#include "row_blocks.h"

#include <foil/plugin.h>

#include <torch/csrc/autograd/custom_function.h>

namespace {

using foil::LossInput;
using foil::Tensor;

// Positives of the anchors [first, first + b): bool [b, N].
using Alike = std::function<Tensor(int64_t first, int64_t last)>;
struct HeldAlike : torch::CustomClassHolder {
  explicit HeldAlike(Alike alike) : what(std::move(alike)) {}
  Alike what;
};

// The sums of distances to positives and to others: [2, B], from anchors [B, D] and candidates [N, D].
class DistanceSums : public torch::autograd::Function<DistanceSums> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Alike& alike, const Tensor& anchor,
                        const Tensor& candidate) {
    Tensor sums = torch::empty({2, anchor.size(0)}, anchor.options());
    foil::in_row_blocks(anchor.size(0), candidate.size(0), [&](int64_t first, int64_t last) {
      const Tensor distance = distances(anchor.slice(0, first, last), candidate), near = alike(first, last);
      sums[0].slice(0, first, last).copy_(distance.masked_fill(near.logical_not(), 0).sum(1));
      sums[1].slice(0, first, last).copy_(distance.masked_fill(near, 0).sum(1));
    });
    context->saved_data["alike"] = c10::IValue::make_capsule(c10::make_intrusive<HeldAlike>(alike));
    context->save_for_backward({anchor, candidate});
    return sums;
  }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext* context,
                                      const std::vector<Tensor>& gradient) {
    const auto held = context->saved_data["alike"].toCapsule();  // lives as long as `alike`
    const Alike& alike = static_cast<const HeldAlike&>(*held).what;
    const std::vector<Tensor> saved = context->get_saved_variables();
    const Tensor &anchor = saved[0], &candidate = saved[1];
    Tensor of_anchor = torch::empty_like(anchor), of_candidate = torch::zeros_like(candidate);
    foil::in_row_blocks(anchor.size(0), candidate.size(0), [&](int64_t first, int64_t last) {
      const Tensor a = anchor.slice(0, first, last), distance = distances(a, candidate);
      const Tensor by = gradient[0].slice(1, first, last).unsqueeze(2);  // [2, b, 1]
      const Tensor weight = torch::where(alike(first, last), by[0], by[1]) / distance;
      const Tensor w = weight.masked_fill(distance == 0, 0);  // at a point itself: 0
      of_anchor.slice(0, first, last).copy_(a * w.sum(1, true) - torch::matmul(w, candidate));
      of_candidate.add_(candidate * w.sum(0).unsqueeze(1) - torch::matmul(w.t(), a));
    });
    return {Tensor(), of_anchor, of_candidate};
  }

 private:
  // By differences, not by products: near rows keep their digits.
  static Tensor distances(const Tensor& a, const Tensor& c) {
    return torch::cdist(a, c, 2, /*compute_mode: no matrix product*/ 2);
  }
};

class Triplet final : public foil::Loss {
 public:
  enum class Positives { sample, label };
  enum class Directions { mean, first };
  struct Options {
    double margin = 1;
    Positives positives = Positives::sample;
    Directions directions = Directions::mean;
    void describe(foil::Fields& f) {
      f.number("margin", margin, "by which positives are to be nearer", foil::at_least(0));
      f.choice("positives", positives, {{"sample", Positives::sample}, {"label", Positives::label}},
               "the other view of the sample, or of all that share its label");
      f.choice("directions", directions, {{"mean", Directions::mean}, {"first", Directions::first}},
               "anchors of both views, or of the first");
    }
  };
  explicit Triplet(const Options& options) : options_(options) {}

  foil::Needs needs() const override {
    return {.labels = options_.positives == Positives::label, .raw_z = true};
  }

  Tensor forward(const LossInput& input) override {
    const Tensor forth = direction(input, 0, 1);
    if (options_.directions == Directions::first) return forth;
    return (forth + direction(input, 1, 0)) / 2;
  }

 private:
  Tensor direction(const LossInput& input, size_t from, size_t to) const {
    const Tensor& anchor = input.z.at(from);                            // [B, D]
    const Tensor candidate = input.everyone(static_cast<int64_t>(to));  // [N, D]
    const int64_t begin = input.offset(), n = candidate.size(0);
    const Tensor sample = torch::arange(n, torch::device(anchor.device()));
    const Tensor label = options_.positives == Positives::label ? input.gather(input.label) : sample;  // [N]
    const Alike alike = [=](int64_t first, int64_t last) {
      const auto rows = [&](const Tensor& x) { return x.slice(0, begin + first, begin + last); };
      return foil::same_class(rows(label), label).logical_or_(rows(sample).unsqueeze(1) == sample);
    };
    Tensor positives = torch::empty({anchor.size(0)}, anchor.options());  // |P(i)|: [B]
    foil::in_row_blocks(anchor.size(0), n, [&](int64_t first, int64_t last) {
      positives.slice(0, first, last).copy_(alike(first, last).sum(1));
    });
    const Tensor others = static_cast<double>(n) - positives;
    const Tensor sums = DistanceSums::apply(alike, anchor, candidate);  // [2, B]
    const Tensor lag = sums[0] / positives - sums[1] / others.clamp_min(1) + options_.margin;
    const Tensor loss = input.mean(lag.clamp_min(0), others > 0);
    input.report("loss_" + std::to_string(from + 1) + "_" + std::to_string(to + 1), loss);
    return loss;
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<Triplet>("triplet", {.samples = {"margin = 3\ndirections = \"first\""}}); }
