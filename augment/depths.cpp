// SPDX-License-Identifier: BSD-3-Clause
// Numbers of steps for the layers of an encoder, drawn once a view: layer l gets one of {0, ..., below[l] -
// 1}, each as likely. They go to the encoder `gcn` with its option depths, as the last columns of
// View::params [nodes, layers], the same in every row; the view is else unchanged. MA-GCL (Gong et al.,
// "MA-GCL: model augmentation tricks for graph contrastive learning", AAAI 2023, section 3) has below = [2,
// 2] for one view and [8, 8] for the other.
//
//   [[augment]]
//   name = "depths"
//   below = [8, 8]
//   views = [1]
#include "graph_view.h"

#include <foil/plugin.h>

namespace {
using foil::Tensor;

class Depths final : public foil::Augmentation {
 public:
  struct Options {
    std::vector<int64_t> below = {2, 2};
    void describe(foil::Fields& f) {
      f.integers("below", below, "each layer takes fewer steps than this, 0 among them",
                 foil::between(1, 100));
    }
  };
  explicit Depths(Options options) : options_(std::move(options)) {
    if (options_.below.empty()) foil::refuse("below", "[]", "a list of one or more, one for each layer");
  }

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("depths", before);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::augment::require_graph("depths", view);
    std::vector<int64_t> depth;
    foil::Draws draws = context.shared();
    for (const int64_t below : options_.below) depth.push_back(draws.below(below));
    return foil::augment::with_params(view, at::tensor(depth, at::kLong).expand({view.size(), -1}));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Depths>("depths"); }
