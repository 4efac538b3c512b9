// SPDX-License-Identifier: BSD-3-Clause
#include "communities.h"

#include "graph_weights.h"

#include <igraph/igraph.h>

#include <mutex>

namespace foil::augment {
namespace {

void check(igraph_error_t code) {
  if (code != IGRAPH_SUCCESS) fail(Exit::failure, "communities of a graph: ", igraph_strerror(code));
}

// As igraph wants the ends of the edges, one after another; each undirected edge once.
Tensor pairs_of(const Tensor& ends, int64_t nodes) {
  const Tensor both = undirected(ends, nodes);
  return both.index_select(1, (both[0] < both[1]).nonzero().squeeze(1)).t().contiguous();  // [L, 2]
}

}  // namespace

Tensor communities(const Tensor& ends, int64_t nodes) {
  const Tensor pairs = pairs_of(ends, nodes);
  Tensor membership = at::arange(nodes, at::kLong);
  const int64_t edges = pairs.size(0);
  if (edges == 0) return membership;
  static std::mutex one_at_a_time;  // its generator and its handler of errors are the process's
  const std::lock_guard lock(one_at_a_time);
  igraph_set_error_handler(igraph_error_handler_ignore);  // that of igraph ends the process
  check(igraph_rng_seed(igraph_rng_default(), 1));

  const Tensor weight = at::bincount(pairs.flatten(), {}, nodes).to(at::kDouble);  // degrees: modularity
  igraph_vector_int_t list;
  igraph_vector_t node_weight;
  igraph_vector_int_view(&list, pairs.const_data_ptr<int64_t>(), 2 * edges);
  igraph_vector_view(&node_weight, weight.const_data_ptr<double>(), nodes);
  igraph_t graph;
  check(igraph_create(&graph, &list, nodes, IGRAPH_UNDIRECTED));
  igraph_vector_int_t found;
  igraph_error_t code = igraph_vector_int_init(&found, 0);
  if (code == IGRAPH_SUCCESS) {
    code = igraph_community_leiden(&graph, nullptr, &node_weight, 0.5 / static_cast<double>(edges),
                                   /*beta=*/0.01, /*start=*/false, /*until it is stable*/ -1, &found, nullptr,
                                   nullptr);
    for (int64_t v = 0; code == IGRAPH_SUCCESS && v < nodes; ++v)
      membership.mutable_data_ptr<int64_t>()[v] = VECTOR(found)[v];
    igraph_vector_int_destroy(&found);
  }
  igraph_destroy(&graph);
  check(code);
  return membership;
}

}  // namespace foil::augment
