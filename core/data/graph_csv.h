// SPDX-License-Identifier: BSD-3-Clause
// A graph as the Open Graph Benchmark packs its node data sets (Hu et al., 2020, ogb.stanford.edu): numbers
// between commas without a header line, each file plain or gzip, in one folder or its folder `raw`:
//   edge.csv        a line an edge: the node that it comes from, the node that it goes to
//   node-feat.csv   a line a node: its features
//   node-label.csv  optional, a line a node: its class, nan or -1 for none
// and in split/NAME of the folder train.csv, valid.csv and test.csv, each optional, a line a node.
//
//   [data]
//   name = "graph_csv"
//   path = "ogbn_arxiv"
//   undirected = true             # the file has each citation in one direction
//   batch_size = 0                # each step is the whole graph
#pragma once

#include "data/graph_dataset.h"

namespace foil {

class GraphCsv : public GraphDataset {
 public:
  struct Options {
    std::string path, split;
    GraphForm form;
    void describe(Fields& f) {
      f.path("path", path, "folder of raw/edge.csv, raw/node-feat.csv, raw/node-label.csv and split/");
      f.text("split", split, "folder in split/ whose lists of nodes are used; empty = the only one");
      form.describe(f);
    }
  };
  explicit GraphCsv(const Options& options);
};

}  // namespace foil
