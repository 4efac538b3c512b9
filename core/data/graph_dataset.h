// SPDX-License-Identifier: BSD-3-Clause
// A data set of one graph, held once in memory: what its readers fill. It reads no file.
#pragma once

#include "data/remarks.h"

#include <foil/dataset.h>
#include <foil/fields.h>

#include <mutex>

namespace foil {

// What is made of a graph once it is read; the options that its readers share.
struct GraphForm {
  enum class Layout { automatic, dense, csr };
  bool row_normalise = false;
  bool undirected = false;
  Layout layout = Layout::automatic;
  void describe(Fields& f);
};

// A graph as a file holds it, of any values: GraphDataset looks at them.
struct GraphParts {
  Tensor x;                        // float [N, F], strided or coalesced COO
  Edges edges;                     // without ids
  Tensor label;                    // int64 [N], -1: has none; undefined: no labels
  Tensor train, validation, test;  // int64 lists of nodes; undefined: no such split
  // What messages call them: "cora.safetensors: train_index".
  struct {
    std::string x, edges, label, train, validation, test;
  } name;
};

// A node is a sample. The training split is all nodes; those of GraphParts::train have labels in it.
class GraphDataset : public Dataset, public Remarks {
 public:
  // Throws Error (Exit::data) naming the part and the place in it: no node or edge; an edge that ends in no
  // node; two edges from a node to itself; features or weights that are nan or inf; a label that is no class;
  // a split that names a node twice, one of another split, none that is there, or one without a label.
  GraphDataset(GraphParts parts, const GraphForm& form);

  int64_t size(Split split) const override;
  std::vector<std::string> classes() const override { return classes_; }
  Tensor labels(Split split) const override;
  std::vector<Modality> modalities() const override;
  Views read(Split split, const Tensor& index) const override;
  Tensor nodes(Split split) const override;
  Tensor node_labels() const override { return parts_.label; }
  // Of the graph as it is held: in whichever layout, but other edges and normalised features are other data.
  std::string identity() const override;
  bool in_memory() const override { return true; }
  std::vector<std::string> remarks() const override { return remarks_; }

 private:
  GraphParts parts_;
  std::vector<std::string> classes_, remarks_;
  mutable std::once_flag hashed_;
  mutable std::string identity_;
};

}  // namespace foil
