// SPDX-License-Identifier: BSD-3-Clause
// A loss that wants what the shipped ones do not, features and the labels and indices of its queue, one that
// wants a graph, what a decoder gives and a weight, and a data set of which no training sample has a label.
//
//   wants:        L = mean over i of (<h_i1, h_i2> + sum over q of <z_i1, q>),
//                     q: the queue's rows of i's class that are not of sample i
//   wants_graph:  L = mean over i of (<decoded_i1, x_i1> + s sum over edges j -> i of w_ji <z_i1, z_j2>),
//                     s the sum of the parameter encoder.scale, edges and x those of view 1
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class Wants final : public foil::Loss {
 public:
  struct Options {
    int64_t queue_length = 3;
    void describe(foil::Fields& f) {
      f.integer("queue_length", queue_length, "rows of the queue", foil::at_least(1));
    }
  };
  explicit Wants(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.labels = true,
            .index = true,
            .features = true,
            .queues = {{.length = options_.queue_length,
                        .source = foil::QueueNeed::Source::online,
                        .view = 0,
                        .label = true,
                        .index = true}}};
  }

  Tensor forward(const LossInput& input) override {
    const foil::Queue& queue = input.queue[0];
    const Tensor alike =
        foil::same_class(input.label, queue.label).logical_and(input.index.unsqueeze(1) != queue.index);
    const Tensor similarity = torch::matmul(input.z[0], queue.data.t());  // [B, K]
    const Tensor near = torch::where(alike, similarity, torch::zeros_like(similarity)).sum(1);
    return input.mean((input.h[0] * input.h[1]).sum(1) + near);
  }

 private:
  Options options_;
};

class WantsGraph final : public foil::Loss {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit WantsGraph(Options) {}

  foil::Needs needs() const override {
    foil::Needs needs{.raw_z = true, .decoded = true, .views = true, .graph = true};
    needs.weights = {"encoder.scale"};
    return needs;
  }

  Tensor forward(const LossInput& input) override {
    const foil::View& view = input.views.at(0);
    const Tensor all = input.everyone(1), ends = view.edges.ends;  // [N, D], [2, E]
    const auto own = [&](const Tensor& x) {
      return x.slice(0, input.offset(), input.offset() + input.z[0].size(0));
    };
    Tensor neighbours = all.index_select(0, ends[0]);  // [E, D]
    if (view.edges.weight.defined()) neighbours = neighbours * view.edges.weight.unsqueeze(1);
    const Tensor sums = own(torch::zeros_like(all).index_add(0, ends[1], neighbours));
    const Tensor x = view.data.layout() == torch::kSparseCsr ? view.data.to_dense() : view.data;
    return input.mean((input.decoded[0] * own(x)).sum(1) +
                      input.weight("encoder.scale").sum() * (input.z[0] * sums).sum(1));
  }
};

class Unlabelled final : public foil::Dataset {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit Unlabelled(Options) {}
  int64_t size(foil::Split) const override { return 16; }
  std::vector<std::string> classes() const override { return {"a", "b"}; }
  Tensor labels(foil::Split split) const override {
    return split == foil::Split::train ? torch::full({16}, -1, torch::kLong)
                                       : torch::arange(16, torch::kLong) % 2;
  }
  foil::Views read(foil::Split, const Tensor& index) const override {
    foil::View view;
    view.data = (index.view({-1, 1, 1, 1}) * 16).expand({-1, 3, 8, 8}).to(torch::kByte);
    return {view};
  }
  std::vector<foil::Modality> modalities() const override {
    return {{"image", {foil::Kind::image, {3, 8, 8}, 0}}};
  }
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<Wants>("wants");
  plugin.loss<WantsGraph>("wants_graph");
  plugin.dataset<Unlabelled>("unlabelled");
}
