// SPDX-License-Identifier: BSD-3-Clause
// Small components to make experiments of, and a file made of them checked.
#pragma once

#include "config/load.h"
#include "config/parse.h"
#include "data/builtin.h"
#include "data/memory.h"
#include "experiment/experiment.h"
#include "plugins/registry.h"

#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace foil::test {

// A loss with a conflict between two options, and with a queue.
struct Spread final : Loss {
  struct Options {
    int64_t hardest = 1, length = 4;
    bool queue = false;
    void describe(Fields& f) {
      f.integer("hardest", hardest, "how many", at_least(1));
      f.integer("length", length, "of the queue", at_least(1));
      f.flag("queue", queue, "asks for one");
    }
  };
  explicit Spread(Options options) : options_(options) {
    if (options_.hardest > options_.length)
      refuse("hardest", options_.hardest, "at most length = " + std::to_string(options_.length));
  }
  Needs needs() const override {
    if (!options_.queue) return {};
    return {.queues = {{options_.length, QueueNeed::Source::online, 0}}};
  }
  Tensor forward(const LossInput& input) override { return input.mean(input.z[0].square().sum(1)); }
  Options options_;
};

// A loss that asks for what its options say.
struct Asks final : Loss {
  struct Options {
    bool graph = false, decoded = false;
    std::string reads;
    void describe(Fields& f) {
      f.flag("graph", graph, "for all nodes");
      f.flag("decoded", decoded, "for what is decoded");
      f.text("reads", reads, "for a weight of this name");
    }
  };
  explicit Asks(Options options) : options_(std::move(options)) {}
  Needs needs() const override {
    Needs needs{.decoded = options_.decoded, .views = true, .graph = options_.graph};
    if (!options_.reads.empty()) needs.weights = {options_.reads};
    return needs;
  }
  Tensor forward(const LossInput& input) override { return input.mean(input.z[0].square().sum(1)); }
  Options options_;
};

// An encoder of vectors and nodes; `width` as layer sizes go, `says` what it claims to give.
struct Line final : Encoder {
  struct Options {
    std::vector<int64_t> widths = {4};
    int64_t says = 4, largest = 1'000'000;
    bool decodes = false;
    void describe(Fields& f) {
      f.integers("widths", widths, "of the layer", at_least(1));
      f.integer("says", says, "its feature_dim", at_least(1));
      f.integer("largest", largest, "input that it can be built for", at_least(1));
      f.flag("decodes", decodes, "h, as it is");
    }
  };
  explicit Line(Options options) : options_(std::move(options)) {
    if (options_.widths.size() != 1) refuse("widths", "[]", "a list of one width");
  }
  void setup(const EncoderSizes& sizes) override {
    if (sizes.channels > options_.largest)
      refuse("largest", options_.largest, "at least " + std::to_string(sizes.channels));
    layer_ = register_module("layer", torch::nn::Linear(sizes.channels, options_.widths[0]));
  }
  Features forward(const View& view) override {
    if (view.data.dim() != 2)
      fail(Exit::failure, "line: the view is ", view.data.sizes(), ", allowed: [B, F].");
    const Tensor h = layer_->forward(view.data);
    return {h, {}, {}, options_.decodes ? h : Tensor()};
  }
  int64_t feature_dim() const override { return options_.says; }
  Options options_;
  torch::nn::Linear layer_{nullptr};
};

// An augmentation of images only.
struct Shift final : Augmentation {
  struct Options {
    std::vector<double> range = {0, 1};
    void describe(Fields& f) { f.numbers("range", range, "lowest, highest"); }
  };
  explicit Shift(Options options) { check_interval("range", options.range); }
  View apply(const View& view, const AugmentContext&) override {
    View out = view;
    out.data = as_float_image(view.data);
    return out;
  }
};

// Adds to every node or vector the draw of its sample; the data set must be told first.
struct Jitter final : Augmentation {
  struct Options {
    int64_t smallest = 1;
    void describe(Fields& f) { f.integer("smallest", smallest, "training set that it can take"); }
  };
  explicit Jitter(Options options) : options_(options) {}
  std::vector<Kind> kinds() const override { return {Kind::vector, Kind::graph}; }
  void setup(const Dataset& data) override {
    samples_ = data.size(Split::train);
    if (samples_ < options_.smallest)
      refuse("smallest", options_.smallest, "at most " + std::to_string(samples_));
  }
  View apply(const View& view, const AugmentContext& context) override {
    if (samples_ == 0) fail(Exit::failure, "jitter: setup was not called.");
    View out = view;
    out.data = view.data + context.uniform(context.index).unsqueeze(1);
    return out;
  }
  Options options_;
  int64_t samples_ = 0;
};

// Halves the brightness of images.
struct Darken final : Augmentation {
  struct Options {
    void describe(Fields&) {}
  };
  explicit Darken(Options) {}
  View apply(const View& view, const AugmentContext&) override {
    View out = view;
    out.data = as_float_image(view.data) / 2;
    return out;
  }
};

