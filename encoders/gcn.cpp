// SPDX-License-Identifier: BSD-3-Clause
// A graph convolutional network (Kipf and Welling, "Semi-supervised classification with graph convolutional
// networks", ICLR 2017, equation 2). Of the features X [nodes, F] of a graph's nodes, layer by layer:
//
//   H_0 = X,   H_l = act(BN(A^ H_{l-1} W_l^T + b_l)),   A^ = D^-1/2 (A + I) D^-1/2
//
// D counts the edges that go to a node, its loop among them; h of a node is its row of the last layer. W_l is
// of size [out, in], Glorot-uniform, b_l begins at 0. BN stands there by `batch_norm`, act after the last
// layer by `last_activation`. One slope serves all layers of prelu. Of rrelu (Xu et al., "Empirical
// evaluation of rectified activations", 2015) it is drawn for each entry from [1/8, 1/3), in evaluation it is
// their mean. GRACE (Zhu et al., 2020) has widths = [2 H, H] and an activation after both. X may be in CSR
// layout. With `dropout` p, in training, each entry of what goes into a layer is 0 with probability p, and 1
// / (1 - p) of itself else (Srivastava et al., "Dropout", JMLR 2014).
//
// With `depths` a layer takes c steps instead of one product (MA-GCL: Gong et al., "MA-GCL: model
// augmentation tricks for graph contrastive learning", AAAI 2023; as its code has them, with b in every
// step):
//
//   Y = H_{l-1} W_l^T;   c times  Y <- (Y + A^ Y + b_l) / 2;   c = 0:  A^ Y + b_l
//
// in training as many as the augmentation `depths` drew, else `depths`.
//
// With a `decoder` it is a masked auto-encoder (GraphMAE: Hou et al., "GraphMAE: self-supervised masked graph
// autoencoders", KDD 2022, section 3). The nodes whose features mask_nodes hid get a learned token as theirs,
// enc_mask_token, and h is decoded by a linear map and, "gcn", one layer without an activation, in front of
// which all masked nodes are set to 0, or, "mlp", by a linear layer, prelu and another one. Differs from the
// published one, whose layers have attention and which decodes over the edges before any were dropped.
//
//   [encoder]
//   name = "gcn"
//   widths = [256, 128]
//   activation = "prelu"
#include <foil/graph.h>
#include <foil/plugin.h>

#include <ATen/Parallel.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {
using foil::Tensor;

enum class Activation { relu, prelu, rrelu };
enum class EdgeWeights { normalised, as_given };
enum class Decoder { none, gcn, mlp };

constexpr double kLowestSlope = 1.0 / 8, kHighestSlope = 1.0 / 3;

// Draws in [low, high) of one layer, [nodes, columns]: entry j of a node is word j of its Philox sequence.
Tensor drawn_by(const Tensor& key, int64_t columns, const char* what, size_t layer, double low, double high) {
  const Tensor keys = key.to(at::kCPU).contiguous();
  const uint64_t place = foil::mix_key(foil::name_key(what), layer);
  Tensor drawn = at::empty({keys.size(0), columns}, at::kFloat);
  float* const first = drawn.mutable_data_ptr<float>();
  const int64_t* const node = keys.const_data_ptr<int64_t>();
  at::parallel_for(0, keys.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      foil::Draws draws(place, static_cast<uint64_t>(node[b]));
      for (int64_t j = 0; j < columns; ++j)
        first[b * columns + j] = static_cast<float>(draws.uniform(low, high));
    }
  });
  return drawn;
}

// The weight and bias of one layer.
class Layer final : public torch::nn::Module {
 public:
  Layer(int64_t in, int64_t out)
      : weight(register_parameter("weight", at::empty({out, in}))),
        bias(register_parameter("bias", at::zeros({out}))) {
    torch::nn::init::xavier_uniform_(weight);
  }
  Tensor weight, bias;  // [out, in], [out]
};

