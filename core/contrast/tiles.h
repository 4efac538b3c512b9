// SPDX-License-Identifier: BSD-3-Clause
// Tiles of z times log2(e): the product of a block of rows and a cut of columns, offsets added, pairs that
// are left out at -inf. T is float or double.
#pragma once

#include "contrast/plan.h"
#include "contrast/power2.h"
#include "contrast/sweep.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>

namespace foil::contrast {

// run(lane) for every lane, in parallel. At least two turns: then the turns of several threads are inside of
// a parallel region, where a product is one thread's and its bits those of one thread.
template <class Run>
void each_lane(const Plan& plan, const Run& run) {
  const int64_t lanes = static_cast<int64_t>(plan.lanes.size());
  at::parallel_for(0, std::max<int64_t>(2, lanes), 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_gradient;
    const at::AutoDispatchBelowADInplaceOrView below;
    for (int64_t lane = begin; lane < std::min(end, lanes); ++lane) run(lane);
  });
}

// [rows, columns] at `data`, one row after another.
template <class T>
Tensor matrix(T* data, int64_t rows, int64_t columns) {
  return at::from_blob(data, {rows, columns}, at::TensorOptions(c10::CppTypeToScalarType<T>::value));
}

// out = or += a b.
inline void multiply(Tensor out, const Tensor& a, const Tensor& b, bool add) {
  if (add) {
    out.addmm_(a, b);
  } else {
    at::mm_out(out, a, b);
  }
}

// One reduction over a tile, which may serve a channel per row and one per column: they share what is
// computed of a pair. In a triangle each tile stands for its mirror image too: both are the same channel.
struct Operation {
  Channel channel;
  int row = -1, column = -1;  // positions among the channels
  bool plain() const { return channel.which == Which::all && channel.slope == 1; }
};
std::vector<Operation> operations(const Problem& problem, bool triangle);

template <class T>
class Tiles {
 public:
  explicit Tiles(const Problem& problem)
      : p(problem),
        factor_(problem.row_scale.defined() ? (problem.row_scale * (problem.scale * kLog2E)).unsqueeze(1)
                                            : Tensor()) {}

  const Problem& p;

  // The block whose tiles are made next.
  void load(const Cut& block) {
    const Tensor rows = p.x.slice(0, block.begin, block.end).to(p.type);
    rows_ = factor_.defined() ? rows * factor_.slice(0, block.begin, block.end).to(p.type)
                              : rows * static_cast<T>(p.scale * kLog2E);
  }
  const Tensor& rows() const { return rows_; }  // [R, D], times scales and log2(e)
  Tensor columns(const Cut& cut) const {        // [C, D], times scales
    const Tensor columns = p.y.slice(0, cut.begin, cut.end).to(p.type);
    return p.column_scale.defined()
               ? columns * p.column_scale.slice(0, cut.begin, cut.end).unsqueeze(1).to(p.type)
               : columns;
  }

  // The tile [R, C] at z.
  void make(const Cut& block, const Cut& cut, const Tensor& columns, T* z) const {
    multiply(matrix(z, block.size(), cut.size()), rows_, columns.t(), false);
    const int64_t width = cut.size();
    if (p.row_offset.defined() || p.column_offset.defined()) {
      const T* const a = p.row_offset.defined() ? p.row_offset.const_data_ptr<T>() + block.begin : nullptr;
      const T* const b =
          p.column_offset.defined() ? p.column_offset.const_data_ptr<T>() + cut.begin : nullptr;
      for (int64_t r = 0; r < block.size(); ++r) sweep::shift(z + r * width, width, a ? a[r] : T(0), b);
    }
    if (!p.masks->leaves_out()) return;
    for (int64_t r = 0; r < block.size(); ++r) {
      p.masks->left_out(block.begin + r, cut.begin, cut.end, [&](int64_t column) {
        z[r * width + column - cut.begin] = -std::numeric_limits<T>::infinity();
      });
    }
  }

  // Row r of the tile as an operation sees it: the row itself, or what it selects, at `line`.
  const T* seen(const Operation& operation, const Cut& block, const Cut& cut, const T* z, int64_t r,
                T* line) const {
    const T* const row = z + r * cut.size();
    if (operation.plain()) return row;
    const bool labels = operation.channel.which != Which::all;
    sweep::select(row, cut.size(), labels ? p.masks->column_labels() + cut.begin : nullptr,
                  labels ? p.masks->row_labels()[block.begin + r] : 0,
                  operation.channel.which == Which::alike, static_cast<T>(operation.channel.slope), line);
    return line;
  }

 private:
  Tensor factor_, rows_;
};

// How far apart in bits the exponents of a tile may be for one power to serve rows and columns.
template <class T>
constexpr T kSpread = sizeof(T) == 4 ? T(100) : T(900);

// The rows whose sums per column are added up in T before they go to a double.
constexpr int64_t kFlush = 32;

// The integer that powers of numbers up to `top` are taken from.
template <class T>
T base_of(T top) {
  constexpr T bound = T(1e30);  // infinities are left to the power itself
  return top == -std::numeric_limits<T>::infinity() ? T(0) : std::floor(std::clamp(top, -bound, bound));
}

// 2^d of an integer d <= 0.
inline double halvings(double d) {
  return d < -1022 ? 0 : std::bit_cast<double>(static_cast<int64_t>(d + 1023) << 52);
}

// Adds sum 2^base.
inline void add_powers(State& state, double base, double sum) {
  if (sum == 0) return;
  if (base > state.base) {
    state.sum = state.sum == 0 ? sum : state.sum * halvings(state.base - base) + sum;
    state.base = base;
  } else {
    state.sum += sum * halvings(base - state.base);
  }
}

inline void add_state(Channel::Kind kind, State& state, const State& other) {
  if (kind == Channel::Kind::lse) {
    add_powers(state, other.base, other.sum);
  } else if (kind == Channel::Kind::sum) {
    state.sum += other.sum;
  } else if (other.base > state.base || other.base != other.base) {
    state.base = other.base;
  }
}

// Room for one tile and some lines of each thread.
template <class T>
class Scratch {
 public:
  Scratch(int64_t tallest, int64_t widest, int64_t lines)
      : widest_(widest),
        lines_(lines),
        tiles_(at::empty({at::get_num_threads(), tallest * widest},
                         at::TensorOptions(c10::CppTypeToScalarType<T>::value))),
        line_(at::empty({at::get_num_threads(), lines * widest}, tiles_.options())),
        sums_(at::empty({at::get_num_threads(), widest}, tiles_.options().dtype(at::kDouble))) {}
  T* tile() { return tiles_.data_ptr<T>() + at::get_thread_num() * tiles_.size(1); }
  T* line(int64_t k) { return line_.data_ptr<T>() + (at::get_thread_num() * lines_ + k) * widest_; }
  double* sums() { return sums_.data_ptr<double>() + at::get_thread_num() * widest_; }

 private:
  int64_t widest_, lines_;
  Tensor tiles_, line_, sums_;
};

// Where a tile of a matrix that is kept whole lies in it.
template <class T>
T* kept(const Tensor& matrix, const Cut& block, const Cut& cut, int64_t columns) {
  return matrix.data_ptr<T>() + block.begin * columns + block.size() * cut.begin;
}

}  // namespace foil::contrast
