// SPDX-License-Identifier: BSD-3-Clause
// MW: the area under the ROC curve of a retriever, by the Mann-Whitney statistic: how often does a positive
// score above a negative, be it one of another query? After "Optimizing what matters: AUC-driven learning for
// robust neural retrieval", arXiv:2510.00137.
//
//   s(q,d) = <q, d>,  p_i = s(q_i, d_i)
//   L      = mean over pairs of a positive p and a negative n of cost(n - p)
//   cost   = softplus(x / temperature) ("logistic"), max(0, margin + x) ("hinge") or its square
//
// Views: queries, their documents, and any number of hard negatives that each query brings. z is unit norm.
// The pairs (pairing): "all", every positive with the in-batch negatives s(q_i, d_j), j != i, and the hard
// negatives of every query, so that one threshold is learned for all; "per_query", with those of its own
// query only: with the logistic cost RankNet (Burges et al., 2005), which may rank well without a common
// scale; "explicit_all", with all hard negatives and no in-batch ones; "explicit_cross", with those of other
// queries. `auc` is reported: of every positive with every negative of the batch, or in "explicit_..." every
// hard one; ties count 1/2, where scores within 1e-11 are ties. Where the loss has the same pairs, logistic
// L / log 2 >= 1 - auc at any temperature. The squared hinge is the surrogate of AUC-margin losses.
//
// Pairs are N^3 in "all", but the cost of a negative against all positives is a function of one number: it is
// interpolated (score_cells.h), exact for the hinges and to 1e-14 of itself for the logistic cost, so that
// time grows with the N^2 scores. Scores are taken in blocks that are forgotten again, derivatives in the
// same pass; memory is linear in N. All is in fp64. Every rank takes the negatives of its queries against the
// positives of all.
//
//   [[loss]]
//   name = "mw"
//   temperature = 0.05
#include "score_cells.h"

#include <foil/plugin.h>

#include <torch/csrc/autograd/custom_function.h>

#include <optional>

namespace {

using foil::LossInput;
using foil::Tensor;

enum class Pairing { all, per_query, explicit_all, explicit_cross };
enum class Surrogate { logistic, hinge, squared_hinge };

struct MWOptions {
  double temperature = 0.05;
  Pairing pairing = Pairing::all;
  Surrogate surrogate = Surrogate::logistic;
  double margin = 0.2;
  void describe(foil::Fields& f) {
    f.number("temperature", temperature, "divides the differences of scores in the logistic cost",
             foil::above(0));
    f.choice("pairing", pairing,
             {{"all", Pairing::all},
              {"per_query", Pairing::per_query},
              {"explicit_all", Pairing::explicit_all},
              {"explicit_cross", Pairing::explicit_cross}},
             "which negatives a positive is compared with");
    f.choice("surrogate", surrogate,
             {{"logistic", Surrogate::logistic},
              {"hinge", Surrogate::hinge},
              {"squared_hinge", Surrogate::squared_hinge}},
             "the cost of a difference");
    f.number("margin", margin, "by which a positive must lead, in the hinges", foil::between(0.01, 2));
  }
  bool in_batch() const { return pairing == Pairing::all || pairing == Pairing::per_query; }

  // Of x = negative - positive, entry by entry; and its derivative.
  Tensor cost(const Tensor& x) const {
    if (surrogate == Surrogate::logistic) return foil::softplus(x / temperature);
    const Tensor lag = (x + margin).clamp_min(0);
    return surrogate == Surrogate::hinge ? lag : lag.square();
  }
  Tensor slope(const Tensor& x) const {
    if (surrogate == Surrogate::logistic) return torch::sigmoid(x / temperature) / temperature;
    const Tensor lag = x + margin;
    return surrogate == Surrogate::hinge ? (lag > 0).to(x.scalar_type()) : 2 * lag.clamp_min(0);
  }
};

// The pairs of one rank's negatives. All in fp64.
struct Scored {
  Tensor query;     // [B, D], this rank's
  Tensor document;  // [N, D], of all ranks
  Tensor hard;      // [B, H, D], this rank's
  Tensor positive;  // [N], the scores of all ranks
  int64_t offset = 0;
};

// The cost of all pairs of `scored`, how many of them the positive wins, and the derivatives, in one pass
// over blocks of queries.
class PairSums {
 public:
  PairSums(const MWOptions& options, Scored scored)
      : sum(torch::zeros({}, scored.positive.options())),
        won(torch::zeros_like(sum)),
        by(Scored{torch::zeros_like(scored.query), torch::zeros_like(scored.document),
                  torch::zeros_like(scored.hard), torch::zeros_like(scored.positive)}),
        options_(options),
        in_(std::move(scored)),
        sorted_(std::get<0>(level(in_.positive).sort())) {
    const int64_t queries = in_.query.size(0);
    if (queries == 0) return;
    if (options_.pairing == Pairing::all) make_cells();
    const int64_t columns = in_.hard.size(1) + (options_.in_batch() ? in_.positive.size(0) : 0);
    const int64_t rows = std::max<int64_t>(1, kBlock / std::max<int64_t>(1, columns));
    for (int64_t first = 0; first < queries; first += rows) add(first, std::min(first + rows, queries));
    if (cells_) meet(cells_->points(), cells_->weights());
  }

