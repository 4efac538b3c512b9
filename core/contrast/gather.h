// SPDX-License-Identifier: BSD-3-Clause
// Where the gradients of a pass come together. The rows of x get theirs from all lanes: each adds to a part
// of its own, and the parts are added in the order of the lanes. Those of y are the lane's that owns the
// columns.
#pragma once

#include "contrast/tiles.h"

namespace foil::contrast {

template <class T>
class Gathered {
 public:
  Gathered(const Problem& problem, const Plan& plan, const Wanted& wanted)
      : p(problem), plan_(plan), wanted_(wanted) {
    const at::TensorOptions numbers(p.type), wide(at::kDouble);
    const bool rows = plan.triangle || wanted.x || wanted.scale || wanted.row_scale;
    if (rows) {
      lanes_ = at::empty({static_cast<int64_t>(plan.lanes.size()), plan.tallest, p.width}, numbers);
      used_.assign(plan.lanes.size(), 0);
    }
    if (plan.triangle || wanted.x) out.x = at::zeros({p.rows, p.width}, numbers);
    if (!plan.triangle && (wanted.y || wanted.column_scale)) out.y = at::zeros({p.columns, p.width}, numbers);
    if (wanted.scale) out.scale = at::zeros({}, wide);
    if (wanted.row_scale) out.row_scale = at::zeros({p.rows}, wide);
    if (wanted.row_offset) out.row_offset = at::zeros({p.rows}, wide);
    if (wanted.column_offset) out.column_offset = at::zeros({p.columns}, wide);
  }

  const Problem& p;
  Gradients out;

  bool of_rows() const { return lanes_.defined(); }
  bool of_columns() const { return plan_.triangle || out.y.defined(); }

  // weights [R, C] times the columns, to the block's rows.
  void add_rows(const Cut& block, int64_t lane, const Tensor& weights, const Tensor& columns) {
    char& used = used_[static_cast<size_t>(lane)];
    multiply(lanes_[lane].slice(0, 0, block.size()), weights, columns, used != 0);
    used = 1;
  }
  // The image of weights [R, C] times the rows [R, D], to the columns of the cut.
  void add_columns(const Cut& cut, const Tensor& weights, const Tensor& rows) {
    multiply((plan_.triangle ? out.x : out.y).slice(0, cut.begin, cut.end), weights.t(), rows, true);
  }

  // What the lanes have of the block, times `factor` (fp64 [R, 1] or undefined), ends as its gradients.
  void join(const Cut& block, const Tensor& factor) {
    if (!of_rows()) return;
    Tensor sum;
    for (size_t lane = 0; lane < used_.size(); ++lane) {
      if (used_[lane] == 0) continue;
      const Tensor part = lanes_[static_cast<int64_t>(lane)].slice(0, 0, block.size());
      sum = sum.defined() ? sum.add_(part) : part;
      used_[lane] = 0;
    }
    if (!sum.defined()) return;
    finish(block, factor.defined() ? sum.mul_(factor.to(p.type)) : sum);
  }

  Gradients finish_columns() {
    if (!out.y.defined() || !p.column_scale.defined()) return std::move(out);
    if (wanted_.column_scale) out.column_scale = (p.y.to(p.type) * out.y).sum(1, false, at::kDouble);
    out.y.mul_(p.column_scale.unsqueeze(1).to(p.type));
    return std::move(out);
  }

 private:
  // `sum`: over the pairs of each row, dz / log2(e) times what meets it.
  void finish(const Cut& block, const Tensor& sum) {
    const bool scales = wanted_.scale || wanted_.row_scale;
    const Tensor own = p.row_scale.defined() ? p.row_scale.slice(0, block.begin, block.end) : Tensor();
    Tensor x = out.x.defined() ? out.x.slice(0, block.begin, block.end) : Tensor();
    const Tensor rows = scales ? p.x.slice(0, block.begin, block.end).to(p.type) : Tensor();
    if (plan_.triangle) {  // x holds what the images of earlier tiles gave, times all but the row's own scale
      x.add_(sum, p.scale * kLog2E);
      if (scales) add_scales(block, (rows * x).sum(1, false, at::kDouble) / p.scale, own, 0.5);
      if (own.defined()) x.mul_(own.unsqueeze(1).to(p.type));
      return;
    }
    if (scales) add_scales(block, (rows * sum).sum(1, false, at::kDouble) * kLog2E, own, 1);
    if (!x.defined()) return;
    if (own.defined()) {
      at::mul_out(x, sum, (own * (p.scale * kLog2E)).unsqueeze(1).to(p.type));
    } else {
      at::mul_out(x, sum, at::scalar_tensor(p.scale * kLog2E, sum.options()));
    }
  }

  // `dots`: of each row the derivative by its own scale / scale.
  void add_scales(const Cut& block, const Tensor& dots, const Tensor& own, double share) {
    if (wanted_.row_scale) out.row_scale.slice(0, block.begin, block.end).copy_(dots * p.scale);
    if (wanted_.scale) out.scale.add_((own.defined() ? dots * own : dots).sum() * share);
  }

  const Plan& plan_;
  Wanted wanted_;
  Tensor lanes_;  // [lanes, tallest, D]
  std::vector<char> used_;
};

}  // namespace foil::contrast
