// SPDX-License-Identifier: BSD-3-Clause
// How much the nodes of a graph influence each other, as SCGC has it, and what an anchor's neighbours add up
// to under it. Sparse throughout: nothing here is nodes x nodes.
#pragma once

#include <foil/plugin.h>

#include <c10/util/Exception.h>
#include <torch/autograd.h>

#include <cmath>
#include <functional>
#include <limits>

namespace foil {

// Kulatilleke et al., "SCGC: self-supervised contrastive graph clustering", arXiv:2204.12656, section 3.3:
// with A symmetric by the larger of both directions, B = A + I with rows that sum to 1,
//   "cumulative"  G = B + B^2 + ... + B^order,   "power"  G = B^order
//   "given"       G_ij = the weight of the edge from j to i, as an augmentation made it
struct InfluenceOptions {
  enum class Kind { cumulative, power, given };
  Kind influence = Kind::cumulative;
  int64_t order = 1;
  void describe(Fields& f) {
    f.choice("influence", influence,
             {{"cumulative", Kind::cumulative}, {"power", Kind::power}, {"given", Kind::given}},
             "of nodes on each other: the sum of powers of the graph's matrix, the last one, or its edges");
    f.integer("order", order, "how many edges an influence goes", at_least(1));
  }
};

// Those of this rank's anchors that are not 0, E of them.
struct Influences {
  Tensor row;         // int64 [E]: the anchor, of this rank's rows; ascending
  Tensor column;      // int64 [E]: the node
  Tensor log_weight;  // [E], in the type of z
  Tensor own;         // bool [E]: of the anchor on itself
};

class Influence {
 public:
  explicit Influence(InfluenceOptions options) : options_(options) {
    if (options_.order > 100) refuse("order", options_.order, "at most 100");
  }

  // Of the graph of view 1. The matrix of a graph is kept until another one comes.
  Influences operator()(const LossInput& input) {
    const Edges& edges = input.views.at(0).edges;
    if (!is_made_of(edges)) make(edges, input.views[0].size());
    const Tensor row = matrix_.indices()[0];
    const int64_t first = input.offset();
    const int64_t from = (row < first).sum().item<int64_t>(),
                  to = (row < first + input.index.size(0)).sum().item<int64_t>();
    const auto some = [&](const Tensor& x) { return x.slice(0, from, to); };
    const Tensor own = some(row), column = some(matrix_.indices()[1]);
    return {own - first, column, some(matrix_.values()).log().to(input.z[0].scalar_type()), own == column};
  }

  // [nodes, nodes], sparse in COO layout, coalesced, fp64: for tests.
  const Tensor& matrix() const { return matrix_; }

 private:
  static bool same(const Tensor& a, const Tensor& b) {
    return a.defined() == b.defined() &&
           (!a.defined() || (a.device() == b.device() && a.dtype() == b.dtype() && torch::equal(a, b)));
  }
  bool is_made_of(const Edges& edges) const {
    return matrix_.defined() && same(ends_, edges.ends) && same(weight_, edges.weight);
  }

  // LibTorch says once a process that a layout inside its sparse product is in beta.
  class Silent final : public c10::WarningHandler {
   public:
    void process(const c10::Warning&) override {}
  };

