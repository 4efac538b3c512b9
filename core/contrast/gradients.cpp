// SPDX-License-Identifier: BSD-3-Clause
// The backward pass: every tile again, turned in place into the derivatives by z of its pairs, which then
// meet the columns for the gradients of the rows, and the rows for those of the columns.
//
//   dz_ij = sum over LSEs of (row_i / sum_i 2^-base_i + column_j / sum_j 2^-base_j) 2^x_ij
//         + sum over sums of (row_i + column_j) phi'(z_ij)
//
// with base and sum as the forward pass left them. A tile holds dz / log2(e): the rows that it meets are
// multiplied by log2(e).
#include "contrast/gather.h"
#include "contrast/passes.h"

namespace foil::contrast {
namespace {

// Of one channel, by row or column: the exponents and the factors of its powers.
template <class T>
struct Weights {
  std::vector<T> base, weight;
};

template <class T>
Weights<T> weights_of(const Channel& channel, const std::vector<State>& states, const Tensor& upstream) {
  Weights<T> all;
  if (channel.kind == Channel::Kind::max) return all;
  all.base.resize(states.size());
  all.weight.resize(states.size());
  const Tensor given = upstream.contiguous();
  for (size_t i = 0; i < states.size(); ++i) {
    const double g = given.const_data_ptr<double>()[i] * channel.slope / kLog2E;
    const bool lse = channel.kind == Channel::Kind::lse;
    const bool nothing = lse && states[i].sum == 0;
    all.base[i] = static_cast<T>(lse && !nothing ? states[i].base : 0);
    all.weight[i] = static_cast<T>(nothing ? 0 : lse ? g / states[i].sum : g);
  }
  return all;
}

template <class T>
class Backward {
 public:
  Backward(const Problem& problem, const Plan& plan, const States& states,
           const std::vector<Tensor>& upstream, const Wanted& wanted, const Tensor& matrix)
      : p_(problem),
        plan_(plan),
        wanted_(wanted),
        matrix_(matrix),
        tiles_(problem),
        gathered_(problem, plan, wanted),
        scratch_(plan.tallest, plan.widest, kLines) {
    for (const Operation& operation : operations(problem, plan.triangle))
      if (operation.channel.kind != Channel::Kind::max) operations_.push_back(operation);
    for (size_t k = 0; k < states.size(); ++k)
      weights_.push_back(weights_of<T>(problem.channels[k], states[k], upstream[k]));
    if (wanted.row_offset)
      row_sums_ =
          at::zeros({static_cast<int64_t>(plan.lanes.size()), plan.tallest}, at::TensorOptions(at::kDouble));
  }

  Gradients run() {
    if (operations_.empty()) return std::move(gathered_.out);
    for (const Cut& block : plan_.blocks) {
      tiles_.load(block);
      each_lane(plan_, [&](int64_t lane) {
        for (const Cut& cut : plan_.lanes[static_cast<size_t>(lane)])
          if (!plan_.triangle || cut.begin >= block.begin) visit(block, lane, cut);
      });
      gathered_.join(block, {});
      if (wanted_.row_offset) {
        gathered_.out.row_offset.slice(0, block.begin, block.end)
            .add_(row_sums_.slice(1, 0, block.size()).sum(0));
        row_sums_.zero_();
      }
    }
    return gathered_.finish_columns();
  }

 private:
  static constexpr int64_t kLines = 3 + 8;  // and one of each operation

  // The weights of an operation in a tile; null pointers where there is no such channel.
  struct Met {
    const T *row_base = nullptr, *row = nullptr, *column_base = nullptr, *column = nullptr;
    bool shared = false;  // one power serves both: 2^(x - base) (row 2^(base - row_base) + columns)
    T base = 0;
    const T* columns = nullptr;
  };

  Met meet(size_t at, const Cut& block, const Cut& cut) {
    const Operation& operation = operations_[at];
    Met met;
    if (operation.row >= 0) {
      const Weights<T>& of = weights_[static_cast<size_t>(operation.row)];
      const int64_t first = cut.segment * p_.rows + block.begin;
      met.row_base = of.base.data() + first;
      met.row = of.weight.data() + first;
    }
    if (operation.column >= 0) {
      const Weights<T>& of = weights_[static_cast<size_t>(operation.column)];
      const int64_t first = (plan_.triangle ? block.segment * p_.rows : 0) + cut.begin;
      met.column_base = of.base.data() + first;
      met.column = of.weight.data() + first;
    }
    if (operation.channel.kind == Channel::Kind::lse && met.row && met.column)
      share(block.size(), cut.size(), scratch_.line(3 + static_cast<int64_t>(at)), met);
    return met;
  }

