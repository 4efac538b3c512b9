// SPDX-License-Identifier: BSD-3-Clause
// A sound loss, encoder, augmentation and data set of graphs, and the same with one bug each, as people write
// them: to test the tests.
#include <foil/graph.h>
#include <foil/plugin.h>

#include <torch/types.h>

namespace {

using foil::Split;
using foil::Tensor;

enum class Bug {
  none,
  // of the loss
  edges_by_row_of_this_rank,
  reads_views_without_asking,
  forgets_features_in_csr,
  // of the encoder
  adds_the_number_of_a_node,
  takes_dense_features_alone,
  // of the augmentation
  draws_by_position_in_the_edge_list,
  loses_the_ids_of_edges,
  keeps_the_ids_of_all_edges,
  // of the data set
  labels_of_test_in_training,
  edges_of_int32,
  reads_the_nodes_of_the_index,
};

Tensor dense(const Tensor& x) { return x.layout() == at::kSparseCsr ? x.to_dense() : x; }

// A node is drawn to its neighbours in view 0, and what is decoded of it to its features; a weight of the
// encoder is kept small.
template <Bug bug>
class Loss final : public foil::Loss {
 public:
  struct Options {
    double decoded = 0.5;
    void describe(foil::Fields& f) {
      f.number("decoded", decoded, "the weight of what is decoded", foil::between(0, 1));
    }
  };
  explicit Loss(Options options) : options_(options) {}

  foil::Needs needs() const override {
    foil::Needs needs{.decoded = true, .views = bug != Bug::reads_views_without_asking, .graph = true};
    needs.weights = {"encoder.conv.weight", "encoder.conv.bias"};
    return needs;
  }

  Tensor forward(const foil::LossInput& input) override {
    const foil::View& view = input.views.at(0);
    const Tensor all = input.everyone(1);  // [N, D]
    const Tensor from = view.edges.ends[0], to = view.edges.ends[1];
    const Tensor weight = view.edges.weight.defined() ? view.edges.weight.to(all.options())
                                                      : torch::ones({to.size(0)}, all.options());
    const Tensor sums =
        torch::zeros_like(all).index_add(0, to, all.index_select(0, from) * weight.unsqueeze(1));
    const int64_t first = bug == Bug::edges_by_row_of_this_rank ? 0 : input.offset();
    const auto own = [&](const Tensor& x) { return x.slice(0, first, first + input.z[0].size(0)); };
    const Tensor x = bug == Bug::forgets_features_in_csr ? view.data : dense(view.data);
    const Tensor off = (input.decoded[0] - own(x).to(all.scalar_type())).square().mean(1);
    const Tensor each = off * options_.decoded - (input.z[0] * own(sums)).sum(1);  // [B]
    const Tensor small =
        input.weight("encoder.conv.weight").square().sum() + input.weight("encoder.conv.bias").square().sum();
    return input.mean(each) + 0.1 * small;
  }

 private:
  Options options_;
};

// One graph convolution, batch norm, ReLU, dropout.
template <Bug bug>
class Encoder final : public foil::Encoder {
 public:
  struct Options {
    double drop = 0.3;
    void describe(foil::Fields& f) { f.number("drop", drop, "of an entry", foil::from_below(0, 1)); }
  };
  explicit Encoder(Options options) : options_(options) {}

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.kind != foil::Kind::graph) foil::fail(foil::Exit::usage, "planted: allowed: a graph.");
    inputs_ = sizes.channels;
    weight_ = register_parameter("weight", torch::randn({5, inputs_}) / 3);
    norm_ = register_module("norm", std::make_shared<foil::BatchNorm>(5));
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 2 || view.data.size(1) != inputs_)
      foil::fail(foil::Exit::failure, "planted: the view is ", view.data.sizes(), ", allowed: [nodes, ",
                 inputs_, "].");
    if (bug == Bug::takes_dense_features_alone && view.data.layout() != at::kStrided)
      foil::fail(foil::Exit::failure, "planted: allowed: dense features.");
    const int64_t nodes = view.size();
    const foil::Propagation a(foil::gcn_norm(view.edges, nodes), nodes, weight_.scalar_type());
    Tensor x = norm_->forward_relu(a(foil::node_linear(view.data, weight_)));  // [nodes, 5]
    if (bug == Bug::adds_the_number_of_a_node) x = x + 0.1 * torch::arange(nodes, x.options()).unsqueeze(1);
    return {foil::dropout(x, options_.drop, view.key, "drop"), {}, {}, {}};
  }

  int64_t feature_dim() const override { return 5; }

 private:
  Options options_;
  int64_t inputs_ = 0;
  Tensor weight_;
  std::shared_ptr<foil::BatchNorm> norm_;
};

