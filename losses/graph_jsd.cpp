// SPDX-License-Identifier: BSD-3-Clause
// Graph JSD: scores of positive pairs up, of negative ones down, by the Jensen-Shannon estimate of mutual
// information: DGI, MVGRL and the contrast of nodes.
// Velickovic et al., "Deep graph infomax", ICLR 2019, equation 1; Hassani and Khasahmadi, "Contrastive
// multi-view representation learning on graphs", ICML 2020, equation 4.
//
//   d(a,b)   = <a, b>
//   L        = mean over negatives of (softplus(d) - log 2) - mean over positives of (log 2 - softplus(-d))
//
// contrast says which pairs there are, from z as the head gives it (DGI's value is L + 2 log 2):
//
//   "dgi"    views: the graph, a corrupted one (the augmentation shuffle_features on view 1). The anchor is
//            the summary g = W sigmoid(mean over nodes of z_1) + b; positives are the nodes of view 1,
//            negatives those of view 2. W and b are parameters (projection = false: g without them), which
//            makes <g, z> the bilinear discriminator of the paper.
//   "mvgrl"  views: two of the graph, then each of them corrupted. The summary of view 1 meets the nodes of
//            view 2 and of its corrupted form, and the other way round; the mean of both.
//   "nodes"  two views, no summary: a node meets its own in the other view (positives = "label": all of its
//            class too) against all others there (candidates: also those of its own view), in both
//            directions.
//
// estimator = "debiased" takes the positives among the negatives off, after Chuang et al. (2020), "hard" also
// weighs a negative by exp(concentration d) among those of its anchor, after Robinson et al. (2021):
//
//   mean over negatives of x   becomes   ( weighted mean over negatives of x - positive_prior mean over
//                                          positives of x ) / (1 - positive_prior),   x = softplus(d) - log 2
//
// "..._published" is PyGCL's code: the term of the positives has the other sign, pairs that are neither leave
// constants, and hard negatives weigh less: exp(-2 concentration d / largest |d|). The scores of nodes are
// N x N; they are held a block at a time, and the derivatives are taken with them.
//
//   [data]
//   batch_size = 0
//   [[augment]]
//   name = "shuffle_features"
//   views = [1]
//   [[loss]]
//   name = "graph_jsd"
#include "jensen_shannon.h"
#include "row_blocks.h"
#include "view_contrast.h"

#include <foil/plugin.h>

#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/linear.h>

namespace {

using foil::JensenShannon;
using foil::LossInput;
using foil::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Which nodes of all a block of local ones meets, and how.
struct NodePairs {
  JensenShannon measure;
  Tensor label, labels;  // int64 [B] and [N]; undefined: the positive of a node is itself
  int64_t offset = 0;    // of the first local node
  int64_t nodes = 0;     // N
  bool own_view = false, itself = false;
  Tensor largest = {};  // []

