// SPDX-License-Identifier: BSD-3-Clause
// Values and gradients of a channel per row in one pass, for losses that average their rows: a panel of rows
// meets all columns and is kept until its statistics are known. Its powers E_ij = 2^(x_ij - base_i) are made
// once; what only a row knows (its sum, its weight) multiplies the rows that E meets, not E.
#include "contrast/gather.h"
#include "contrast/passes.h"

namespace foil::contrast {
namespace {

template <class T>
class Panels {
 public:
  Panels(const Problem& problem, const Plan& plan, const Tensor& positive, const Wanted& wanted)
      : p_(problem),
        plan_(plan),
        positive_(positive),
        wanted_(wanted),
        operation_(operations(problem, false).front()),
        lse_(operation_.channel.kind == Channel::Kind::lse),
        tiles_(problem),
        gathered_(problem, plan, wanted),
        scratch_(0, plan.widest, 1),
        panel_(at::empty({plan.tallest * problem.columns}, at::TensorOptions(problem.type))),
        parts_(plan.lanes.size() * static_cast<size_t>(plan.tallest)),
        slopes_(parts_.size()),
        base_(static_cast<size_t>(plan.tallest)),
        states_(static_cast<size_t>(problem.rows)) {}

  Averaged run() {
    for (const Cut& block : plan_.blocks) {
      tiles_.load(block);
      each(block, [&](int64_t lane, const Cut& cut, T* z) { make(block, lane, cut, z); });
      if (lse_) {
        settle_bases(block);
        each(block, [&](int64_t lane, const Cut& cut, T* z) { raise(block, lane, cut, z); });
      }
      join(block);
      const Tensor factor = factors(block);  // fp64 [R, 1]
      if (gathered_.of_columns()) {
        const Tensor rows = tiles_.rows() * factor.to(p_.type);
        each(block, [&](int64_t, const Cut& cut, T* z) {
          gathered_.add_columns(cut, matrix(z, block.size(), cut.size()), rows);
        });
      }
      gathered_.join(block, factor);
    }
    return {{std::move(states_)}, gathered_.finish_columns()};
  }

 private:
  template <class Run>
  void each(const Cut& block, const Run& run) {
    each_lane(plan_, [&](int64_t lane) {
      for (const Cut& cut : plan_.lanes[static_cast<size_t>(lane)])
        run(lane, cut, panel_.data_ptr<T>() + block.size() * cut.begin);
    });
  }
  State* part(int64_t lane) { return parts_.data() + lane * plan_.tallest; }

  // The tile; of an LSE the largest of each row, else phi'(z) in place and its sum.
  void make(const Cut& block, int64_t lane, const Cut& cut, T* z) {
    const int64_t width = cut.size();
    const Tensor columns = tiles_.columns(cut);
    tiles_.make(block, cut, columns, z);
    State* const rows = part(lane);
    for (int64_t r = 0; r < block.size(); ++r) {
      T* const x = z + r * width;
      if (!operation_.plain()) tiles_.seen(operation_, block, cut, z, r, x);
      if (lse_) {
        rows[r].base = std::max<double>(rows[r].base, sweep::largest(x, width));
      } else {
        rows[r].sum += sweep::phi_both(operation_.channel.phi, x, width, x);
        if (wanted_.row_offset)
          slopes_[static_cast<size_t>(lane * plan_.tallest + r)] += sweep::total(x, width);
      }
    }
    if (!lse_ && gathered_.of_rows())
      gathered_.add_rows(block, lane, matrix(z, block.size(), width), columns);
  }

  void settle_bases(const Cut& block) {
    for (int64_t r = 0; r < block.size(); ++r) {
      double top = -std::numeric_limits<double>::infinity();
      for (int64_t lane = 0; lane < static_cast<int64_t>(plan_.lanes.size()); ++lane)
        top = std::max(top, part(lane)[r].base);
      base_[static_cast<size_t>(r)] = base_of(static_cast<T>(top));
    }
  }

  // Similarities to powers, in place.
  void raise(const Cut& block, int64_t lane, const Cut& cut, T* z) {
    const int64_t width = cut.size();
    State* const rows = part(lane);
    for (int64_t r = 0; r < block.size(); ++r)
      rows[r].sum += sweep::powers_into(z + r * width, width, base_[static_cast<size_t>(r)], z + r * width);
    if (gathered_.of_rows())
      gathered_.add_rows(block, lane, matrix(z, block.size(), width), tiles_.columns(cut));
  }

  // The lanes' parts of the panel's rows, in the order of the lanes.
  void join(const Cut& block) {
    for (int64_t r = 0; r < block.size(); ++r) {
      State& state = states_[static_cast<size_t>(block.begin + r)];
      for (int64_t lane = 0; lane < static_cast<int64_t>(plan_.lanes.size()); ++lane) {
        state.sum += part(lane)[r].sum;
        part(lane)[r] = State();
        if (!lse_ && wanted_.row_offset) {
          double& slope = slopes_[static_cast<size_t>(lane * plan_.tallest + r)];
          gathered_.out.row_offset.template data_ptr<double>()[block.begin + r] += std::exchange(slope, 0.0);
        }
      }
      if (lse_ && state.sum != 0) state.base = base_[static_cast<size_t>(r)];
    }
  }

  // What the derivatives by z of each row of the panel are of its powers, or of phi': [R, 1]. Divided by
  // log2(e), which is in the rows.
  Tensor factors(const Cut& block) {
    const Tensor all = at::empty({block.size(), 1}, at::TensorOptions(at::kDouble));
    for (int64_t r = 0; r < block.size(); ++r) {
      const int64_t i = block.begin + r;
      const State& state = states_[static_cast<size_t>(i)];
      double weight = 1;  // of the row's LSE
      if (positive_.defined() && state.sum != 0)
        weight = 1 / (1 + std::exp2(positive_.const_data_ptr<double>()[i] * kLog2E - state.base) / state.sum);
      const double factor = !lse_ ? 1 : state.sum == 0 ? 0 : weight / state.sum;
      all.data_ptr<double>()[r] = factor / kLog2E;
      if (lse_ && wanted_.row_offset)
        gathered_.out.row_offset.template data_ptr<double>()[i] = state.sum == 0 ? 0 : weight;
    }
    return all;
  }

  const Problem& p_;
  const Plan& plan_;
  const Tensor& positive_;
  Wanted wanted_;
  Operation operation_;
  bool lse_;
  Tiles<T> tiles_;
  Gathered<T> gathered_;
  Scratch<T> scratch_;
  Tensor panel_;                // [tallest * M]: the tiles of a panel, one after another
  std::vector<State> parts_;    // by lane: of the rows of the panel
  std::vector<double> slopes_;  // as parts_: sum phi'
  std::vector<T> base_;         // of the rows of the panel
  std::vector<State> states_;
};

}  // namespace

Averaged averaged(const Problem& p, const Plan& plan, const Tensor& positive, const Wanted& wanted) {
  return p.type == at::kDouble ? Panels<double>(p, plan, positive, wanted).run()
                               : Panels<float>(p, plan, positive, wanted).run();
}

}  // namespace foil::contrast
