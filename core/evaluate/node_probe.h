// SPDX-License-Identifier: BSD-3-Clause
// The node classification of the literature: logistic regression, one class against the rest, on frozen
// features of a few nodes of one graph, by which all others are classified. Random splits as of Zhu et al.,
// "Deep Graph Contrastive Representation Learning", 2020 (GRACE), and the split that the data set came with.
#pragma once

#include <foil/fields.h>
#include <foil/view.h>

#include <cstdint>
#include <vector>

namespace foil {

struct Measuring;

struct NodeProbeOptions {
  bool node_probe = false;
  int64_t splits = 5;
  double share = 0.1;
  uint64_t seed = 0;           // keys the random splits
  int64_t folds = 5;           // on which C is chosen
  std::vector<double> c = {};  // what is tried, ascending; empty: 2^-10, 2^-9, ..., 2^9
  double tolerance = 1e-6;     // converged: norm of the gradient at most this times that at zero
  int64_t max_iterations = 500;
  void describe(Fields& fields);
};

// Over the classes; of labels that are one a node the micro average is the accuracy.
struct F1 {
  double micro = 0, macro = 0;  // in [0, 1]
};
// `predicted`, `truth`: int64 [M] in {0, ..., classes-1}. A class that is neither predicted nor there counts
// as 0 in the macro average.
F1 f1_scores(const Tensor& predicted, const Tensor& truth, int64_t classes);

// The minimisers over W [classes, F + 1] of  ||W||^2 / 2 + C sum_i sum_k log(1 + exp(-s_ik (W [x_i; 1])_k)),
// s_ik being 1 where k is the label of row i, else -1: one for each C, fp64. The bias is penalised like a
// weight, as by liblinear. x: [n, F], label: int64 [n].
std::vector<Tensor> one_versus_rest(const Tensor& x, const Tensor& label, int64_t classes,
                                    const std::vector<double>& c, const NodeProbeOptions& options = {});

struct NodeProbe {
  F1 f1;                 // on the measured nodes
  double c = 0;          // the chosen one, the smallest of equals
  double chosen_by = 0;  // what it was chosen by, in [0, 1]
};

// C is the one with the best mean over `folds` blocks of `train`, in the order of its rows, of the share of
// left-out rows of which exactly the labelled class has a probability above a half; then all of train is
// fitted, and a node is of the most likely class. Rows [n, F] are scaled to unit norm first.
NodeProbe probe_by_folds(const Tensor& train, const Tensor& train_label, const Tensor& measured,
                         const Tensor& measured_label, int64_t classes, const NodeProbeOptions& options);
// C is the one with the best accuracy on the validation rows, which are not fitted.
NodeProbe probe_by_validation(const Tensor& train, const Tensor& train_label, const Tensor& validation,
                              const Tensor& validation_label, const Tensor& measured,
                              const Tensor& measured_label, int64_t classes, const NodeProbeOptions& options);

// "node_f1" and "node_macro_f1", the means over the random splits of all nodes with a label; and, of a data
// set with training and validation nodes, "public_f1" and "public_macro_f1" of the measured split.
void measure_nodes(Measuring& of, const NodeProbeOptions& options);

}  // namespace foil
