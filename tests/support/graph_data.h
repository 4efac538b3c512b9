// SPDX-License-Identifier: BSD-3-Clause
// A graph as a view, and a data set of it.
#pragma once

#include <foil/dataset.h>

#include <torch/types.h>

#include <utility>

namespace foil::test {

// A graph whose edges are the places 0, 1, ... of a data set's. Features [nodes, F] of floats.
inline View graph(const Tensor& features, const Tensor& ends) {
  View view;
  view.modality = "graph";
  view.kind = Kind::graph;
  view.data = features;
  view.edges = {ends, {}, at::arange(ends.size(1), at::kLong)};
  return view;
}

// Of one graph, all of it in every split.
class GraphData final : public Dataset {
 public:
  explicit GraphData(View graph) : graph_(std::move(graph)) {}
  int64_t size(Split) const override { return graph_.size(); }
  std::vector<std::string> classes() const override { return {}; }
  Tensor labels(Split) const override { return {}; }
  std::vector<Modality> modalities() const override {
    return {{"graph", {Kind::graph, {graph_.data.size(1)}, 0}}};
  }
  Views read(Split, const Tensor&) const override { return {graph_}; }
  Tensor nodes(Split) const override { return at::arange(graph_.size(), at::kLong); }

 private:
  View graph_;
};

}  // namespace foil::test