  Tensor sum, won;  // []; won: of every negative with every positive, whatever the pairing
  Scored by;        // the derivatives of sum

 private:
  static constexpr int64_t kBlock = 1 << 17;  // numbers that are held at once

  // Scores that are compared: of two ways to add up the same products the last bits differ.
  static Tensor level(const Tensor& score) { return (score * 0x1p36).round(); }

  // Where there are fewer points than negatives: for the logistic cost cells of half a temperature, for the
  // hinges cells between their kinks.
  void make_cells() {
    const double width = options_.temperature / 2, count = static_cast<double>(in_.query.size(0));
    const double negatives = count * static_cast<double>(in_.positive.size(0) - 1 + in_.hard.size(1));
    const double bound =
        1.000001 * largest_norm(in_.query) * std::max(largest_norm(in_.document), largest_norm(in_.hard));
    const bool smooth = options_.surrogate == Surrogate::logistic;
    const int64_t nodes = smooth ? 11 : 3;
    const double cells =
        smooth ? std::max(2.0, std::ceil(2 * bound / width)) : static_cast<double>(in_.positive.size(0) + 1);
    if (negatives <= cells * static_cast<double>(nodes)) return;
    Tensor edges = torch::linspace(-bound, bound, static_cast<int64_t>(cells) + 1, in_.query.options());
    if (!smooth)
      edges.slice(0, 1, -1).copy_(std::get<0>((in_.positive - options_.margin).clamp(-bound, bound).sort()));
    cells_.emplace(edges, nodes);
    cells_->interpolate(meet(cells_->points(), {}));
  }
  static double largest_norm(const Tensor& rows) {
    return rows.numel() == 0 ? 0 : rows.norm(2, -1).max().item<double>();
  }

  // The queries [first, last) of this rank.
  void add(int64_t first, int64_t last) {
    const Tensor q = in_.query.slice(0, first, last), hard = in_.hard.slice(0, first, last);
    Tensor n = (hard * q.unsqueeze(1)).sum(2);                                            // [b, H]
    if (options_.in_batch()) n = torch::cat({torch::matmul(q, in_.document.t()), n}, 1);  // [b, N + H]
    const Tensor slope = slopes(n, first + in_.offset);
    const Tensor of_hard = slope.slice(1, slope.size(1) - hard.size(1)).unsqueeze(2);  // [b, H, 1]
    by.query.slice(0, first, last).add_((of_hard * hard).sum(1));
    by.hard.slice(0, first, last).add_(of_hard * q.unsqueeze(1));
    if (!options_.in_batch()) return;
    const Tensor of_batch = slope.slice(1, 0, in_.document.size(0));  // [b, N]
    by.query.slice(0, first, last).add_(torch::matmul(of_batch, in_.document));
    by.document.addmm_(of_batch.t(), q);
  }

  // Counts the negatives n of the queries from `first` on in; returns the derivative by them: as n.
  Tensor slopes(const Tensor& n, int64_t first) {
    const Tensor query = torch::arange(first, first + n.size(0), n.options().dtype(torch::kLong));
    if (!options_.in_batch()) {
      won += wins(n).sum();
      const bool cross = options_.pairing == Pairing::explicit_cross;
      const Tensor of = query.unsqueeze(1).expand_as(n).flatten();
      return meet(n.flatten(), torch::ones_like(n).flatten(), cross ? of : Tensor()).view_as(n);
    }
    const Tensor own = torch::arange(n.size(1), query.options()) == query.unsqueeze(1);  // the positives
    won += wins(n).masked_fill_(own, 0).sum();
    if (options_.pairing == Pairing::per_query) {
      const Tensor x = n - in_.positive.index_select(0, query).unsqueeze(1);
      const Tensor slope = options_.slope(x).masked_fill_(own, 0);
      sum += options_.cost(x).masked_fill_(own, 0).sum();
      by.positive.index_add_(0, query, slope.sum(1), -1);
      return slope;
    }
    if (cells_) return cells_->enter(n, own);
    const Tensor counted = own.logical_not().to(n.scalar_type()).flatten();
    return meet(n.flatten(), counted).view_as(n).masked_fill_(own, 0);
  }

