// SPDX-License-Identifier: BSD-3-Clause
// Features of a graph's nodes set to 0, each in all nodes at once with `probability`, one draw a view and
// feature; what is left is not made larger. As in the published code of GRACE (Zhu et al., "Deep graph
// contrastive representation learning", 2020, section 3.2.2) and all that follows it. Features in CSR layout
// stay so.
//
// By `adaptive` a feature that matters is masked less often, its probability being `probability` on average
// and never above `threshold`: GCA (Zhu et al., WWW 2021, equations 7 and 8) weighs a feature by the
// centrality of the nodes that have it, CSGCL (Chen et al., IJCAI 2023, section 4.1) by the strength of their
// communities; `usage` says how a node has it. GCA counts nodes, of dense features magnitudes; CSGCL counts
// magnitudes. All is of the data set's graph, computed once. Formulas: graph_weights.h. GCA's code has
// threshold = 0.7, CSGCL's 1. A feature that no node has counts as one that matters most.
//
//   [[augment]]
//   name = "mask_feature"
//   probability = 0.3
//   adaptive = "degree"
#include "adaptive.h"
#include "graph_view.h"

#include <foil/plugin.h>

namespace {
using foil::Tensor;
using foil::augment::Adaptive;

enum class Usage { nodes, magnitude };

class MaskFeature final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.2;
    Adaptive adaptive = Adaptive::no;
    double threshold = 0.7;
    Usage usage = Usage::nodes;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "how often a feature is masked", foil::between(0, 1));
      foil::augment::describe_adaptive(f, adaptive, threshold);
      f.choice("usage", usage, {{"nodes", Usage::nodes}, {"magnitude", Usage::magnitude}},
               "with adaptive: a node counts for a feature that is not 0 there, or by its absolute value");
    }
  };
  explicit MaskFeature(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("mask_feature", before);
  }

  void setup(const foil::Dataset& data) override {
    if (options_.adaptive == Adaptive::no) return;
    const foil::View graph = foil::augment::graph_of("mask_feature", data);
    const Tensor use = foil::augment::feature_use(
        graph.data, importance_of_nodes(graph.edges.ends, graph.size()), options_.usage == Usage::magnitude);
    const Tensor importance = foil::augment::log_importance(use);
    masked_ = foil::augment::drop_probability(importance, options_.probability, options_.threshold);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::augment::require_graph("mask_feature", view);
    const int64_t features = view.data.size(1);
    const Tensor probability = options_.adaptive == Adaptive::no
                                   ? at::full({features}, options_.probability, at::kDouble)
                                   : probabilities(features);
    const Tensor masked = at::empty({features}, at::kBool);
    foil::Draws draws = context.shared();
    for (int64_t k = 0; k < features; ++k)
      masked.mutable_data_ptr<bool>()[k] = draws.uniform() < probability.const_data_ptr<double>()[k];
    foil::View out = view;
    out.data = foil::augment::without_columns(view.data, masked);
    return out;
  }

 private:
  Tensor importance_of_nodes(const Tensor& ends, int64_t nodes) const {
    using namespace foil::augment;
    if (options_.adaptive != Adaptive::community)
      return centrality(options_.adaptive, ends, nodes, /*pagerank_steps=*/10);
    const Tensor community = communities(ends, nodes);
    return community_strength(ends, community).index_select(0, community);
  }

  Tensor probabilities(int64_t features) const {
    if (!masked_.defined()) foil::fail(foil::Exit::failure, "mask_feature: setup() was not called.");
    if (masked_.numel() != features)
      foil::refuse("adaptive", "of " + std::to_string(features) + " features",
                   "the " + std::to_string(masked_.numel()) + " of the data set");
    return masked_;
  }

  Options options_;
  Tensor masked_;  // fp64 [F], the probability of each feature, with adaptive
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<MaskFeature>("mask_feature"); }
