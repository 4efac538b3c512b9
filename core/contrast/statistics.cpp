// SPDX-License-Identifier: BSD-3-Clause
// The forward pass: every tile once, reduced over its rows and its columns. Sums within a tile are in T,
// across tiles in double. A power is taken from an integer near the largest number that meets it, so that
// changing it is exact; of one tile it serves rows and columns where their largest numbers are near enough.
#include "contrast/passes.h"
#include "contrast/tiles.h"

namespace foil::contrast {

std::vector<Operation> operations(const Problem& problem, bool triangle) {
  std::vector<Operation> all;
  for (int k = 0; k < static_cast<int>(problem.channels.size()); ++k) {
    const Channel& channel = problem.channels[static_cast<size_t>(k)];
    const bool row = channel.per == Per::row;
    const auto same = [&](const Operation& other) {
      return !triangle && other.channel.kind == channel.kind && other.channel.which == channel.which &&
             other.channel.phi == channel.phi && other.channel.slope == channel.slope &&
             (row ? other.row : other.column) < 0;
    };
    auto at = std::find_if(all.begin(), all.end(), same);
    if (at == all.end()) at = all.insert(all.end(), Operation{channel});
    if (row || triangle) at->row = k;
    if (!row || triangle) at->column = k;
  }
  return all;
}

Tensor room_for_matrix(const Problem& p, const Plan& plan) {
  return plan.cached ? at::empty({p.rows * p.columns}, at::TensorOptions(p.type)) : Tensor();
}

namespace {

template <class T>
class Forward {
 public:
  Forward(const Problem& problem, const Plan& plan, const Tensor& matrix)
      : p_(problem),
        plan_(plan),
        matrix_(matrix),
        tiles_(problem),
        operations_(operations(problem, plan.triangle)),
        scratch_(matrix.defined() ? 0 : plan.tallest, plan.widest, 3) {
    for (const Channel& channel : p_.channels)
      states_.emplace_back(static_cast<size_t>(channel.per == Per::row ? p_.ranges() * p_.rows : p_.columns));
    parts_.resize(plan.lanes.size() * p_.channels.size() * static_cast<size_t>(plan.tallest));
  }

  States run() {
    for (const Cut& block : plan_.blocks) {
      tiles_.load(block);
      each_lane(plan_, [&](int64_t lane) {
        for (const Cut& cut : plan_.lanes[static_cast<size_t>(lane)])
          if (!plan_.triangle || cut.begin >= block.begin) visit(block, lane, cut);
      });
      join(block);
    }
    return std::move(states_);
  }

 private:
  State* part(int64_t lane, int channel) {
    return parts_.data() + (lane * static_cast<int64_t>(p_.channels.size()) + channel) * plan_.tallest;
  }

  void visit(const Cut& block, int64_t lane, const Cut& cut) {
    T* const z = matrix_.defined() ? kept<T>(matrix_, block, cut, p_.columns) : scratch_.tile();
    tiles_.make(block, cut, tiles_.columns(cut), z);
    for (const Operation& operation : operations_) {
      State* const rows = operation.row >= 0 ? part(lane, operation.row) : nullptr;
      const bool mirrored = plan_.triangle && cut.begin == block.begin;  // the tile is its own image
      State* const columns =
          operation.column < 0 || mirrored ? nullptr : column_states(operation.column, block, cut);
      if (operation.channel.kind != Channel::Kind::lse) {
        sums(operation, block, cut, z, rows, columns);
      } else if (columns) {
        powers(operation, block, cut, z, rows, columns);
      } else {
        row_powers(operation, block, cut, z, rows);
      }
    }
  }

  // Of the columns of a cut; in a triangle they are rows that the block's range of columns meets.
  State* column_states(int channel, const Cut& block, const Cut& cut) {
    const int64_t range = plan_.triangle ? block.segment * p_.rows : 0;
    return states_[static_cast<size_t>(channel)].data() + range + cut.begin;
  }

  void row_powers(const Operation& operation, const Cut& block, const Cut& cut, const T* z, State* rows) {
    for (int64_t r = 0; r < block.size(); ++r) {
      const T* const x = tiles_.seen(operation, block, cut, z, r, scratch_.line(0));
      const T base = base_of(sweep::largest(x, cut.size()));
      add_powers(rows[r], base, sweep::powers(x, cut.size(), base));
    }
  }

