// SPDX-License-Identifier: BSD-3-Clause
// The features of a graph's nodes in another order, drawn at random, over the same edges: the corruption of
// DGI (Velickovic et al., "Deep graph infomax", ICLR 2019, section 4.2). Features in CSR layout stay so.
//
//   [[augment]]
//   name = "shuffle_features"
//   views = [1]
#include "graph_view.h"

#include <foil/plugin.h>

namespace {

class ShuffleFeatures final : public foil::Augmentation {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit ShuffleFeatures(Options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("shuffle_features", before);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::augment::require_graph("shuffle_features", view);
    foil::View out = view;
    out.data = foil::augment::rows_from(view.data, foil::augment::shuffled_nodes(context, 0));
    return out;
  }
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<ShuffleFeatures>("shuffle_features"); }
