// SPDX-License-Identifier: BSD-3-Clause
// contrast: what a loss wants to know of all pairs of rows x_i and columns y_j, without the N x M matrix.
//
//   z_ij = scale * row.scale_i * column.scale_j * <x_i, y_j> + row.offset_i + column.offset_j
//
// is computed in tiles, reduced over rows or columns (log-sum-exp, sums of a function, maximum), and thrown
// away; the backward pass computes the tiles again. Memory is linear in N + M, values and gradients are those
// of the plain tensors to rounding, and masks are exact. Everything that is O(N) stays with the loss, in
// ordinary tensors with autograd: the positives, averages, weights, moving estimates.
//
// InfoNCE, the positive outside of the sum so that nothing cancels when pairs are aligned:
//
//   Tensor forward(const LossInput& input) override {
//     const auto pairs = foil::contrast::between(input, 0, 1, 1 / options_.temperature);
//     const Tensor positive = (input.z[0] * input.z[1]).sum(1) / options_.temperature;  // [B]
//     return input.mean(foil::contrast::mean_lse(pairs, positive));
//   }
//
// How others are said:
//
//   NT-Xent    among(input, scale): all views against all, each without its own sample. mean_lse(pairs,
//              positive) with the cosine of each row with its partner, [2B]. On one rank rows and columns are
//              the same tensor: half the work.
//   DCL        the same pairs; input.mean(mean_lse(pairs) - positive): its own sample, and with it the
//              positive, is in no sum.
//   CLIP       lse = reduce(between(input, 0, 1, scale), {lse(), lse(Per::column)}); both directions from one
//              pass, mean(softplus(lse[0] - positive)) and the same of all_rows(input, lse[1]). `scale` is a
//              learned tensor [] as it is.
//   SupCon     among(input, scale, LeftOut::itself) and mean_lse(pairs). The mean over positives of <x_i,
//              y_j> needs no pairs: x_i times the sum of its class, O(N D). With positives inside the
//              logarithm: reduce(pairs, {lse(Per::row, Which::alike), lse()}), labels in row and column.
//   SigLIP     pairs.row.offset = bias.expand({B}); mean_sum(pairs, Phi::softplus), and softplus(-x) of the
//              positives beside it.
//   MW         pairs.row.offset = (margin - positive) * scale; mean_sum(pairs, Phi::softplus), or
//              Phi::hinge. The offset's gradient is that of the positive.
//   MoCo       .row = {.data = query}, .column = {.data = queue}: no gradient where none is asked for.
//   SogCLR     reduce(pairs, {lse()}): the estimate moves in the log domain, and the weights of its gradient
//              are what comes back through the LSE.
//   iSogCLR    row.scale = 1 / temperatures, [B], with gradient.
//   Uniformity within(input, input.z[v], 2 t) with row.offset = column.offset = -t |x|^2: the squared
//              distances, t times; reduce(pairs, {lse()}).
//   HCL        reduce(pairs, {lse().times(1 + beta), lse().times(beta)}): channels of other slopes.
//   Multi-view among(...) with pairs.segments = {N, N, N}: one LSE per row and view, [V B, V].
//
// Ranks: rows are this rank's, columns those of all ranks, which is what between() and among() make; the
// gradient of gathered columns flows back as that of any gathered tensor.
//
// Types: fp32 and fp64; half precision is widened to fp32 tile by tile, sums across tiles are made in double.
// The results have the type of the data, fp32 where that is of half precision. The bits do not depend on the
// number of threads. A NaN in a row spoils that row's results and what mathematics makes it spoil, no others.
// On a GPU the tiles are blocks of rows that LibTorch's own operators reduce: the same values in memory
// linear in N + M, without kernels of foil's own.
// Refused with foil::Error (Exit::failure): shapes, types and devices that do not fit, a second derivative.
#pragma once

#include <foil/loss.h>

#include <torch/types.h>

#include <vector>

