// SPDX-License-Identifier: BSD-3-Clause
// Leiden's algorithm by igraph, whose library is opened when communities are asked for: with what it needs
// itself it is larger than foil, and no other graph should have to wait for it or lack a plugin without it.
#include "communities.h"

#include "graph_weights.h"

#include <dlfcn.h>
#include <igraph/igraph.h>

#include <memory>
#include <mutex>

namespace foil::augment {
namespace {

class Igraph {
 public:
  // Throws Error (Exit::usage) where it is not installed.
  Igraph() : library_(dlopen("libigraph.so.3", RTLD_LAZY | RTLD_LOCAL)) {
    if (!library_)
      fail(Exit::usage,
           "communities of a graph are found by igraph 0.10, which cannot be opened: ", dlerror(),
           ". Install it: apt-get install libigraph3");
  }
  // By its name, with the type that the header gives it. The library is never closed.
  template <class F>
  F* function(const char* name) const {
    void* const found = dlsym(library_, name);
    if (!found) fail(Exit::failure, "igraph has no ", name, ", allowed: version 0.10");
    return reinterpret_cast<F*>(found);
  }
  void check(igraph_error_t code) const {
    if (code == IGRAPH_SUCCESS) return;
    fail(Exit::failure,
         "communities of a graph: ", function<decltype(igraph_strerror)>("igraph_strerror")(code));
  }

 private:
  void* library_;
};

// The ends of the edges one after another, as igraph wants them; each undirected edge once. [L, 2]
Tensor pairs_of(const Tensor& ends, int64_t nodes) {
  const Tensor both = undirected(ends, nodes);
  return both.index_select(1, (both[0] < both[1]).nonzero().squeeze(1)).t().contiguous();
}

// An error is returned; by itself igraph ends the process. Draws begin at one seed.
void prepare(const Igraph& igraph) {
  const auto ignore = igraph.function<decltype(igraph_error_handler_ignore)>("igraph_error_handler_ignore");
  igraph.function<decltype(igraph_set_error_handler)>("igraph_set_error_handler")(ignore);
  igraph_rng_t* const generator = igraph.function<decltype(igraph_rng_default)>("igraph_rng_default")();
  igraph.check(igraph.function<decltype(igraph_rng_seed)>("igraph_rng_seed")(generator, 1));
}

// The modularity is that of the weights of nodes: their degrees.
void leiden(const Igraph& igraph, const igraph_t& graph, const Tensor& degrees, const Tensor& membership) {
  igraph_vector_t weight;
  igraph_vector_int_t found;
  igraph.function<decltype(igraph_vector_view)>("igraph_vector_view")(
      &weight, degrees.const_data_ptr<double>(), degrees.size(0));
  igraph.check(igraph.function<decltype(igraph_vector_int_init)>("igraph_vector_int_init")(&found, 0));
  const igraph_error_t code = igraph.function<decltype(igraph_community_leiden)>("igraph_community_leiden")(
      &graph, nullptr, &weight, 1 / degrees.sum().item<double>(), /*beta=*/0.01, /*start=*/false,
      /*iterations: until nothing changes*/ -1, &found, nullptr, nullptr);
  for (int64_t v = 0; code == IGRAPH_SUCCESS && v < membership.size(0); ++v)
    membership.mutable_data_ptr<int64_t>()[v] = VECTOR(found)[v];
  igraph.function<decltype(igraph_vector_int_destroy)>("igraph_vector_int_destroy")(&found);
  igraph.check(code);
}

}  // namespace

Tensor communities(const Tensor& ends, int64_t nodes) {
  const Tensor pairs = pairs_of(ends, nodes), membership = at::arange(nodes, at::kLong);
  if (pairs.numel() == 0) return membership;
  static const Igraph igraph;
  static std::mutex one_at_a_time;  // its generator and its handler of errors are the process's
  const std::lock_guard lock(one_at_a_time);
  prepare(igraph);
  igraph_vector_int_t list;
  igraph_t graph;
  igraph.function<decltype(igraph_vector_int_view)>("igraph_vector_int_view")(
      &list, pairs.const_data_ptr<int64_t>(), pairs.numel());
  igraph.check(
      igraph.function<decltype(igraph_create)>("igraph_create")(&graph, &list, nodes, IGRAPH_UNDIRECTED));
  const std::unique_ptr<igraph_t, decltype(igraph_destroy)*> held(
      &graph, igraph.function<decltype(igraph_destroy)>("igraph_destroy"));
  leiden(igraph, graph, at::bincount(pairs.flatten(), {}, nodes).to(at::kDouble), membership);
  return membership;
}

}  // namespace foil::augment