  // rows may be null.
  void powers(const Operation& operation, const Cut& block, const Cut& cut, const T* z, State* rows,
              State* columns) {
    constexpr T none = -std::numeric_limits<T>::infinity();
    const int64_t width = cut.size();
    T *const tops = scratch_.line(1), *const part = scratch_.line(2);
    double* const sums = scratch_.sums();
    std::fill(tops, tops + width, none);
    std::fill(part, part + width, T(0));
    std::fill(sums, sums + width, 0.0);
    T lowest = std::numeric_limits<T>::infinity();
    for (int64_t r = 0; r < block.size(); ++r) {
      const T* const x = tiles_.seen(operation, block, cut, z, r, scratch_.line(0));
      const T top = rows ? sweep::largest(x, width) : none;
      if (top > none) lowest = std::min(lowest, top);
      sweep::largest_by_column(x, width, false, tops);
    }
    T highest = none;
    for (int64_t c = 0; c < width; ++c) {
      highest = std::max(highest, tops[c]);
      if (tops[c] > none) lowest = std::min(lowest, tops[c]);
    }
    const bool shared = !(highest - lowest > kSpread<T>);
    const T base = base_of(highest);
    if (!shared)
      for (int64_t c = 0; c < width; ++c) tops[c] = base_of(tops[c]);
    for (int64_t r = 0; r < block.size(); ++r) {
      const T* const x = tiles_.seen(operation, block, cut, z, r, scratch_.line(0));
      if (shared) {
        const double sum = sweep::powers_by_column(x, width, base, part);
        if (rows) add_powers(rows[r], base, sum);
      } else {
        sweep::powers_of_columns(x, width, tops, part);
        if (rows) {
          const T own = base_of(sweep::largest(x, width));
          add_powers(rows[r], own, sweep::powers(x, width, own));
        }
      }
      if (r % kFlush == kFlush - 1 || r + 1 == block.size()) sweep::flush(part, width, sums);
    }
    for (int64_t c = 0; c < width; ++c) add_powers(columns[c], shared ? base : tops[c], sums[c]);
  }

  // Sums of phi and maxima. Both may be null.
  void sums(const Operation& operation, const Cut& block, const Cut& cut, const T* z, State* rows,
            State* columns) {
    const bool maximum = operation.channel.kind == Channel::Kind::max;
    const int64_t width = cut.size();
    T* const part = scratch_.line(2);
    double* const sums = scratch_.sums();
    std::fill(part, part + width, maximum ? -std::numeric_limits<T>::infinity() : T(0));
    std::fill(sums, sums + width, 0.0);
    for (int64_t r = 0; r < block.size(); ++r) {
      const T* const x = tiles_.seen(operation, block, cut, z, r, scratch_.line(0));
      if (maximum) {
        const double top =
            sweep::any_nan(x, width) ? std::numeric_limits<T>::quiet_NaN() : sweep::largest(x, width);
        if (rows) add_state(Channel::Kind::max, rows[r], {.base = top});
        if (columns) sweep::largest_by_column(x, width, true, part);
        continue;
      }
      const double sum = sweep::phi_sum(operation.channel.phi, x, width, columns ? part : nullptr);
      if (rows) rows[r].sum += sum;
      if (columns && (r % kFlush == kFlush - 1 || r + 1 == block.size())) sweep::flush(part, width, sums);
    }
    if (!columns) return;
    for (int64_t c = 0; c < width; ++c) {
      add_state(operation.channel.kind, columns[c],
                maximum ? State{.base = static_cast<double>(part[c])} : State{.sum = sums[c]});
    }
  }

  // The lanes' parts of the block's rows, in the order of the lanes.
  void join(const Cut& block) {
    for (size_t lane = 0; lane < plan_.lanes.size(); ++lane) {
      if (plan_.lanes[lane].empty()) continue;
      const int64_t range = plan_.lanes[lane].front().segment * p_.rows;
      for (size_t k = 0; k < p_.channels.size(); ++k) {
        if (p_.channels[k].per != Per::row) continue;
        State* const parts = part(static_cast<int64_t>(lane), static_cast<int>(k));
        State* const to = states_[k].data() + range + block.begin;
        for (int64_t r = 0; r < block.size(); ++r) {
          add_state(p_.channels[k].kind, to[r], parts[r]);
          parts[r] = State();
        }
      }
    }
  }

  const Problem& p_;
  const Plan& plan_;
  const Tensor& matrix_;
  Tiles<T> tiles_;
  std::vector<Operation> operations_;
  Scratch<T> scratch_;
  States states_;
  std::vector<State> parts_;  // by lane and channel: of the rows of the block
};

}  // namespace

States statistics(const Problem& p, const Plan& plan, const Tensor& matrix) {
  return p.type == at::kDouble ? Forward<double>(p, plan, matrix).run()
                               : Forward<float>(p, plan, matrix).run();
}

}  // namespace foil::contrast