namespace foil::contrast {

// The rows, or the columns, of the matrix of pairs.
struct Side {
  Tensor data;         // [N, D]; the columns undefined: they are the rows, and half the work
  Tensor id = {};      // int64 [N]: pairs of equal ids are left out everywhere; undefined: none are
  Tensor label = {};   // int64 [N], -1: of no class; which pairs are alike, see Which
  Tensor scale = {};   // [N], such as inverse temperatures; undefined: 1
  Tensor offset = {};  // [N]; undefined: 0
};

// A number, or a tensor [] with gradient.
struct Scale {
  Scale(double factor = 1) : value(factor) {}
  Scale(Tensor factor) : tensor(std::move(factor)) {}
  double value = 1;
  Tensor tensor;
};

// Gradients flow to `data`, `scale` and `offset` of both sides and to `scale`.
struct Pairs {
  Side row;
  Side column = {};
  Scale scale = {};
  // Sizes of ranges of columns, of sum M: of several, results per row are [N, ranges], else [N].
  std::vector<int64_t> segments = {};
  // int64 [2, E]: rows and columns, as they are counted here, of more pairs that are left out everywhere.
  Tensor left_out = {};
};

enum class Per { row, column };           // one result for each: [N], or [M]
enum class Which { all, alike, unlike };  // of equal labels or not; a label of -1 is like no other
enum class Phi { identity, exp, softplus, sigmoid, hinge, squared_hinge };  // of z; hinge: max(z, 0)

// One result of `reduce`. `slope` multiplies z for this channel alone.
struct Channel {
  enum class Kind { lse, sum, max } kind = Kind::lse;
  Per per = Per::row;
  Which which = Which::all;
  Phi phi = Phi::identity;  // of a sum
  double slope = 1;
  Channel times(double factor) const {
    Channel other = *this;
    other.slope *= factor;
    return other;
  }
};
// log sum exp z; of no pairs -inf, with gradient 0.
inline Channel lse(Per per = Per::row, Which which = Which::all) {
  return {.kind = Channel::Kind::lse, .per = per, .which = which};
}
// sum phi(z); of no pairs 0.
inline Channel sum(Phi phi, Per per = Per::row, Which which = Which::all) {
  return {.kind = Channel::Kind::sum, .per = per, .which = which, .phi = phi};
}
// The largest z, without gradient; of no pairs -inf.
inline Channel max(Per per = Per::row, Which which = Which::all) {
  return {.kind = Channel::Kind::max, .per = per, .which = which};
}

// The results of one to eight channels, in their order, from the same tiles.
FOIL_API std::vector<Tensor> reduce(const Pairs& pairs, const std::vector<Channel>& channels);

// For losses that average their rows: [N], the LSE of each row or, with `positive` [N] (in units of z, with
// gradient), softplus(LSE - positive) = -log(e^positive / (e^positive + sum_j e^z_ij)). Values and gradients
// are those of reduce() for any loss; but the gradient is made in the forward pass for equal weights of all
// rows, three products instead of four, and another pass corrects it where the weights turn out to differ.
// Pairs without segments.
FOIL_API Tensor mean_lse(const Pairs& pairs, const Tensor& positive = {}, Which which = Which::all);
// The same of sum phi(z).
FOIL_API Tensor mean_sum(const Pairs& pairs, Phi phi, Which which = Which::all);

// This rank's rows of view a with all ranks' rows of view b, each without its own sample: ids are positions
// in the global batch.
FOIL_API Pairs between(const LossInput& input, int64_t a, int64_t b, Scale scale);
// These rows of this rank, one a sample [B, D], with those of all ranks [N, D], each without its own. On one
// rank rows and columns are the same tensor.
FOIL_API Pairs within(const LossInput& input, const Tensor& rows, Scale scale);
// All views of this rank, one after another [V B, D], with those of all ranks [V N, D]. Left out is a row's
// own sample in every view, or the row itself alone.
enum class LeftOut { sample, itself };
FOIL_API Pairs among(const LossInput& input, Scale scale, LeftOut left_out = LeftOut::sample);
// Of log-sum-exps per column [N] over this rank's rows: those over the rows of all ranks, of this rank's
// columns [B]. The identity on one rank.
FOIL_API Tensor all_rows(const LossInput& input, const Tensor& column_lse);

}  // namespace foil::contrast