  void make(const Edges& edges, int64_t nodes) {
    const torch::NoGradGuard no_gradient;
    Silent silent;
    const c10::WarningUtils::WarningHandlerGuard guard(&silent);
    ends_ = edges.ends;
    weight_ = edges.weight;
    const auto options = torch::device(edges.ends.device()).dtype(torch::kDouble);
    const Tensor weight =
        weight_.defined() ? weight_.to(options) : torch::ones({edges.ends.size(1)}, options);
    if (options_.influence == InfluenceOptions::Kind::given) {
      matrix_ = sparse(edges.ends.flip(0), weight, nodes);
      return keep_positive();
    }
    const Tensor one = normalised(larger_of_both(sparse(edges.ends, weight, nodes)), nodes);
    Tensor power = matrix_ = one;
    for (int64_t r = 1; r < options_.order; ++r) {
      power = at::_sparse_sparse_matmul(power, one).coalesce();
      matrix_ = options_.influence == InfluenceOptions::Kind::power ? power : (matrix_ + power).coalesce();
    }
    keep_positive();
  }
  // An influence of 0 is none.
  void keep_positive() {
    const Tensor kept = (matrix_.values() > 0).nonzero().squeeze(1);
    matrix_ = sparse(matrix_.indices().index_select(1, kept), matrix_.values().index_select(0, kept),
                     matrix_.size(0));
  }
  // Entries of one place add up.
  static Tensor sparse(const Tensor& places, const Tensor& values, int64_t nodes) {
    return torch::sparse_coo_tensor(places, values, {nodes, nodes}).coalesce();
  }
  static Tensor larger_of_both(const Tensor& a) {
    const Tensor row = a.indices()[0], column = a.indices()[1];
    const int64_t nodes = a.size(0);
    const auto [place, which, count] =
        at::_unique2(torch::cat({row * nodes + column, column * nodes + row}), true, true);
    const Tensor most = torch::zeros({place.size(0)}, a.values().options())
                            .scatter_reduce(0, which, a.values().repeat({2}), "amax");
    return sparse(torch::stack({place.div(nodes, "floor"), place.remainder(nodes)}), most, nodes);
  }
  // a + I with rows that sum to 1.
  static Tensor normalised(const Tensor& a, int64_t nodes) {
    const Tensor node = torch::arange(nodes, a.indices().options());
    const Tensor loops =
        sparse(torch::stack({node, node}), torch::ones({nodes}, a.values().options()), nodes);
    const Tensor all = (a + loops).coalesce(), row = all.indices()[0];
    const Tensor sum = torch::zeros({nodes}, all.values().options()).index_add(0, row, all.values());
    return sparse(all.indices(), all.values() / sum.index_select(0, row), nodes);
  }

  InfluenceOptions options_;
  Tensor ends_, weight_;  // what the matrix is made of
  Tensor matrix_;
};

// <a_row, b_column> of pairs: [E], from rows a [B, D] and b [N, D]. Pairs are taken a block at a time, so
// that their embeddings never lie side by side.
class PairProducts : public torch::autograd::Function<PairProducts> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& a, const Tensor& b,
                        const Tensor& row, const Tensor& column) {
    context->save_for_backward({a, b, row, column});
    Tensor all = torch::empty({row.size(0)}, a.options());
    each_block(row, column, a.size(1), [&](int64_t from, const Tensor& r, const Tensor& c) {
      all.slice(0, from, from + r.size(0)).copy_((a.index_select(0, r) * b.index_select(0, c)).sum(1));
    });
    return all;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradient) {
    const auto saved = context->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1];
    Tensor by_a = torch::zeros_like(a), by_b = torch::zeros_like(b);
    each_block(saved[2], saved[3], a.size(1), [&](int64_t from, const Tensor& r, const Tensor& c) {
      const Tensor g = gradient[0].slice(0, from, from + r.size(0)).unsqueeze(1);
      by_a.index_add_(0, r, g * b.index_select(0, c));
      by_b.index_add_(0, c, g * a.index_select(0, r));
    });
    return {by_a, by_b, Tensor(), Tensor()};
  }

 private:
  static void each_block(const Tensor& row, const Tensor& column, int64_t width,
                         const std::function<void(int64_t, const Tensor&, const Tensor&)>& act) {
    const int64_t step = std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(1, width));
    for (int64_t from = 0; from < row.size(0); from += step) {
      const int64_t to = std::min(row.size(0), from + step);
      act(from, row.slice(0, from, to), column.slice(0, from, to));
    }
  }
};

// log sum_j G_ij exp(scale cos_ij) of this rank's anchors, cos_ii taken as 0: [B], from unit rows of this
// rank and of all. -inf, with gradient 0, where nothing influences an anchor.
inline Tensor log_attraction(const Tensor& rows, const Tensor& all, const Influences& g, double scale) {
  const Tensor cosine = PairProducts::apply(rows, all, g.row, g.column).masked_fill(g.own, 0);
  const Tensor s = scale * cosine + g.log_weight;  // [E]
  const double lowest = -std::numeric_limits<double>::infinity();
  const Tensor top = torch::full({rows.size(0)}, lowest, rows.options().requires_grad(false))
                         .scatter_reduce(0, g.row, s.detach(), "amax");
  const Tensor shift = top.masked_fill(top == lowest, 0);
  const Tensor sum = torch::zeros_like(shift).index_add(0, g.row, (s - shift.index_select(0, g.row)).exp());
  const Tensor none = top == lowest;
  return (sum.masked_fill(none, 1).log() + shift).masked_fill(none, lowest);
}

// log(exp(x) + guard), guard >= 0.
inline Tensor guarded_log(const Tensor& x, double guard) {
  return guard > 0 ? torch::logaddexp(x, torch::full_like(x, std::log(guard))) : x;
}

}  // namespace foil
