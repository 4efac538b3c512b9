// SPDX-License-Identifier: BSD-3-Clause
// Small parts for a graph, only for tests: an encoder that sums over neighbours, with batch norm, dropout and
// a decoder; an augmentation that loses edges and masks features; and a loss that reads the edges of a view,
// what was decoded of it, and a weight:
//   L = mean over i of (||decoded_i0 - x_i0||^2 - sum over edges i -> j of view 0 of <z_i0, z_j1>) + mean W^2
#include <foil/graph.h>
#include <foil/plugin.h>

#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {

using foil::Tensor;

class Neighbours final : public foil::Encoder {
 public:
  struct Options {
    int64_t width = 12;
    void describe(foil::Fields& f) { f.integer("width", width, "of h", foil::at_least(1)); }
  };
  explicit Neighbours(Options options) : options_(options) {}

  void setup(const foil::EncoderSizes& sizes) override {
    layer_ = register_module(
        "layer", torch::nn::Linear(torch::nn::LinearOptions(sizes.channels, options_.width).bias(false)));
    norm_ = register_module("norm", std::make_shared<foil::BatchNorm>(options_.width));
    decoder_ = register_module("decoder", torch::nn::Linear(options_.width, sizes.channels));
  }
  foil::Features forward(const foil::View& view) override {
    const foil::Propagation sum(foil::gcn_norm(view.edges, view.size()), view.size(),
                                layer_->weight.scalar_type());
    foil::Features features;
    features.pooled = foil::dropout(norm_->forward_relu(sum(foil::node_linear(view.data, layer_->weight))),
                                    0.2, view.key, "h");
    features.decoded = decoder_->forward(features.pooled);
    return features;
  }
  int64_t feature_dim() const override { return options_.width; }

 private:
  Options options_;
  torch::nn::Linear layer_{nullptr}, decoder_{nullptr};
  std::shared_ptr<foil::BatchNorm> norm_;
};

class LoseEdges final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.3;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "of an edge and of a feature", foil::between(0, 1));
    }
  };
  explicit LoseEdges(Options options) : options_(options) {}
  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const Tensor kept = (context.uniform(view.edges.id) >= options_.probability).nonzero().squeeze(1);
    out.edges.ends = view.edges.ends.index_select(1, kept.to(view.edges.ends.device()));
    out.edges.id = view.edges.id.index_select(0, kept);
    Tensor mask = torch::ones({view.data.size(1)});
    foil::Draws draws = context.shared();
    for (int64_t f = 0; f < mask.size(0); ++f)
      if (draws.uniform() < options_.probability) mask[f] = 0;
    out.data = view.data * mask.to(view.data.device());
    return out;
  }

 private:
  Options options_;
};

class ReadsGraph final : public foil::Loss {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit ReadsGraph(Options) {}
  foil::Needs needs() const override {
    return {.decoded = true, .views = true, .graph = true, .weights = {"encoder.layer.weight"}};
  }
  Tensor forward(const foil::LossInput& input) override {
    const Tensor &z = input.z[0], whole = input.everyone(1);  // [B, D], [N, D]
    const foil::View& view = input.views[0];
    const int64_t first = input.offset(), last = first + z.size(0);
    const Tensor error = (input.decoded[0] - view.data.slice(0, first, last)).square().sum(1);  // [B]
    const Tensor from = view.edges.ends[0], mine = ((from >= first) & (from < last)).nonzero().squeeze(1);
    const Tensor i = from.index_select(0, mine) - first, j = view.edges.ends[1].index_select(0, mine);
    const Tensor near = (z.index_select(0, i) * whole.index_select(0, j)).sum(1);
    return input.mean(error - torch::zeros_like(error).index_add(0, i, near)) +
           input.weight("encoder.layer.weight").square().mean();
  }
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.encoder<Neighbours>("neighbours");
  plugin.augmentation<LoseEdges>("lose_edges");
  plugin.loss<ReadsGraph>("reads_graph");
}
