// SPDX-License-Identifier: BSD-3-Clause
// A synthetic graph, a pure function of its options: for tests, first steps and plugins without data. A
// node's neighbours are mostly of its class, and its features a Gaussian around the drawn mean of its class
// (the sparse planted partition, a stochastic block model of equal blocks). Node i has label i % classes. The
// first nodes have their labels in training, the next are those of validation and of test.
#pragma once

#include "config/allowed.h"
#include "data/graph_dataset.h"

namespace foil {

class SyntheticGraph : public GraphDataset {
 public:
  struct Options {
    int64_t nodes = 1000;
    int64_t classes = 5;
    int64_t features = 32;
    double degree = 6;
    double homophily = 0.8;
    int64_t labelled = 20;
    int64_t validation_nodes = 0;
    int64_t test_nodes = 500;
    int64_t seed = 0;
    void describe(Fields& f) {
      f.integer("nodes", nodes, "nodes, all of which are trained on", at_least(1));
      f.integer("classes", classes, "classes", between(1, 1e6));
      f.integer("features", features, "features of a node", at_least(1));
      f.number("degree", degree, "neighbours of a node on average, before those met twice", between(0, 1e6));
      f.number("homophily", homophily, "share of neighbours that are drawn from a node's class, not from all",
               between(0, 1));
      f.integer("labelled", labelled, "nodes of each class whose label is known in training", at_least(0));
      f.integer("validation_nodes", validation_nodes, "nodes of the validation split", at_least(0));
      f.integer("test_nodes", test_nodes, "nodes of the test split", at_least(0));
      f.integer("seed", seed, "another seed is another graph", any_seed());
    }
  };
  // Throws Error (Exit::usage) for options that do not fit together, (Exit::data) where no edge was drawn.
  explicit SyntheticGraph(const Options& options);

  // Of the options: the features may differ in a last bit where the functions of the C library do.
  std::string identity() const override;

 private:
  Options options_;
};

}  // namespace foil
