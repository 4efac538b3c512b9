// SPDX-License-Identifier: BSD-3-Clause
// Row blocks: what anchors have to do with very many candidates, in memory that grows with the candidates and
// not with the pairs. Pairs are taken some rows at a time, forgotten, and taken again in the backward pass.
// Sizes: B anchors of this rank, C candidates, b rows of a block.
#pragma once

#include <foil/plugin.h>

#include <torch/csrc/autograd/custom_function.h>

#include <functional>
#include <limits>

namespace foil {

// s(i,j) = scale <anchor_i, candidate_j> + added_j, or -inf where the two do not meet.
struct Scores {
  double scale = 1;
  Tensor added = {};  // [C], constant; undefined: 0
  // Writes -inf into s [b, C], the rows of the anchors from `first` on, where they do not meet; none: all do.
  std::function<void(Tensor& s, int64_t first)> leave_out = {};

  // s [b, C] of the anchors [first, first + b).
  Tensor block(const Tensor& anchor, const Tensor& candidate, int64_t first, int64_t last) const {
    Tensor s = torch::matmul(anchor.slice(0, first, last) * scale, candidate.t());
    if (added.defined()) s.add_(added);
    if (leave_out) leave_out(s, first);
    return s;
  }
};

// Calls act(first, last) for the blocks of rows of a matrix [rows, columns]: 2^21 numbers each, or 64 rows.
inline void in_row_blocks(int64_t rows, int64_t columns, const std::function<void(int64_t, int64_t)>& act) {
  const int64_t height = std::max<int64_t>(64, (int64_t{1} << 21) / std::max<int64_t>(1, columns));
  for (int64_t first = 0; first < rows; first += height) act(first, std::min(first + height, rows));
}

// What a backward pass needs and is no tensor, for AutogradContext::saved_data.
template <class T>
struct Held : torch::CustomClassHolder {
  explicit Held(T thing) : what(std::move(thing)) {}
  T what;
};
template <class T>
c10::IValue held(T thing) {
  return c10::IValue::make_capsule(c10::make_intrusive<Held<T>>(std::move(thing)));
}
// It lives as long as `value`.
template <class T>
const T& what_is_held(const c10::IValue& value) {
  return static_cast<const Held<T>&>(*value.toCapsule()).what;
}

// log sum over j of exp s(i,j), see row_logsumexp().
class RowLogSumExp : public torch::autograd::Function<RowLogSumExp> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Scores& scores, const Tensor& anchor,
                        const Tensor& candidate) {
    Tensor lse = torch::empty({anchor.size(0)}, anchor.options());
    in_row_blocks(anchor.size(0), candidate.size(0), [&](int64_t first, int64_t last) {
      Tensor s = scores.block(anchor, candidate, first, last);
      const Tensor top = finite(s.amax(1));
      lse.slice(0, first, last).copy_(s.sub_(top.unsqueeze(1)).exp_().sum(1).log_().add_(top));
    });
    context->saved_data["scores"] = held(scores);
    context->save_for_backward({anchor, candidate, lse});
    return lse;
  }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext* context,
                                      const std::vector<Tensor>& gradient) {
    if (at::GradMode::is_enabled()) fail(Exit::failure, "row_logsumexp has no second derivative.");
    const auto& scores = what_is_held<Scores>(context->saved_data["scores"]);
    const std::vector<Tensor> saved = context->get_saved_variables();
    const Tensor &anchor = saved[0], &candidate = saved[1], shift = finite(saved[2]);
    Tensor of_anchor = torch::empty_like(anchor), of_candidate;
    if (candidate.requires_grad()) of_candidate = torch::zeros_like(candidate);
    in_row_blocks(anchor.size(0), candidate.size(0), [&](int64_t first, int64_t last) {
      const Tensor weight = (gradient[0].slice(0, first, last) * scores.scale).unsqueeze(1);
      Tensor share = scores.block(anchor, candidate, first, last);  // of the sum, times the gradient: [b, C]
      share.sub_(shift.slice(0, first, last).unsqueeze(1)).exp_().mul_(weight);
      of_anchor.slice(0, first, last).copy_(torch::matmul(share, candidate));
      if (of_candidate.defined()) of_candidate.addmm_(share.t(), anchor.slice(0, first, last));
    });
    return {Tensor(), of_anchor, of_candidate};
  }

 private:
  // Where a row meets nothing any number serves: exp(-inf - it) is 0.
  static Tensor finite(const Tensor& lse) {
    return lse.masked_fill(lse == -std::numeric_limits<double>::infinity(), 0);
  }
};

// log sum over j of exp s(i,j) for anchors [B, D] and candidates [C, D]: [B], with gradient to both. Masked
// exactly, as masked_logsumexp: an anchor that meets nothing gives -inf with gradient 0.
inline Tensor row_logsumexp(const Tensor& anchor, const Tensor& candidate, const Scores& scores) {
  return RowLogSumExp::apply(scores, anchor, candidate);
}

}  // namespace foil