  static void share(int64_t rows, int64_t columns, T* line, Met& met) {
    const auto [row_low, row_high] = std::minmax_element(met.row_base, met.row_base + rows);
    const auto [column_low, column_high] = std::minmax_element(met.column_base, met.column_base + columns);
    const T low = std::min(*row_low, *column_low), high = std::max(*row_high, *column_high);
    met.shared = high - low <= kSpread<T>;
    if (!met.shared) return;
    met.base = std::floor((low + high) / 2);
    for (int64_t c = 0; c < columns; ++c) line[c] = met.column[c] * two_to(met.base - met.column_base[c]);
    met.columns = line;
  }
  // 2^d of an integer d, |d| <= kSpread.
  static T two_to(T d) {
    using Bits = typename Format<T>::Bits;
    constexpr int one = sizeof(T) == 4 ? 127 : 1023;
    return std::bit_cast<T>(static_cast<Bits>(static_cast<int>(d) + one) << Format<T>::mantissa);
  }

  void visit(const Cut& block, int64_t lane, const Cut& cut) {
    const int64_t width = cut.size();
    const Tensor columns = tiles_.columns(cut);
    T* const dz = scratch_.tile();
    const T* z = dz;
    if (matrix_.defined()) {
      z = kept<T>(matrix_, block, cut, p_.columns);
    } else {
      tiles_.make(block, cut, columns, dz);
    }
    std::array<Met, 8> met;
    for (size_t at = 0; at < operations_.size(); ++at) met[at] = meet(at, block, cut);
    const bool alone = operations_.size() == 1;  // else the row is read again: not in place
    for (int64_t r = 0; r < block.size(); ++r) {
      T* const out = alone ? dz + r * width : scratch_.line(1);
      for (size_t at = 0; at < operations_.size(); ++at)
        weigh(operations_[at].channel, met[at],
              tiles_.seen(operations_[at], block, cut, z, r, scratch_.line(0)), width, r, out, at > 0);
      if (!alone) std::copy(out, out + width, dz + r * width);
    }
    if (wanted_.row_offset || wanted_.column_offset) add_offsets(block, lane, cut, dz);
    const Tensor weights = matrix(dz, block.size(), width);
    if (gathered_.of_rows()) gathered_.add_rows(block, lane, weights, columns);
    if (gathered_.of_columns() && !(plan_.triangle && cut.begin == block.begin))
      gathered_.add_columns(cut, weights, tiles_.rows());
  }

  void weigh(const Channel& channel, const Met& met, const T* x, int64_t n, int64_t r, T* out, bool add) {
    if (channel.kind == Channel::Kind::sum) {
      sweep::phi_slope(channel.phi, x, n, met.row ? met.row[r] : T(0), met.column, out, add);
    } else if (met.shared) {
      sweep::weigh_both(x, n, met.base, met.row[r] * two_to(met.base - met.row_base[r]), met.columns, out,
                        add);
    } else if (met.row && met.column) {  // not in place: x is read twice
      T* const both = scratch_.line(2);
      sweep::weigh_row(x, n, met.row_base[r], met.row[r], both, false);
      sweep::weigh_columns(x, n, met.column_base, met.column, both, true);
      if (add) {
        sweep::add_to(both, n, out);
      } else {
        std::copy(both, both + n, out);
      }
    } else if (met.row) {
      sweep::weigh_row(x, n, met.row_base[r], met.row[r], out, add);
    } else {
      sweep::weigh_columns(x, n, met.column_base, met.column, out, add);
    }
  }

  // In a triangle the tile's image adds to the rows that its columns are.
  void add_offsets(const Cut& block, int64_t lane, const Cut& cut, const T* dz) {
    const bool image = plan_.triangle && cut.begin != block.begin;
    const int64_t width = cut.size();
    double* const sums = scratch_.sums();
    T* const part = scratch_.line(1);
    std::fill(sums, sums + width, 0.0);
    std::fill(part, part + width, T(0));
    for (int64_t r = 0; r < block.size(); ++r) {
      const T* const row = dz + r * width;
      if (wanted_.row_offset)
        row_sums_.data_ptr<double>()[lane * plan_.tallest + r] += kLog2E * sweep::total(row, width);
      sweep::add_to(row, width, part);
      if (r % kFlush == kFlush - 1 || r + 1 == block.size()) sweep::flush(part, width, sums);
    }
    const Tensor& to = image ? gathered_.out.row_offset : gathered_.out.column_offset;
    if (!to.defined() || (plan_.triangle && !image)) return;
    for (int64_t c = 0; c < width; ++c) to.data_ptr<double>()[cut.begin + c] += kLog2E * sums[c];
  }

  const Problem& p_;
  const Plan& plan_;
  Wanted wanted_;
  const Tensor& matrix_;
  Tiles<T> tiles_;
  Gathered<T> gathered_;
  Scratch<T> scratch_;
  std::vector<Operation> operations_;
  std::vector<Weights<T>> weights_;  // by channel
  Tensor row_sums_;                  // fp64 [lanes, tallest]
};

}  // namespace

Gradients gradients(const Problem& p, const Plan& plan, const States& states,
                    const std::vector<Tensor>& upstream, const Wanted& wanted, const Tensor& matrix) {
  return p.type == at::kDouble ? Backward<double>(p, plan, states, upstream, wanted, matrix).run()
                               : Backward<float>(p, plan, states, upstream, wanted, matrix).run();
}

}  // namespace foil::contrast