// An encoder of images: the mean of each channel.
struct Means final : Encoder {
  struct Options {
    void describe(Fields&) {}
  };
  explicit Means(Options) {}
  void setup(const EncoderSizes& sizes) override {
    require_images("means", sizes);
    channels_ = sizes.channels;
  }
  Features forward(const View& view) override { return {view.data.mean({2, 3}), {}, {}, {}}; }
  int64_t feature_dim() const override { return channels_; }
  int64_t channels_ = 0;
};

// A data set of images of different sizes; or of as many samples as `samples` says, with the labels that it
// says.
struct Odd final : Dataset {
  struct Options {
    int64_t samples = 4, label = 0;
    void describe(Fields& f) {
      f.integer("samples", samples, "how many", at_least(0));
      f.integer("label", label, "of each");
    }
  };
  explicit Odd(Options options) : options_(options) {}
  int64_t size(Split split) const override { return split == Split::train ? options_.samples : 0; }
  std::vector<std::string> classes() const override { return {"one", "two"}; }
  Tensor labels(Split split) const override {
    return torch::full({size(split)}, options_.label, torch::kLong);
  }
  Views read(Split, const Tensor& index) const override {
    View view;
    for (int64_t b = 0; b < index.size(0); ++b)
      view.ragged.push_back(torch::zeros({3, 8 + b, 9}, torch::kByte));
    return {view};
  }
  std::vector<Modality> modalities() const override { return {{"image", {Kind::image, {3, -1, -1}, 0}}}; }
  Options options_;
};

// A graph of four nodes that breaks its promise.
struct OddGraph final : Dataset {
  struct Options {
    std::string fault = "none";
    void describe(Fields& f) {
      f.choice("fault", fault, {"none", "order", "count", "kind"}, "what is wrong");
    }
  };
  explicit OddGraph(Options options) : fault_(options.fault) {}
  int64_t size(Split split) const override { return split == Split::train ? 4 : 0; }
  std::vector<std::string> classes() const override { return {}; }
  Tensor labels(Split) const override { return {}; }
  Views read(Split, const Tensor&) const override {
    View view;
    view.modality = "graph";
    view.kind = Kind::graph;
    view.data = torch::zeros({4, 2});
    view.edges.ends = torch::zeros({2, 0}, torch::kLong);
    return {view};
  }
  std::vector<Modality> modalities() const override {
    return {{"graph", {fault_ == "kind" ? Kind::vector : Kind::graph, {2}, 0}}};
  }
  Tensor nodes(Split split) const override {
    if (split == Split::train) return fault_ == "order" ? torch::tensor({0, 1, 3, 2}) : torch::arange(4);
    return torch::zeros({fault_ == "count" && split == Split::test ? 1 : 0}, torch::kLong);
  }
  std::string fault_;
};

// A sampler that breaks its promise.
struct Careless final : Sampler {
  struct Options {
    std::string fault = "none";
    void describe(Fields& f) {
      f.choice("fault", fault, {"none", "no_steps", "short", "type", "beyond", "nothing"}, "what is wrong");
    }
  };
  explicit Careless(Options options) : fault_(options.fault) {}
  void setup(uint64_t, int64_t batch_size, int64_t dataset_size, const at::Tensor&) override {
    batch_size_ = batch_size;
    dataset_size_ = dataset_size;
  }
  at::Tensor batch(int64_t) override {
    if (fault_ == "nothing") return {};
    if (fault_ == "short") return torch::arange(batch_size_ - 1);
    if (fault_ == "type") return torch::arange(batch_size_, torch::kInt);
    return torch::arange(batch_size_) + (fault_ == "beyond" ? dataset_size_ - 1 : 0);
  }
  int64_t steps_per_epoch() const override { return fault_ == "no_steps" ? 0 : 2; }
  std::string fault_;
  int64_t batch_size_ = 0, dataset_size_ = 0;
};

inline const Registry& registry() {
  static Registry* const all = [] {
    auto* made = new Registry;
    made->enter("built in", register_builtin_data);
    made->enter("test", [](Plugin& plugin) {
      plugin.loss<Spread>("spread");
      plugin.loss<Asks>("asks");
      plugin.encoder<Line>("line");
      plugin.encoder<Means>("means");
      plugin.augmentation<Darken>("darken");
      plugin.augmentation<Jitter>("jitter");
      plugin.augmentation<Shift>("shift");
      plugin.dataset<Odd>("odd");
      plugin.dataset<OddGraph>("odd_graph");
      plugin.sampler<Careless>("careless");
    });
    return made;
  }();
  return *all;
}

inline Plan checked(const std::string& toml, const std::vector<std::string>& sets = {}) {
  Node root = parse_toml(toml, "e.toml");
  override_with(root, sets);
  return check(
      root,
      [](const std::string& kind, const std::string& name, const std::string& place) -> const Component& {
        return registry().find(kind, name, place);
      });
}

}  // namespace foil::test