// Edges are left out and columns set to 0, at random; more of the edges into nodes with many.
template <Bug bug>
class Augmentation final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.4;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "of an edge, and of a column", foil::between(0, 1));
    }
  };
  explicit Augmentation(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }

  void setup(const foil::Dataset& data) override {
    const foil::View graph = data.read(Split::train, torch::zeros({1}, torch::kLong)).at(0);
    const Tensor one = torch::ones({graph.edges.ends.size(1)});
    const Tensor degree = torch::zeros({graph.size()}).index_add(0, graph.edges.ends[1], one);
    factor_ = 0.5 + 0.5 * degree / degree.max().clamp_min(1);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const foil::Edges& edges = view.edges;
    const Tensor ends = edges.ends.cpu();
    const Tensor draw = context.uniform(
        bug == Bug::draws_by_position_in_the_edge_list ? torch::arange(ends.size(1)) : edges.id);
    const Tensor kept = draw.ge(options_.probability * factor_.index_select(0, ends[1])).nonzero().squeeze(1);
    out.edges.ends = ends.index_select(1, kept).to(edges.ends.device());
    if (edges.weight.defined())
      out.edges.weight = edges.weight.index_select(0, kept.to(edges.weight.device()));
    out.edges.id = edges.id.index_select(0, kept);
    if (bug == Bug::loses_the_ids_of_edges) out.edges = {edges.ends, edges.weight, {}};
    if (bug == Bug::keeps_the_ids_of_all_edges) out.edges.id = torch::arange(kept.size(0));
    out.data = without_columns(view.data, context.shared());
    return out;
  }

 private:
  Tensor without_columns(const Tensor& x, foil::Draws draws) const {
    Tensor stays = torch::ones({x.size(1)}, torch::kDouble);
    for (int64_t f = 0; f < x.size(1); ++f)
      if (draws.uniform() < options_.probability) stays[f] = 0;
    stays = stays.to(x.device(), x.scalar_type());
    if (x.layout() != at::kSparseCsr) return x * stays;
    return at::_sparse_csr_tensor_unsafe(x.crow_indices(), x.col_indices(),
                                         x.values() * stays.index_select(0, x.col_indices()), x.sizes(),
                                         x.options());
  }

  Options options_;
  Tensor factor_;
};

// A path of ten nodes: four to learn from, three to choose by, three to measure on.
template <Bug bug>
class Data final : public foil::Dataset {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit Data(Options) {}

  int64_t size(Split split) const override { return nodes(split).size(0); }
  std::vector<std::string> classes() const override { return {"a", "b"}; }
  Tensor node_labels() const override { return torch::arange(10) % 2; }
  Tensor nodes(Split split) const override {
    if (split == Split::train) return torch::arange(10);
    return split == Split::validation ? torch::tensor({4, 7, 5}) : torch::tensor({9, 6, 8});
  }
  Tensor labels(Split split) const override {
    const Tensor all = node_labels();
    if (split != Split::train) return all.index_select(0, nodes(split));
    return bug == Bug::labels_of_test_in_training ? all : torch::where(torch::arange(10) < 4, all, -1);
  }
  std::vector<foil::Modality> modalities() const override { return {{"graph", {foil::Kind::graph, {3}}}}; }
  foil::Views read(Split, const Tensor& index) const override {
    foil::View view;
    view.modality = "graph";
    view.kind = foil::Kind::graph;
    view.data = (torch::arange(30).view({10, 3}) % 4).to(torch::kFloat);
    if (bug == Bug::reads_the_nodes_of_the_index) view.data = view.data.index_select(0, index);
    const Tensor from = torch::arange(9), to = from + 1;
    view.edges.ends = torch::stack({torch::cat({from, to}), torch::cat({to, from})});
    if (bug == Bug::edges_of_int32) view.edges.ends = view.edges.ends.to(torch::kInt);
    view.edges.id = torch::arange(18);
    return {view};
  }
  std::string identity() const override { return "path-10"; }
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<Loss<Bug::none>>("sound_on_graphs");
  plugin.loss<Loss<Bug::edges_by_row_of_this_rank>>("edges_by_row_of_this_rank");
  plugin.loss<Loss<Bug::reads_views_without_asking>>("reads_views_without_asking");
  plugin.loss<Loss<Bug::forgets_features_in_csr>>("forgets_features_in_csr");
  plugin.encoder<Encoder<Bug::none>>("sound_on_graphs");
  plugin.encoder<Encoder<Bug::adds_the_number_of_a_node>>("adds_the_number_of_a_node");
  plugin.encoder<Encoder<Bug::takes_dense_features_alone>>("takes_dense_features_alone");
  plugin.augmentation<Augmentation<Bug::none>>("sound_on_graphs");
  plugin.augmentation<Augmentation<Bug::draws_by_position_in_the_edge_list>>(
      "draws_by_position_in_the_edge_list");
  plugin.augmentation<Augmentation<Bug::loses_the_ids_of_edges>>("loses_the_ids_of_edges");
  plugin.augmentation<Augmentation<Bug::keeps_the_ids_of_all_edges>>("keeps_the_ids_of_all_edges");
  plugin.dataset<Data<Bug::none>>("sound_on_graphs");
  plugin.dataset<Data<Bug::labels_of_test_in_training>>("labels_of_test_in_training");
  plugin.dataset<Data<Bug::edges_of_int32>>("edges_of_int32");
  plugin.dataset<Data<Bug::reads_the_nodes_of_the_index>>("reads_the_nodes_of_the_index");
}
