// SPDX-License-Identifier: BSD-3-Clause
// What the augmentations of graphs share: the check that a view is one, and rows of features of either
// layout.
#pragma once

#include <foil/plugin.h>

#include <torch/types.h>

namespace foil::augment {

// Throws Error (Exit::usage) unless the view is a graph with features [nodes, F] of floats and edges.
inline void require_graph(const char* augmentation, const View& view) {
  if (view.data.defined() && view.data.dim() == 2 && view.data.is_floating_point() &&
      view.edges.ends.defined())
    return;
  const Tensor& x = view.data;
  fail(Exit::usage, augmentation, " got ", name_of(view.kind), " ",
       x.defined() ? c10::toString(x.scalar_type()) : "nothing", " ",
       x.defined() ? x.sizes() : at::IntArrayRef(), view.edges.ends.defined() ? "" : " without edges",
       ", allowed: a graph, features [nodes, F] of floats with edges.");
}

inline Shape require_nodes(const char* augmentation, const Shape& before) {
  if (before.kind != Kind::graph)
    fail(Exit::usage, augmentation, ": the data is ", name_of(before.kind), ", allowed: a graph.");
  return before;
}

// The graph of a data set. Throws Error (Exit::usage) for a data set without one.
inline View graph_of(const char* augmentation, const Dataset& data) {
  for (View& view : data.read(Split::train, at::zeros({1}, at::kLong))) {
    if (view.kind == Kind::graph) return view;
  }
  fail(Exit::usage, augmentation, ": the data set has no graph, allowed: one whose nodes are the samples.");
}

// The ids of the edges; their places where they have none: int64 [E] on the CPU.
inline Tensor ids_of(const Edges& edges) {
  return edges.id.defined() ? edges.id : at::arange(edges.ends.size(1), at::kLong);
}

// The nodes in an order drawn at random that follows them: int64 [nodes] on the CPU. `draw`: which of a
// node's draws it is.
inline Tensor shuffled_nodes(const AugmentContext& context, int64_t draw) {
  const Tensor place = at::empty({context.index.size(0)}, at::kLong);
  for (int64_t b = 0; b < context.index.size(0); ++b) {
    Draws draws = context.draws(b);
    uint64_t bits = 0;
    for (int64_t i = 0; i < 2 * (draw + 1); ++i) bits = bits << 32 | draws.bits();
    place.mutable_data_ptr<int64_t>()[b] = static_cast<int64_t>(bits >> 1);
  }
  return place.argsort();
}

// Features x [nodes, F], dense or in CSR layout, of which row i is row source[i] of x, and 0 where source[i]
// is -1. `source`: int64 [nodes] on the CPU.
inline Tensor rows_from(const Tensor& x, const Tensor& source) {
  const Tensor from = source.to(x.device()), none = from < 0;
  if (x.layout() != at::kSparseCsr)
    return x.index_select(0, from.clamp_min(0)).masked_fill_(none.unsqueeze(1), 0);
  const Tensor first = x.crow_indices().to(at::kLong);
  const Tensor length = first.diff().index_select(0, from.clamp_min(0)).masked_fill_(none, 0);  // [nodes]
  const Tensor end = length.cumsum(0);
  // Entry e of the result is entry `entry[e]` of x: as far into its row as into that of x.
  const Tensor shift = first.index_select(0, from.clamp_min(0)) - (end - length);
  const int64_t entries = end.numel() == 0 ? 0 : end[-1].item<int64_t>();
  const Tensor entry = at::arange(entries, end.options()) + shift.repeat_interleave(length);
  return at::_sparse_csr_tensor_unsafe(
      at::cat({end.new_zeros({1}), end}), x.col_indices().to(at::kLong).index_select(0, entry),
      x.values().index_select(0, entry), {source.size(0), x.size(1)}, x.options());
}

// The view with `columns` [nodes, n] behind what was handed on before.
inline View with_params(const View& view, const Tensor& columns) {
  View out = view;
  out.params = view.params.defined() ? at::cat({view.params, columns.to(view.params.options())}, 1) : columns;
  return out;
}

// Features x [nodes, F] without the columns that `dropped` (bool [F] on the CPU) says, in the layout of x.
inline Tensor without_columns(const Tensor& x, const Tensor& dropped) {
  const Tensor none = dropped.to(x.device());
  if (x.layout() != at::kSparseCsr) return x.masked_fill(none.unsqueeze(0), 0);
  const Tensor values = x.values().masked_fill(none.index_select(0, x.col_indices()), 0);
  return at::_sparse_csr_tensor_unsafe(x.crow_indices(), x.col_indices(), values, x.sizes(), x.options());
}

}  // namespace foil::augment
