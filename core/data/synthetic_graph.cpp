// SPDX-License-Identifier: BSD-3-Clause
// Drawing the nodes, each from a key of its own, and the edges from the node that draws them.
#include "data/synthetic_graph.h"

#include "data/memory.h"
#include "run/file.h"

#include <foil/random.h>

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

using Options = SyntheticGraph::Options;

Draws draws_of(const Options& o, const char* what, int64_t id) {
  return Draws(mix_key(name_key(what), static_cast<uint64_t>(o.seed)), static_cast<uint64_t>(id));
}

// [nodes, features]
Tensor features_of(const Options& o) {
  Tensor mean = torch::empty({o.classes, o.features});
  for (int64_t c = 0; c < o.classes; ++c) {
    Draws draws = draws_of(o, "class of nodes", c);
    for (int64_t f = 0; f < o.features; ++f)
      mean.mutable_data_ptr<float>()[c * o.features + f] = static_cast<float>(draws.normal());
  }
  Tensor x = mean.index_select(0, torch::arange(o.nodes).remainder(o.classes));
  float* value = x.mutable_data_ptr<float>();
  for (int64_t i = 0; i < o.nodes; ++i) {
    Draws draws = draws_of(o, "node", i);
    for (int64_t f = 0; f < o.features; ++f) *value++ += static_cast<float>(draws.normal());
  }
  return x;
}

// Half of a node's neighbours are drawn by it, the other half draw it. Both directions of each edge, those of
// the drawing node first.
Edges edges_of(const Options& o) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < o.nodes; ++i) {
    Draws draws = draws_of(o, "edges", i);
    const int64_t c = i % o.classes, in_class = (o.nodes - c + o.classes - 1) / o.classes;
    const auto mine = static_cast<int64_t>(o.degree / 2 + draws.uniform());
    for (int64_t k = 0; k < mine; ++k) {
      const bool alike = draws.uniform() < o.homophily;
      const int64_t other = alike ? c + o.classes * draws.below(in_class) : draws.below(o.nodes);
      if (other != i) pairs.emplace_back(std::min(i, other), std::max(i, other));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  Tensor ends = torch::empty({2, static_cast<int64_t>(pairs.size())}, torch::kLong);
  int64_t *from = ends.mutable_data_ptr<int64_t>(), *to = from + pairs.size();
  for (const auto& [low, high] : pairs) {
    *from++ = low;
    *to++ = high;
  }
  ends = torch::cat({ends, ends.flip(0)}, 1);
  return {ends, {}, torch::arange(ends.size(1), torch::kLong)};
}

}  // namespace

SyntheticGraph::SyntheticGraph(const Options& options) : options_(options) {
  const Options& o = options_;
  if (const int64_t used = labelled() + o.validation_nodes + o.test_nodes; used > o.nodes)
    refuse("nodes", o.nodes,
           "at least " + std::to_string(used) + ", those with a label, of validation and of test");
  const auto count = [](int64_t value) { return static_cast<double>(value); };  // products may pass 64 bits
  require_memory("data set 'synthetic_graph'",
                 count(o.nodes) * (4 * count(o.features) + 64 * (o.degree + 1)) +
                     4 * count(o.classes) * count(o.features));
  label_ = torch::arange(o.nodes, torch::kLong).remainder(o.classes);
  graph_.modality = name_of(Kind::graph);
  graph_.kind = Kind::graph;
  graph_.data = features_of(o);
  graph_.edges = edges_of(o);
}

std::vector<std::string> SyntheticGraph::classes() const {
  std::vector<std::string> names;
  for (int64_t c = 0; c < options_.classes; ++c) names.push_back(std::to_string(c));
  return names;
}

Tensor SyntheticGraph::nodes(Split split) const {
  const Options& o = options_;
  if (split == Split::train) return torch::arange(o.nodes, torch::kLong);
  const int64_t test = labelled() + o.validation_nodes;
  return split == Split::test ? torch::arange(test, test + o.test_nodes, torch::kLong)
                              : torch::arange(labelled(), test, torch::kLong);
}

Tensor SyntheticGraph::labels(Split split) const {
  if (split != Split::train) return label_.index_select(0, nodes(split));
  Tensor known = label_.clone();
  known.slice(0, labelled()).fill_(-1);
  return known;
}

std::vector<Modality> SyntheticGraph::modalities() const {
  return {{graph_.modality, {Kind::graph, {options_.features}, 0}}};
}

Views SyntheticGraph::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  View view = graph_;
  view.data = view.data.clone();  // what is given is the caller's
  view.edges.ends = view.edges.ends.clone();
  view.edges.id = view.edges.id.clone();
  return {view};
}

std::string SyntheticGraph::identity() const {
  const Options& o = options_;
  std::ostringstream all;
  all << "synthetic_graph";
  for (const int64_t value :
       {o.nodes, o.classes, o.features, o.labelled, o.validation_nodes, o.test_nodes, o.seed})
    all << ' ' << value;
  all << std::hexfloat << ' ' << o.degree << ' ' << o.homophily;
  return checksum(all.str());
}

}  // namespace foil
