// SPDX-License-Identifier: BSD-3-Clause
// What a measure is given and what it gives: each has a function `void measure_NAME(Measuring&, ...)` in its
// own file, which evaluate() calls for the features and for the projections.
#pragma once

#include "evaluate/encode.h"
#include "evaluate/measure.h"

#include <string>
#include <vector>

namespace foil {

// An accuracy with the hit or miss behind it, for who splits it further.
struct Accuracy {
  std::string name;  // "knn"
  Measure measure;
  std::string protocol;
  Tensor hits;  // bool [queries]
};

// The nodes of one graph, for protocols that draw splits of their own.
struct Nodes {
  Tensor rows;                         // [nodes, F]; undefined where the samples are no nodes
  Tensor label;                        // int64 [nodes], -1: has none
  Tensor train, validation, measured;  // int64: the nodes with a label of these splits
};

// The embeddings of one place, and the entries that are made of them.
struct Measuring {
  Measuring(Ranks& all_ranks, const EvaluationProgress& told, nlohmann::json& entries)
      : ranks(all_ranks), progress(told), result(entries) {}

  std::string place;        // "features", "projections"
  bool heads = false;       // whether a headline measure of this place heads the tables
  std::string preparation;  // names what was done to the images, for protocol ids
  int64_t classes = 0;
  std::string split;       // what is measured: "test", "validation"; "train" where there is neither
  Tensor rows;             // all of it [N, F]
  Labelled bank, queries;  // samples with a label of train and test; without labels no tensors
  Nodes nodes;
  Tensor first_view, second_view;    // two views of the first samples of the split [P, F]; undefined: none
  std::string augmentation;          // names what made them
  std::vector<Accuracy> accuracies;  // so far
  Ranks& ranks;
  const EvaluationProgress& progress;
  nlohmann::json& result;
  int64_t columns = 0;  // headline entries so far

  // "WHAT/features/train60000/test10000/resize-none/v1", of what is learned from the bank.
  std::string learned_id(const std::string& what) const;
  // "WHAT/features/test10000/resize-none/v1", of so many rows of a split.
  std::string id(const std::string& what, const std::string& of_split, int64_t count) const;

  // Says how far a measure is: "features kNN", 0 of 1.
  void report(const char* what, int64_t done, int64_t all) const;
  // Adds "PLACE.NAME" to the result, with `more` beside what the measure says. A headline measure of a place
  // that heads is NAME among the metrics and has the next column; elsewhere it is no headline, and its title
  // names the place.
  void add(const std::string& name, Measure measure, double value, const std::string& protocol,
           const nlohmann::json& more = nlohmann::json::object());
  // A headline in percent, the higher the better: how many queries were found to be of their class. `found`:
  // int64 [queries]. Kept in `accuracies`; of up to 20 classes the entry has the counts as "confusion", a
  // list a class of how many of it were found to be of each.
  void add_accuracy(const std::string& name, const std::string& title, const Tensor& found,
                    const std::string& protocol, nlohmann::json more);
};

}  // namespace foil
