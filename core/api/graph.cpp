// SPDX-License-Identifier: BSD-3-Clause
// Products with the sparse matrices of a graph. LibTorch multiplies; what it lacks is a gradient through a
// matrix in CSR layout that does not make the matrix dense or sort it anew for every layer.
#include "api/no_warnings.h"

#include <foil/graph.h>

#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace foil {
namespace {

// The matrix [rows, columns] with `values` at (row, column); those of one place add up.
Tensor csr_matrix(const Tensor& row, const Tensor& column, const Tensor& values, int64_t rows,
                  int64_t columns) {
  const NoWarnings silent;
  const Tensor entries = torch::sparse_coo_tensor(torch::stack({row, column}), values, {rows, columns});
  return entries.coalesce().to_sparse_csr();
}

Tensor product(const Tensor& matrix, const Tensor& x) {
  if (matrix._nnz() == 0) return torch::zeros({matrix.size(0), x.size(1)}, x.options());
  return at::mm(matrix, x.contiguous());
}

struct Matrices {
  Tensor forward, backward;  // CSR, transposes of each other
};

class Product : public torch::autograd::Function<Product> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Matrices& matrices,
                        const Tensor& x) {
    context->saved_data["transpose"] = matrices.backward;
    return product(matrices.forward, x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const Tensor transpose = context->saved_data["transpose"].toTensor();
    if (!gradients[0].defined()) return {Tensor(), Tensor()};
    return {Tensor(), product(transpose, gradients[0])};
  }
};

void require_nodes(const Tensor& ends, int64_t nodes) {
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
  const Tensor given =
      weights_of(edges, edges.weight.defined() ? edges.weight.options()
                                               : torch::device(ends.device()).dtype(torch::kFloat));
  const Tensor proper = ends[0] != ends[1];
  const Tensor kept = proper.nonzero().squeeze(1), loop = torch::arange(nodes, ends.options());
  const Tensor all = torch::cat({ends.index_select(1, kept), torch::stack({loop, loop})}, 1);
  const Tensor weight = torch::cat({given.index_select(0, kept), torch::ones({nodes}, given.options())});
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
  return Product::apply(Matrices{forward_, backward_}, x);
}

Tensor node_linear(const Tensor& x, const Tensor& weight) {
  if (x.layout() != at::kSparseCsr) return torch::linear(x, weight);
  Matrices matrices{x, {}};
  {
    const torch::NoGradGuard no_grad;
    const Tensor entries = x.to_sparse();  // COO, sorted by rows
    const Tensor indices = entries._indices();
    matrices.backward = csr_matrix(indices[1], indices[0], entries._values(), x.size(1), x.size(0));
  }
  return Product::apply(matrices, weight.t());
}

}  // namespace foil