  // {positive, negative} of the local nodes [from, to): bool [to - from, columns].
  std::pair<Tensor, Tensor> masks(int64_t from, int64_t to, at::Device device) const {
    const Tensor all = torch::arange(nodes, torch::device(device));
    const Tensor own = all == all.slice(0, offset + from, offset + to).unsqueeze(1);  // [b, N]
    Tensor alike = own;
    if (label.defined()) alike = own.logical_or(foil::same_class(label.slice(0, from, to), labels));
    if (!own_view) return {alike, alike.logical_not()};
    const Tensor others = alike.logical_not();
    return {torch::cat({alike, alike.logical_and(own.logical_not())}, 1),
            torch::cat({others, itself ? others.logical_or(own) : others}, 1)};
  }
  // JensenShannon::sums of the local nodes [from, to), `rows` of the anchors.
  Tensor sums(const Tensor& rows, const Tensor& candidate, int64_t from, int64_t to) const {
    const auto [positive, negative] = masks(from, to, rows.device());
    return measure.sums(torch::matmul(rows, candidate.t()), positive, negative, largest);
  }
  // The largest |score| of a negative, of all ranks: [].
  Tensor largest_score(const LossInput& input, const Tensor& anchor, const Tensor& candidate) const {
    const torch::NoGradGuard no_gradient;
    Tensor most = torch::zeros({1}, anchor.options());
    foil::in_row_blocks(anchor.size(0), candidate.size(0), [&](int64_t from, int64_t to) {
      const Tensor d = torch::matmul(anchor.slice(0, from, to), candidate.t());
      most = torch::maximum(most, (d.abs() * masks(from, to, d.device()).second).max());
    });
    return input.ranks->gather(most).max();
  }
};

// JensenShannon::sums of local anchors [B, D] and candidates [M, D], added up: [4]. The derivatives of both
// sums are taken block by block in the forward pass.
class NodeSums : public torch::autograd::Function<NodeSums> {
 public:
  static Tensor forward(AutogradContext* context, const NodePairs& pairs, const Tensor& anchor,
                        const Tensor& candidate) {
    Tensor sum = torch::zeros({4}, anchor.options());
    const Tensor given = anchor.variable_data(), met = candidate.variable_data();
    variable_list by{torch::zeros_like(given), torch::zeros_like(met), torch::zeros_like(given),
                     torch::zeros_like(met)};  // of the positives' sum, of the negatives'
    const bool wanted = anchor.requires_grad() || candidate.requires_grad();
    foil::in_row_blocks(given.size(0), met.size(0), [&](int64_t from, int64_t to) {
      const torch::AutoGradMode with_gradient(wanted);
      const Tensor rows = given.slice(0, from, to).variable_data().requires_grad_(wanted),
                   columns = met.variable_data().requires_grad_(wanted);
      const Tensor part = pairs.sums(rows, columns, from, to).sum(0);
      const variable_list sums{part[0], part[2]};
      const torch::NoGradGuard no_gradient;
      sum.add_(part);
      for (size_t i = 0; wanted && i < 2; ++i) {
        const variable_list got =
            torch::autograd::grad({sums[i]}, {rows, columns}, {}, /*retain_graph=*/true);
        by[2 * i].slice(0, from, to).copy_(got[0]);
        by[2 * i + 1].add_(got[1]);
      }
    });
    context->save_for_backward(by);
    return sum;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradient) {
    if (at::GradMode::is_enabled())
      foil::fail(foil::Exit::failure, "graph_jsd has no second derivative between nodes.");
    const variable_list by = context->get_saved_variables();
    const Tensor positive = gradient[0][0], negative = gradient[0][2];
    return {Tensor(), positive * by[0] + negative * by[2], positive * by[1] + negative * by[3]};
  }
};

class GraphJSD final : public foil::Loss {
 public:
  enum class Contrast { dgi, mvgrl, nodes };
  enum class Positives { sample, label };
  using Candidates = foil::Candidates;
  struct Options {
    Contrast contrast = Contrast::dgi;
    bool projection = true;
    Positives positives = Positives::sample;
    Candidates candidates = Candidates::other_view;
    JensenShannon measure = {};
    void describe(foil::Fields& f) {
      f.choice("contrast", contrast,
               {{"dgi", Contrast::dgi}, {"mvgrl", Contrast::mvgrl}, {"nodes", Contrast::nodes}},
               "what meets: a summary and nodes of one view, of two, or nodes and nodes");
      f.flag("projection", projection, "the summary goes through a learned linear map");
      f.choice("positives", positives, {{"sample", Positives::sample}, {"label", Positives::label}},
               "of nodes: what a node's positives share with it");
      f.choice("candidates", candidates,
               {{"other_view", Candidates::other_view},
                {"both_views", Candidates::both_views},
                {"both_views_and_own", Candidates::both_views_and_own}},
               "of nodes: which rows a node meets; both_views_and_own, with itself, reproduces PyGCL");
      measure.describe(f);
    }
  };
  explicit GraphJSD(Options options) : options_(options) {}

