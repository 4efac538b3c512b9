// SPDX-License-Identifier: BSD-3-Clause
// The items of a data set, where it is one graph.
#include "graph_data.h"

#include "evaluate/evaluate.h"
#include "graphs.h"
#include "trials.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil::conformance {
namespace {

// int64 [count] on the CPU, from `low` to `high`.
bool are_ids(const Tensor& x, int64_t count, int64_t low, int64_t high) {
  if (!x.defined() || x.scalar_type() != at::kLong || !x.device().is_cpu() ||
      x.sizes() != at::IntArrayRef({count}))
    return false;
  return count == 0 || (x.min().item<int64_t>() >= low && x.max().item<int64_t>() <= high);
}

std::string described(const Tensor& x) {
  return x.defined() ? x.toString() + " " + text_of(x.sizes()) : "undefined";
}

bool are_distinct(const Tensor& ids) {
  return std::get<0>(at::_unique(ids, /*sorted=*/true)).size(0) == ids.size(0);
}

// The features, the ends, the weights and the ids, those that are there.
Tensors parts_of(const View& view) {
  Tensors parts{{"the features", dense(view.data)}, {"the edges", view.edges.ends}};
  if (view.edges.weight.defined()) parts["the weights of edges"] = view.edges.weight;
  if (view.edges.id.defined()) parts["the ids of edges"] = view.edges.id;
  return parts;
}

void expect_labels(Item& item, const std::string& where, Split split, const Dataset& dataset) {
  const int64_t nodes = dataset.size(Split::train), classes = static_cast<int64_t>(dataset.classes().size());
  const Tensor all = dataset.node_labels(), labels = dataset.labels(split);
  if (classes == 0 || !labels.defined()) return;
  if (!are_ids(all, nodes, -1, classes - 1))
    return item.fail(where,
                     fmt::format("node_labels() is {}, allowed: int64 [{}] from -1 (none) to {} on the CPU",
                                 described(all), nodes, classes - 1));
  const Tensor own = all.index_select(0, dataset.nodes(split));
  if (split != Split::train)
    return item.expect(torch::equal(labels, own), where, "labels() are not node_labels() of nodes()");
  item.expect(((labels == -1) | (labels == own)).all().item<bool>(), where,
              "labels() are neither -1 nor node_labels() of nodes()");
  for (const Split measured : {Split::validation, Split::test}) {
    const Tensor at = dataset.nodes(measured);
    if (!are_ids(at, dataset.size(measured), 0, nodes - 1)) continue;  // said where that split is looked at
    const Tensor seen = labels.index_select(0, at);
    item.expect((seen == -1).all().item<bool>(), where,
                fmt::format("labels() of training has the label of a node of {}, allowed: -1 there",
                            name_of(measured)));
  }
}

}  // namespace

bool is_graph(const Dataset& dataset) {
  for (const Modality& modality : dataset.modalities())
    if (modality.shape.kind == Kind::graph) return true;
  return false;
}

void expect_nodes(Item& item, const std::string& where, Split split, const Dataset& dataset) {
  const int64_t nodes = dataset.size(Split::train);
  const Tensor of_split = dataset.nodes(split);
  if (!are_ids(of_split, dataset.size(split), 0, nodes - 1))
    return item.fail(where, fmt::format("nodes() is {}, allowed: int64 [{}] from 0 to {} on the CPU",
                                        described(of_split), dataset.size(split), nodes - 1));
  item.expect(are_distinct(of_split), where, "nodes() names a node twice");
  if (split == Split::train)
    item.expect(torch::equal(of_split, torch::arange(nodes)), where,
                "sample i of the training split is not node i: all nodes are in it, in their order");
  const Tensor test = dataset.nodes(Split::test);
  if (split == Split::validation && are_ids(test, dataset.size(Split::test), 0, nodes - 1))
    item.expect(are_distinct(torch::cat({of_split, test})), where, "nodes() names a node of test too");
  expect_labels(item, where, split, dataset);
}

void expect_graph(Item& item, const std::string& where, const View& view, const Dataset& dataset) {
  const int64_t nodes = dataset.size(Split::train), width = dataset.modalities()[0].shape.sizes.at(0);
  item.expect(dataset.modalities().size() == 1, where, "a graph is not its only modality");
  if (!view.data.defined() || !view.data.is_floating_point() || !view.data.device().is_cpu() ||
      view.data.sizes() != at::IntArrayRef({nodes, width}))
    return item.fail(where,
                     fmt::format("the features are {}, allowed: floats [{}, {}], all nodes whatever the "
                                 "index, on the CPU",
                                 described(view.data), nodes, width));
  item.expect_finite(where, "the features", dense(view.data));
  const Edges& edges = view.edges;
  if (!edges.ends.defined() || edges.ends.dim() != 2 || edges.ends.size(0) != 2 ||
      !are_ids(edges.ends.flatten(), edges.ends.numel(), 0, nodes - 1))
    return item.fail(where, fmt::format("the edges are {}, allowed: int64 [2, E] from 0 to {} on the CPU",
                                        described(edges.ends), nodes - 1));
  const int64_t count = edges.ends.size(1);
  item.expect(are_ids(edges.id, count, 0, count - 1) && are_distinct(edges.id), where,
              fmt::format("the ids of edges are {}, allowed: int64 [{}], each of 0 to {} once, on the CPU",
                          described(edges.id), count, count - 1));
  if (!edges.weight.defined()) return;
  item.expect(
      edges.weight.is_floating_point() && edges.weight.sizes() == at::IntArrayRef({count}), where,
      fmt::format("the weights of edges are {}, allowed: floats [{}]", described(edges.weight), count));
  item.expect_finite(where, "the weights of edges", edges.weight);
}

void expect_whole(Item& item, const std::string& where, const View& got, const View& want) {
  const Tensors a = parts_of(got), b = parts_of(want);
  if (a.size() != b.size() || got.data.layout() != want.data.layout())
    return item.fail(where, "the view has other parts, or features in another layout");
  for (const auto& [name, part] : b) item.expect_equal_bits(where, name, a.at(name), part);
}

double number_of(const View& view) {
  double number = 0, place = 1;
  for (const auto& [name, part] : parts_of(view)) {
    const Tensor entries = part.to(at::kDouble).flatten();
    number += (entries * (torch::arange(entries.size(0)) % 97 + 1)).sum().item<double>() * (place += 0.37);
  }
  return number;
}

}  // namespace foil::conformance
