// SPDX-License-Identifier: BSD-3-Clause
// GRAM: many modalities at once. The volume that the views of a sample span says how far they are from being
// aligned.
// Cicchetti et al., "Gramian multimodal representation learning and alignment", ICLR 2025.
//
//   G(i,j)   = Gram matrix of a_i and the other views of sample j; a: view 1, the anchor
//   Vol(i,j) = sqrt det G(i,j)
//   s(i,j)   = -Vol(i,j) / temperature
//   CE(s, i) = log sum_j exp s(i,j) - (1 - label_smoothing) s(i,i) - label_smoothing mean over j of s(i,j)
//   L        = mean over i of ( CE of row i + CE of column i ) / 2
//
// z is unit norm; the temperature is a parameter that starts at `temperature` and is brought back to at least
// smallest_temperature after a step (the published one may cross 0). `volume`, its mean over the samples, and
// the temperature are reported. Two views have Vol = sqrt(1 - cosine^2), which takes opposite for equal.
//
// The published code takes the determinant of every G(i,j): N^2 matrices, and at near duplicates a gradient
// that is not finite in float32. Here the other views of each sample get orthonormal axes q_1 ... q_V-1 by
// Gram-Schmidt, and
//
//   Vol(i,j) = Vol(other views of j) sqrt(1 - sum_k <a_i, q_k(j)>^2)
//   Vol(i,i) = Vol(other views of i) | a_i - sum_k q_k(i) <a_i, q_k(i)> |
//
// where the second cancels nothing: gradients are those of a volume, never larger than the volume of the
// other vectors. The N x N volumes are held a block at a time and made anew in the backward pass, so that
// there is no second derivative. The published training code also gathers without gradient: detach_gathered.
// Its matching head, a second loss on tokens of an encoder, is not part of this one.
//
//   [views]
//   count = 3
//   [[loss]]
//   name = "gram"
#include <foil/plugin.h>

#include <torch/autograd.h>