  foil::Needs needs() const override {
    const int64_t views = options_.contrast == Contrast::mvgrl ? 4 : 2;
    return {.min_views = views, .max_views = views, .labels = by_label(), .raw_z = true};
  }

  void setup(const foil::Sizes& sizes) override {
    if (options_.contrast == Contrast::nodes || !options_.projection) return;
    projection_ =
        register_module("summary", torch::nn::Linear(torch::nn::LinearOptions(sizes.z_dim, sizes.z_dim)));
  }

  Tensor forward(const LossInput& input) override {
    const std::vector<Tensor>& z = input.z;
    switch (options_.contrast) {
      case Contrast::dgi:
        return with_summary(input, 0, z[0], z[1]);
      case Contrast::mvgrl:
        return both(input, with_summary(input, 0, z[1], z[3]), with_summary(input, 1, z[0], z[2]));
      default:
        return both(input, between_nodes(input, 0), between_nodes(input, 1));
    }
  }

 private:
  bool by_label() const {
    return options_.contrast == Contrast::nodes && options_.positives == Positives::label;
  }
  static Tensor both(const LossInput& input, const Tensor& first, const Tensor& second) {
    input.report("loss_1_2", first);
    input.report("loss_2_1", second);
    return (first + second) / 2;
  }

  // The summary of a view against nodes [B, D] that are its own and corrupted ones. The value of all ranks,
  // on each.
  Tensor with_summary(const LossInput& input, size_t view, const Tensor& nodes,
                      const Tensor& corrupted) const {
    const double count = static_cast<double>(input.global_batch());
    Tensor summary = torch::sigmoid(input.sum_ranks(input.z[view].sum(0)) / count);  // [D]
    if (!projection_.is_empty()) summary = torch::matmul(projection_->weight, summary) + projection_->bias;
    const Tensor own = input.gather(torch::matmul(nodes, summary)),
                 other = input.gather(torch::matmul(corrupted, summary));  // [N]
    const Tensor d = torch::cat({own, other}).unsqueeze(0);                // [1, 2N]
    const Tensor positive = (torch::arange(d.size(1), torch::device(d.device())) < own.size(0)).unsqueeze(0);
    const Tensor largest = other.detach().abs().max();
    const Tensor sums = options_.measure.sums(d, positive, positive.logical_not(), largest)[0];
    return JensenShannon::value(sums, sums);
  }

  // The nodes of a view against those of the other.
  Tensor between_nodes(const LossInput& input, size_t view) const {
    const Tensor& anchor = input.z[view];
    NodePairs pairs{options_.measure, {}, {}};
    if (by_label()) pairs.label = input.label, pairs.labels = input.gather(input.label);
    pairs.offset = input.offset();
    pairs.nodes = input.global_batch();
    pairs.own_view = options_.candidates != Candidates::other_view;
    pairs.itself = options_.candidates == Candidates::both_views_and_own;
    Tensor candidate = input.everyone(static_cast<int64_t>(1 - view));
    if (pairs.own_view) candidate = torch::cat({candidate, input.everyone(static_cast<int64_t>(view))});
    if (options_.measure.estimator == JensenShannon::Estimator::hard_published)
      pairs.largest = pairs.largest_score(input, anchor, candidate);
    const Tensor sums = NodeSums::apply(pairs, anchor, candidate);
    const double ranks = static_cast<double>(input.ranks->world_size());
    return ranks * JensenShannon::value(sums, input.sum_ranks(sums.detach()));
  }

  Options options_;
  torch::nn::Linear projection_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<GraphJSD>(
      "graph_jsd", {.samples = {"contrast = \"nodes\"\nestimator = \"hard\"",
                                "contrast = \"nodes\"\npositives = \"label\"",
                                "contrast = \"nodes\"\ncandidates = \"both_views\"\nestimator = \"debiased\"",
                                "contrast = \"nodes\"\npositives = \"label\"\nestimator = \"hard_published\"",
                                "contrast = \"mvgrl\"\nestimator = \"hard\"\nconcentration = 2"}});
}