  // How many positives are above each negative, ties 1/2.
  Tensor wins(const Tensor& n) const {
    const Tensor at = level(n), below = torch::searchsorted(sorted_, at),
                 upto = torch::searchsorted(sorted_, at, false, /*right=*/true);
    return static_cast<double>(sorted_.size(0)) - (upto + below).to(n.scalar_type()) / 2;
  }

  // Adds the pairs of x [n] with every positive, but for that of `query` [n] where given, `weight` [n] times
  // each (undefined: adds nothing); returns the derivative by x of each without its weight: [n].
  Tensor meet(const Tensor& x, const Tensor& weight, const Tensor& query = {}) {
    const int64_t rows = std::max<int64_t>(1, kBlock / in_.positive.size(0));
    const Tensor column = torch::arange(in_.positive.size(0), x.options().dtype(torch::kLong));
    std::vector<Tensor> each;
    for (int64_t first = 0; first < x.size(0); first += rows) {
      const int64_t last = std::min(first + rows, x.size(0));
      const Tensor difference = x.slice(0, first, last).unsqueeze(1) - in_.positive;  // [b, N]
      Tensor slope = options_.slope(difference);
      Tensor own;
      if (query.defined()) {
        own = query.slice(0, first, last).unsqueeze(1) == column;
        slope.masked_fill_(own, 0);
      }
      each.push_back(slope.sum(1));
      if (!weight.defined()) continue;
      Tensor cost = options_.cost(difference);
      if (own.defined()) cost.masked_fill_(own, 0);
      const Tensor w = weight.slice(0, first, last);
      sum += torch::dot(w, cost.sum(1));
      by.positive.sub_(torch::matmul(w, slope));
    }
    return each.empty() ? torch::zeros_like(x) : torch::cat(each);
  }

  MWOptions options_;
  Scored in_;
  Tensor sorted_;  // [N]
  std::optional<foil::ScoreCells> cells_;
};

// PairSums with gradient: {the cost, how many are won}, both [].
class PairCost : public torch::autograd::Function<PairCost> {
 public:
  static std::vector<Tensor> forward(torch::autograd::AutogradContext* context, const MWOptions& options,
                                     int64_t offset, const Tensor& query, const Tensor& document,
                                     const Tensor& hard, const Tensor& positive) {
    const PairSums sums(options, {query, document, hard, positive, offset});
    context->save_for_backward({sums.by.query, sums.by.document, sums.by.hard, sums.by.positive});
    context->mark_non_differentiable({sums.won});
    return {sums.sum, sums.won};
  }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext* context,
                                      const std::vector<Tensor>& gradient) {
    std::vector<Tensor> all{Tensor(), Tensor()};  // of options and offset
    for (const Tensor& by : context->get_saved_variables()) all.push_back(gradient[0] * by);
    return all;
  }
};

class MW final : public foil::Loss {
 public:
  using Options = MWOptions;
  explicit MW(const Options& options) : options_(options) {}

  foil::Needs needs() const override {
    return {.min_views = options_.in_batch() ? 2 : 3, .max_views = foil::any_number};
  }

  Tensor forward(const LossInput& input) override {
    const Tensor query = input.z[0].to(torch::kDouble), own = input.z[1].to(torch::kDouble);  // [B, D]
    const Tensor positive = input.gather((query * own).sum(1));                               // [N]
    const Tensor document = options_.in_batch() ? input.gather(own) : own;  // [N, D], else of no matter
    Tensor hard = torch::zeros({query.size(0), 0, query.size(1)}, query.options());
    if (input.z.size() > 2)
      hard = torch::stack(std::vector<Tensor>(input.z.begin() + 2, input.z.end()), 1).to(torch::kDouble);
    const std::vector<Tensor> all =
        PairCost::apply(options_, input.offset(), query, document, hard, positive);
    const double n = static_cast<double>(input.global_batch()), h = static_cast<double>(hard.size(1));
    const double pairs = pairs_of(n, h), compared = n * n * (h + (options_.in_batch() ? n - 1 : 0));
    const double ranks = static_cast<double>(input.ranks->world_size()),
                 share = pairs > 0 ? ranks / pairs : 0;
    if (compared > 0) input.report("auc", all[1] * (ranks / compared));
    return (all[0] * share).to(input.z[0].scalar_type());
  }

 private:
  // Over all ranks, of n queries with `hard` negatives each.
  double pairs_of(double n, double hard) const {
    switch (options_.pairing) {
      case Pairing::all:
        return n * n * (n - 1 + hard);
      case Pairing::per_query:
        return n * (n - 1 + hard);
      case Pairing::explicit_all:
        return n * n * hard;
      case Pairing::explicit_cross:
        return n * (n - 1) * hard;
    }
    return 0;
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<MW>("mw", {.samples = {"temperature = 1", "pairing = \"explicit_all\"\ntemperature = 0.3"}});
}