namespace {

using foil::LossInput;
using foil::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What rounding leaves of 1.
double rounding(const Tensor& x) {
  return 4 * (x.scalar_type() == torch::kDouble ? std::numeric_limits<double>::epsilon()
                                                : std::numeric_limits<float>::epsilon());
}

// Norms of rows, [B]: with gradient 0 where there is nothing but rounding, as of a view that is another.
Tensor length(const Tensor& x) { return x.square().sum(1).clamp_min(std::pow(rounding(x), 2)).sqrt(); }

// What of the rows x [B, D] is in none of the directions `axes` ([B, D] each). Twice: what rounding leaves
// the first time is felt near duplicates.
Tensor beyond(Tensor x, const std::vector<Tensor>& axes) {
  for (int pass = 0; pass < 2; ++pass)
    for (const Tensor& axis : axes) x = x - axis * (axis * x).sum(1, /*keepdim=*/true);
  return x;
}

// The views of samples but the anchor.
struct Others {
  std::vector<Tensor> axes;  // orthonormal: V-1 x [B, D]
  Tensor volume;             // [B]
};

Others others_of(const std::vector<Tensor>& z) {
  Others others;
  for (size_t v = 1; v < z.size(); ++v) {
    const Tensor rest = beyond(z[v], others.axes), size = length(rest);
    others.volume = others.volume.defined() ? others.volume * size : size;
    others.axes.push_back(rest / size.unsqueeze(1));
  }
  return others;
}

// The volumes of anchors [A, D] and the other views of samples, given by axes [O, V-1, D] and volume [O]: [O,
// A].
Tensor volumes(const Tensor& axes, const Tensor& volume, const Tensor& anchors) {
  const Tensor along = torch::matmul(axes.reshape({-1, axes.size(2)}), anchors.t());  // [O (V-1), A]
  const Tensor squares = along.view({axes.size(0), axes.size(1), anchors.size(0)}).square().sum(1);  // [O, A]
  return volume.unsqueeze(1) * (1 - squares).clamp_min(rounding(anchors)).sqrt();
}

// Of each row of s, over other samples, the log-sum-exp and the sum: [2, B]. Rows are local anchors against
// the other views of all samples, or local other views against all anchors. Block by block: what a block
// needs is at most kBlock numbers a step of the formula.
class OtherScores : public torch::autograd::Function<OtherScores> {
 public:
  // other: bool [B, N].
  static Tensor forward(AutogradContext* context, const Tensor& axes, const Tensor& volume,
                        const Tensor& anchors, const Tensor& temperature, const Tensor& other,
                        bool by_anchor) {
    context->save_for_backward({axes, volume, anchors, temperature, other});
    context->saved_data["by_anchor"] = by_anchor;
    const variable_list inputs{axes, volume, anchors, temperature};
    variable_list parts;
    for (const auto& [from, to] : blocks(other, axes.size(1)))
      parts.push_back(block(inputs, other, by_anchor, from, to));
    return torch::cat(parts, 1);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradient) {
    if (at::GradMode::is_enabled()) foil::fail(foil::Exit::failure, "gram has no second derivative.");
    const variable_list saved = context->get_saved_variables();
    const Tensor& other = saved[4];
    variable_list leaves, wanted, sums(7);
    std::vector<size_t> places;
    for (size_t i = 0; i < 4; ++i) {
      leaves.push_back(saved[i].detach());
      if (!saved[i].requires_grad()) continue;
      wanted.push_back(leaves[i].requires_grad_());
      places.push_back(i);
      sums[i] = torch::zeros_like(leaves[i]);
    }
    for (const auto& [from, to] : blocks(other, leaves[0].size(1))) {
      const torch::AutoGradMode with_gradient(true);
      const Tensor part = block(leaves, other, context->saved_data["by_anchor"].toBool(), from, to);
      const variable_list got = torch::autograd::grad({part}, wanted, {gradient[0].slice(1, from, to)});
      const torch::NoGradGuard no_gradient;
      for (size_t k = 0; k < places.size(); ++k) sums[places[k]].add_(got[k]);
    }
    return sums;
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 20;

  // From and to of each; one of no rows where there are none.
  static std::vector<std::pair<int64_t, int64_t>> blocks(const Tensor& other, int64_t axes) {
    const int64_t rows = other.size(0), step = std::max<int64_t>(1, kBlock / (other.size(1) * axes));
    std::vector<std::pair<int64_t, int64_t>> all;
    for (int64_t from = 0; from == 0 || from < rows; from += step)
      all.push_back({from, std::min(rows, from + step)});
    return all;
  }

  // inputs: axes, volume, anchors, temperature.
  static Tensor block(const variable_list& inputs, const Tensor& other, bool by_anchor, int64_t from,
                      int64_t to) {
    const auto some = [&](const Tensor& x, bool are_rows) { return are_rows ? x.slice(0, from, to) : x; };
    const Tensor spanned = volumes(some(inputs[0], !by_anchor), some(inputs[1], !by_anchor),
                                   some(inputs[2], by_anchor));         // [O, A]
    const Tensor s = -(by_anchor ? spanned.t() : spanned) / inputs[3];  // [to - from, N]
    const Tensor allowed = other.slice(0, from, to);
    return torch::stack({foil::masked_logsumexp(s, allowed), (s * allowed).sum(1)});
  }
};

class GRAM final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.07;
    double smallest_temperature = 0.01;
    double label_smoothing = 0.1;
    bool detach_gathered = false;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the volumes; learned from here", foil::above(0));
      f.number("smallest_temperature", smallest_temperature, "lower bound of the learned temperature",
               foil::above(0));
      f.number("label_smoothing", label_smoothing, "share of the target that is spread over all samples",
               foil::from_below(0, 1));
      f.flag("detach_gathered", detach_gathered,
             "what a row is compared with has no gradient; as the published training code");
    }
  };
  explicit GRAM(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.max_views = foil::any_number}; }

  void setup(const foil::Sizes& sizes) override {
    if (sizes.z_dim > 0 && sizes.views > sizes.z_dim)
      foil::fail(foil::Exit::usage, "gram: ", sizes.views, " views in ", sizes.z_dim,
                 " dimensions span no volume, allowed: at most as many views as z has dimensions.");
    temperature_ = register_parameter("temperature", torch::tensor(options_.temperature, torch::kFloat));
  }

  Tensor forward(const LossInput& input) override {
    const auto compared = [&](const Tensor& x) { return options_.detach_gathered ? x.detach() : x; };
    const Others others = others_of(input.z);
    Others held{{}, compared(others.volume)};
    for (const Tensor& axis : others.axes) held.axes.push_back(compared(axis));
    const Tensor& anchor = input.z[0];                 // [B, D]
    const Tensor other = input.other_samples();        // [B, N]
    const Tensor axes = torch::stack(others.axes, 1);  // [B, V-1, D]
    const Tensor by_anchor = OtherScores::apply(input.gather(compared(axes)), input.gather(held.volume),
                                                anchor, temperature_, other, true);
    const Tensor by_others =
        OtherScores::apply(axes, others.volume, compared(input.everyone(0)), temperature_, other, false);
    const Tensor volume = own_volume(anchor, held);
    const Tensor rows = cross_entropy(input, volume, by_anchor);
    const Tensor columns = cross_entropy(
        input, options_.detach_gathered ? own_volume(anchor.detach(), others) : volume, by_others);
    input.report("volume", input.mean(volume));
    input.report("temperature", temperature_.clone());  // what it was: it moves before this is read
    return input.mean((rows + columns) / 2);
  }

  void after_step(const LossInput&) override { temperature_.clamp_min_(options_.smallest_temperature); }

 private:
  // Vol(i,i): [B].
  static Tensor own_volume(const Tensor& anchor, const Others& others) {
    return others.volume * length(beyond(anchor, others.axes));
  }

  // CE of each local row, [B], from its own volume and what it gets of others, [2, B].
  Tensor cross_entropy(const LossInput& input, const Tensor& volume, const Tensor& others) const {
    const Tensor own = -volume / temperature_;
    const Tensor mean = (own + others[1]) / static_cast<double>(input.global_batch());
    return foil::softplus(others[0] - own) + options_.label_smoothing * (own - mean);
  }

  Options options_;
  Tensor temperature_;  // []
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<GRAM>("gram"); }
