// SPDX-License-Identifier: BSD-3-Clause
// The features of some nodes of a graph hidden, for a masked auto-encoder (GraphMAE: Hou et al., KDD 2022,
// section 3.1). Of N nodes m = fraction N are masked, drawn at random; of them (1 - replaced) m have their
// features set to 0, where the encoder puts its token, and replaced m get those of other nodes, each of
// another one; all three numbers are rounded down, so that a few masked nodes may keep theirs. What became of
// a node is the first column of View::params [nodes, 1]:
//
//   0 not masked     1 set to 0, the token's     2 another node's     3 masked, but as it was
//
// for the encoder `gcn` with a decoder and for the loss, which compares the nodes that are not 0. It belongs
// in front of what else hands something on. Features in CSR layout stay so.
//
//   [[augment]]
//   name = "mask_nodes"
//   fraction = 0.5
//   replaced = 0.05
#include "graph_view.h"

#include <foil/plugin.h>

namespace {
using foil::Tensor;

class MaskNodes final : public foil::Augmentation {
 public:
  struct Options {
    double fraction = 0.5;
    double replaced = 0;
    void describe(foil::Fields& f) {
      f.number("fraction", fraction, "share of the nodes that are masked", foil::between(0, 1));
      f.number("replaced", replaced, "share of these that get another node's features instead of the token",
               foil::between(0, 1));
    }
  };
  explicit MaskNodes(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("mask_nodes", before);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::augment::require_graph("mask_nodes", view);
    const int64_t nodes = view.size(), masked = share(options_.fraction, nodes),
                  hidden = share(1 - options_.replaced, masked), replaced = share(options_.replaced, masked);
    const Tensor order = foil::augment::shuffled_nodes(context, 0);  // the first `masked` of it
    Tensor what = at::zeros({nodes}, at::kFloat), source = at::arange(nodes, at::kLong);
    const Tensor others = foil::augment::shuffled_nodes(context, 1);
    what.index_fill_(0, order.narrow(0, 0, masked), 3);
    what.index_fill_(0, order.narrow(0, 0, hidden), 1);
    source.index_fill_(0, order.narrow(0, 0, hidden), -1);
    const Tensor noisy = order.narrow(0, hidden, replaced);
    what.index_fill_(0, noisy, 2);
    source.index_copy_(0, noisy, others.narrow(0, 0, replaced));
    foil::View out = foil::augment::with_params(view, what.unsqueeze(1));
    out.data = foil::augment::rows_from(view.data, source);
    return out;
  }

 private:
  static int64_t share(double of, int64_t count) {
    return static_cast<int64_t>(of * static_cast<double>(count));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<MaskNodes>("mask_nodes"); }
