// SPDX-License-Identifier: BSD-3-Clause
// Products with the sparse matrices of a graph. LibTorch multiplies; what it lacks is a gradient through a
// matrix in CSR layout that neither makes the matrix dense nor sorts it anew for every layer.
#include "api/no_warnings.h"

#include <foil/graph.h>

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace foil {
namespace {

// The matrix [rows, columns] with `values` at (row, column), in their order within a row; those of one place
// stay apart, and add up in a product.
Tensor csr_matrix(const Tensor& row, const Tensor& column, const Tensor& values, int64_t rows,
                  int64_t columns) {
  const NoWarnings silent;
  const Tensor order = row.argsort(/*stable=*/true, 0, /*descending=*/false);
  const Tensor first = torch::cat({row.new_zeros({1}), torch::bincount(row, {}, rows).cumsum(0)});
  return at::_sparse_csr_tensor_unsafe(first, column.index_select(0, order), values.index_select(0, order),
                                       {rows, columns}, values.options().layout(at::kSparseCsr));
}

Tensor transposed(const Tensor& matrix) {
  const Tensor first = matrix.crow_indices().to(at::kLong), column = matrix.col_indices().to(at::kLong);
  const Tensor row = torch::arange(matrix.size(0), first.options()).repeat_interleave(first.diff());
  return csr_matrix(column, row, matrix.values(), matrix.size(1), matrix.size(0));
}

// In the type of the matrix, also under autocast: LibTorch has no sparse product in half precision.
Tensor product(const Tensor& matrix, const Tensor& x) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const Tensor dense = x.to(matrix.scalar_type()).contiguous();
  if (matrix.values().numel() == 0) return torch::zeros({matrix.size(0), x.size(1)}, dense.options());
  return at::mm(matrix, dense);
}

// A constant matrix in CSR layout. Its transpose, where undefined, is made when a gradient asks for it.
struct Matrix {
  Tensor itself, transpose;
};

class Product : public torch::autograd::Function<Product> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Matrix& matrix, const Tensor& x) {
    const bool known = matrix.transpose.defined();
    context->saved_data["matrix"] = known ? matrix.transpose : matrix.itself;
    context->saved_data["transposed"] = known;
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return product(matrix.itself, x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    if (!gradients[0].defined()) return {Tensor(), Tensor()};
    Tensor matrix = context->saved_data["matrix"].toTensor();
    if (!context->saved_data["transposed"].toBool()) matrix = transposed(matrix);
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {Tensor(), product(matrix, gradients[0]).to(type)};
  }
};

void require_nodes(const Tensor& ends, int64_t nodes) {
  if (!ends.defined()) fail(Exit::failure, "there are no edges, allowed: a graph, with edges int64 [2, E]");
  if (ends.dim() != 2 || ends.size(0) != 2 || ends.scalar_type() != at::kLong)
    fail(Exit::failure, "edges are ", ends.dtype(), " ", ends.sizes(), ", allowed: int64 [2, E]");
  if (ends.numel() == 0) return;
  const int64_t low = ends.min().item<int64_t>(), high = ends.max().item<int64_t>();
  if (low < 0 || high >= nodes)
    fail(Exit::failure, "an edge ends in node ", low < 0 ? low : high, ", allowed: 0 to ", nodes - 1);
}

Tensor weights_of(const Edges& edges, const at::TensorOptions& options) {
  return edges.weight.defined() ? edges.weight.to(options) : torch::ones({edges.ends.size(1)}, options);
}

}  // namespace

Edges gcn_norm(const Edges& edges, int64_t nodes) {
  require_nodes(edges.ends, nodes);
  const Tensor& ends = edges.ends;
  const at::ScalarType type = edges.weight.defined() ? edges.weight.scalar_type() : at::kFloat;
  const Tensor given = weights_of(edges, torch::device(ends.device()).dtype(type));
  const Tensor proper = (ends[0] != ends[1]).nonzero().squeeze(1),
               loop = torch::arange(nodes, ends.options());
  const Tensor all = torch::cat({ends.index_select(1, proper), torch::stack({loop, loop})}, 1);
  const Tensor weight = torch::cat({given.index_select(0, proper), torch::ones({nodes}, given.options())});
  const Tensor degree = torch::zeros({nodes}, weight.options()).index_add(0, all[1], weight);
  const Tensor scale = torch::where(degree > 0, degree.rsqrt(), torch::zeros_like(degree));
  return {all, scale.index_select(0, all[0]) * weight * scale.index_select(0, all[1]), {}};
}

Propagation::Propagation(const Edges& edges, int64_t nodes, at::ScalarType type) {
  require_nodes(edges.ends, nodes);
  const torch::NoGradGuard no_grad;
  const Tensor weight = weights_of(edges, torch::device(edges.ends.device()).dtype(type));
  forward_ = csr_matrix(edges.ends[1], edges.ends[0], weight, nodes, nodes);
  backward_ = csr_matrix(edges.ends[0], edges.ends[1], weight, nodes, nodes);
}

Tensor Propagation::operator()(const Tensor& x) const {
  if (x.dim() != 2 || x.size(0) != forward_.size(0))
    fail(Exit::failure, "propagation over ", forward_.size(0), " nodes got ", x.sizes(), ", allowed: [",
         forward_.size(0), ", F]");
  return Product::apply(Matrix{forward_, backward_}, x);
}

Tensor node_linear(const Tensor& x, const Tensor& weight) {
  if (x.layout() != at::kSparseCsr) return torch::linear(x, weight);
  return Product::apply(Matrix{x, {}}, weight.t());
}

}  // namespace foil
