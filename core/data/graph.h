// SPDX-License-Identifier: BSD-3-Clause
// A graph in one safetensors file, plain or gzip:
//   x            [N, F]           features; or, where most are 0, their non-zeros:
//   x_indices    integers [2, n]  row and column of each, x_values [n], x_shape [2] = N, F
//   edge_index   integers [2, E]  the nodes that each edge comes from, those that it goes to; an undirected
//                                 edge is two
//   edge_weight  [E]              optional
//   y            integers [N]     optional: the class of each node, -1 for none
//   train_index, val_index, test_index, unlabelled_index   optional lists of nodes; y of the last are no
//                                 labels
//
//   [data]
//   name = "graph"
//   path = "mine.safetensors"
//   batch_size = 0                # each step is the whole graph
#pragma once

#include "data/graph_dataset.h"

namespace foil {

class Graph : public GraphDataset {
 public:
  struct Options {
    std::string path;
    GraphForm form;
    void describe(Fields& f) {
      f.path("path", path, "safetensors file of the graph");
      form.describe(f);
    }
  };
  explicit Graph(const Options& options);
};

// Citations between papers, with the splits of Yang et al., "Revisiting Semi-Supervised Learning with Graph
// Embeddings", ICML 2016: 20 training nodes a class, 500 validation nodes, 1,000 test nodes.
class Cora : public GraphDataset {
 public:
  struct Options {
    std::string path;
    GraphForm form;
    void describe(Fields& f) {
      f.path("path", path, "folder of cora.safetensors; empty = $FOIL_DATA/cora");
      form.describe(f);
    }
  };
  explicit Cora(const Options& options);
};

class CiteSeer : public GraphDataset {
 public:
  struct Options {
    std::string path;
    GraphForm form;
    void describe(Fields& f) {
      f.path("path", path, "folder of citeseer.safetensors; empty = $FOIL_DATA/citeseer");
      form.describe(f);
    }
  };
  explicit CiteSeer(const Options& options);
};

}  // namespace foil
