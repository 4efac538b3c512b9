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
  return {ends, {}, {}};
}

GraphParts parts_of(const Options& o) {
  const int64_t labelled = o.labelled * o.classes, test = labelled + o.validation_nodes;
  if (o.classes > o.nodes) refuse("classes", o.classes, "at most nodes = " + std::to_string(o.nodes));
  if (const int64_t used = test + o.test_nodes; used > o.nodes)
    refuse("nodes", o.nodes,
           "at least " + std::to_string(used) + ", those with a label, of validation and of test");
  const auto count = [](int64_t value) { return static_cast<double>(value); };  // products may pass 64 bits
  require_memory("data set 'synthetic_graph'",
                 count(o.nodes) * (4 * count(o.features) + 64 * (o.degree + 1)) +
                     4 * count(o.classes) * count(o.features));
  const Tensor node = torch::arange(o.nodes, torch::kLong);
  GraphParts parts{features_of(o),
                   edges_of(o),
                   node.remainder(o.classes),
                   node.slice(0, 0, labelled).clone(),
                   node.slice(0, labelled, test).clone(),
                   node.slice(0, test, test + o.test_nodes).clone(),
                   {}};
  parts.name.edges = "synthetic_graph";
  return parts;
}

}  // namespace

SyntheticGraph::SyntheticGraph(const Options& options)
    : GraphDataset(parts_of(options), {.layout = GraphForm::Layout::dense}), options_(options) {}

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