class GCN final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {256, 128};
    Activation activation = Activation::relu;
    bool last_activation = true;
    bool batch_norm = false;
    EdgeWeights edge_weights = EdgeWeights::normalised;
    std::vector<int64_t> depths = {};
    double dropout = 0;
    Decoder decoder = Decoder::none;
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "widths of the layers; the last one is the width of h",
                 foil::between(1, 1e6));
      f.choice("activation", activation,
               {{"relu", Activation::relu}, {"prelu", Activation::prelu}, {"rrelu", Activation::rrelu}},
               "after each layer; prelu: with one learned slope, rrelu: with random ones");
      f.flag("last_activation", last_activation, "an activation after the last layer too");
      f.flag("batch_norm", batch_norm, "batch norm in front of each activation");
      f.choice("edge_weights", edge_weights,
               {{"normalised", EdgeWeights::normalised}, {"as_given", EdgeWeights::as_given}},
               "edges that an augmentation gave weights, as diffusion: in A^ like others, or instead of A^");
      f.integers("depths", depths, "steps of each layer in evaluation (MA-GCL); empty = one product each",
                 foil::between(0, 100));
      f.number("dropout", dropout, "share of the entries of what goes into a layer that is 0 in training",
               foil::from_below(0, 1));
      f.choice("decoder", decoder, {{"none", Decoder::none}, {"gcn", Decoder::gcn}, {"mlp", Decoder::mlp}},
               "what makes features of h, for losses that compare them with the nodes' (GraphMAE)");
    }
  };

  explicit GCN(Options options) : options_(std::move(options)) {
    if (options_.widths.empty()) foil::refuse("widths", "[]", "a list of one or more widths");
    const size_t layers = options_.widths.size(), depths = options_.depths.size();
    if (depths != 0 && depths != layers)
      foil::refuse("depths", "a list of " + std::to_string(depths),
                   "one for each of the " + std::to_string(layers) + " layers, or none");
    if (depths != 0 && options_.decoder != Decoder::none)
      foil::refuse("decoder", options_.decoder == Decoder::gcn ? "gcn" : "mlp", "none with depths");
  }

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.kind != foil::Kind::graph)
      foil::fail(foil::Exit::usage, "gcn: the data is ", foil::name_of(sizes.kind), ", allowed: a graph.");
    inputs_ = sizes.channels;
    int64_t in = inputs_;
    for (const int64_t width : options_.widths) {
      const std::string number = std::to_string(layers_.size() + 1);
      layers_.push_back(register_module("conv" + number, std::make_shared<Layer>(in, width)));
      if (options_.batch_norm)
        norms_.push_back(register_module("bn" + number, std::make_shared<foil::BatchNorm>(width)));
      in = width;
    }
    if (options_.activation == Activation::prelu)
      prelu_ = register_module("activation", torch::nn::PReLU());  // 0.25
    if (options_.decoder != Decoder::none) add_decoder(in);
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 2 || view.data.size(1) != inputs_ || !view.edges.ends.defined())
      foil::fail(foil::Exit::failure, "gcn: the view is ", view.data.sizes(),
                 view.edges.ends.defined() ? "" : " without edges", ", allowed: [nodes, ", inputs_,
                 "] with edges.");
    const at::ScalarType type = layers_[0]->weight.scalar_type();
    const foil::Propagation a(edges_of(view, type), view.size(), type);
    const std::vector<int64_t> depths = depths_of(view);
    Tensor x = view.data;  // [nodes, F]
    for (size_t l = 0; l < layers_.size(); ++l) {
      Tensor y = foil::node_linear(dropped(x, view.key, l), layers_[l]->weight);  // [nodes, width]
      if (l == 0 && token_.defined() && view.params.defined()) y = y + token_of_hidden(view, type);
      x = convolved(y, layers_[l]->bias, a, depths.empty() ? 0 : depths[l]);
      if (options_.batch_norm) x = norms_[l]->forward(x);
      if (l + 1 < layers_.size() || options_.last_activation) x = activated(x, view.key, l);
    }
    foil::Features features;
    features.pooled = x;
    if (options_.decoder != Decoder::none) features.decoded = decoded(x, view, a);
    return features;
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  // Names are those of the published code, as far as it has these parts.
  void add_decoder(int64_t width) {
    token_ = register_parameter("enc_mask_token", at::zeros({1, inputs_}));
    to_decoder_ = register_module("encoder_to_decoder",
                                  torch::nn::Linear(torch::nn::LinearOptions(width, width).bias(false)));
    if (options_.decoder == Decoder::gcn)
      decoder_layer_ = register_module("decoder", std::make_shared<Layer>(width, inputs_));
    else
      decoder_mlp_ = register_module(
          "decoder", torch::nn::Sequential(torch::nn::Linear(width, width), torch::nn::PReLU(),
                                           torch::nn::Linear(width, inputs_)));
  }

  foil::Edges edges_of(const foil::View& view, at::ScalarType type) const {
    foil::Edges edges = view.edges;
    if (edges.weight.defined() && options_.edge_weights == EdgeWeights::as_given) return edges;
    const auto options = at::device(edges.ends.device()).dtype(type);
    edges.weight =
        edges.weight.defined() ? edges.weight.to(options) : at::ones({edges.ends.size(1)}, options);
    return foil::gcn_norm(edges, view.size());
  }

  // The steps of each layer, which are the last columns of what augmentations handed on; empty without.
  std::vector<int64_t> depths_of(const foil::View& view) const {
    const int64_t layers = static_cast<int64_t>(options_.depths.size());
    if (layers == 0 || !is_training() || !view.params.defined() || view.size() == 0) return options_.depths;
    if (view.params.dim() != 2 || view.params.size(1) < layers)
      foil::fail(foil::Exit::failure, "gcn: the view's params are ", view.params.sizes(),
                 ", allowed: [nodes, ", layers, "], the depths of ", layers,
                 " layers, as the augmentation depths writes them.");
    const Tensor drawn = view.params[0].slice(0, view.params.size(1) - layers).to(at::kCPU, at::kLong);
    const int64_t* const first = drawn.const_data_ptr<int64_t>();
    return {first, first + layers};
  }

  // y [nodes, width] summed over neighbours, with the bias, by so many steps.
  static Tensor convolved(Tensor y, const Tensor& bias, const foil::Propagation& a, int64_t depth) {
    if (depth == 0) return a(y) + bias;
    for (int64_t i = 0; i < depth; ++i) y = (y + a(y) + bias) / 2;
    return y;
  }

  Tensor activated(const Tensor& x, const Tensor& key, size_t layer) {
    if (options_.activation == Activation::relu) return at::relu(x);
    if (options_.activation == Activation::prelu) return prelu_->forward(x);
    if (!is_training() || !key.defined()) return at::leaky_relu(x, (kLowestSlope + kHighestSlope) / 2);
    const Tensor slope = drawn_by(key, x.size(1), "rrelu", layer, kLowestSlope, kHighestSlope);
    return at::where(x < 0, x * slope.to(x.options()), x);
  }

  Tensor dropped(const Tensor& x, const Tensor& key, size_t layer) const {
    if (options_.dropout == 0 || !is_training() || !key.defined()) return x;
    const Tensor kept = (drawn_by(key, x.size(1), "dropout", layer, 0, 1) >= options_.dropout).to(x.device());
    if (x.layout() != at::kSparseCsr) return x * kept.to(x.scalar_type()) / (1 - options_.dropout);
    const Tensor from = x.crow_indices(), to = x.col_indices();
    const Tensor row = at::repeat_interleave(at::arange(x.size(0), from.options()), from.diff());
    const Tensor there = kept.index({row, to}).to(x.scalar_type());  // of each entry that is stored
    return at::sparse_csr_tensor(from, to, x.values() * there / (1 - options_.dropout), x.sizes(),
                                 x.options());
  }

  // What the token adds to X W_1^T: row 1 where mask_nodes hid a node, 0 elsewhere. [nodes, width]
  Tensor token_of_hidden(const foil::View& view, at::ScalarType type) const {
    const Tensor hidden = (mask_of(view) == 1).to(type).unsqueeze(1);  // [nodes, 1]
    return hidden * at::linear(token_, layers_[0]->weight);
  }

  Tensor decoded(const Tensor& h, const foil::View& view, const foil::Propagation& a) {
    Tensor y = to_decoder_->forward(h);
    if (options_.decoder == Decoder::mlp) return decoder_mlp_->forward(y);
    if (view.params.defined()) y = y.masked_fill((mask_of(view) != 0).unsqueeze(1), 0);
    return a(at::linear(y, decoder_layer_->weight)) + decoder_layer_->bias;
  }

  // What mask_nodes did to each node (0: nothing, 1: hid it), on the device of the nodes: [nodes]
  static Tensor mask_of(const foil::View& view) {
    if (view.params.dim() != 2 || view.params.size(1) < 1)
      foil::fail(foil::Exit::failure, "gcn: the view's params are ", view.params.sizes(),
                 ", allowed: [nodes, 1], as the augmentation mask_nodes writes them.");
    return view.params.select(1, 0).to(view.data.device());
  }

  Options options_;
  int64_t inputs_ = 0;
  std::vector<std::shared_ptr<Layer>> layers_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
  torch::nn::PReLU prelu_{nullptr};
  Tensor token_;  // [1, F]
  torch::nn::Linear to_decoder_{nullptr};
  std::shared_ptr<Layer> decoder_layer_;
  torch::nn::Sequential decoder_mlp_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.encoder<GCN>("gcn", {.samples = {"depths = [1, 3]", "widths = [7]\nlast_activation = false",
                                          "decoder = \"gcn\"\nactivation = \"prelu\""}});
}
