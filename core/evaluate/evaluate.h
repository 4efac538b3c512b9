// SPDX-License-Identifier: BSD-3-Clause
// evaluate(): a frozen encoder -> kNN, linear probe and geometry of its features and projections, each with
// the id of its protocol. The same function measures a trained model, an untrained one and raw pixels. It
// trains nothing and never writes.
#pragma once

#include "evaluate/knn.h"
#include "evaluate/node_probe.h"
#include "evaluate/zero_shot.h"

#include <foil/dataset.h>

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil {

// "train", "test", "validation".
const char* name_of(Split split);

// Of labels kNN is always measured; the rest can be left out. evaluate() does not read the last two, which
// are for evaluation while training.
struct EvaluateOptions {
  KnnOptions knn;
  NodeProbeOptions nodes;
  ZeroShotOptions zero_shot;
  bool linear = true;
  bool class_frequency = false;
  bool clustering = false;
  bool geometry = true;
  bool retrieval = true;
  bool auc = false;
  bool baselines = false;
  int64_t batch_size = 512;
  Split split = Split::test;
  std::vector<std::string> on = {"features", "projections"};
  int64_t every_epochs = 0;
  int64_t online_samples = 2000;
  void describe(Fields& fields);
  // Throws Error (Exit::usage) for options that do not fit together.
  void check() const;
};

// Whether the samples are all nodes of a graph with labels, in order: no part was drawn of it.
bool has_nodes(const Dataset& data);
// Throws Error (Exit::usage) where nodes are to be classified and the samples are none.
void require_nodes(const EvaluateOptions& options, const Dataset& data);

struct Encoded {
  Tensor h;  // [B, F]
  Tensor z;  // [B, D]; undefined where there is no projection
};

// The clusters of a loss: of projections [N, D] as the head gives them, which one each is in, int64 [N] from
// 0 on; undefined where there are none yet.
using Assignment = std::function<Tensor(const Tensor&)>;

// What is evaluated: one modality of the samples. The functions run without gradient; whether the encoder is
// in evaluation mode is the caller's business.
struct Subject {
  // A view as `prepare` made it -> embeddings, of a graph of all nodes; each by itself (no batch statistics).
  std::function<Encoded(const View&)> encode;
  // A raw batch -> a view as an encoder takes it, without randomness. Images of different sizes are its
  // business.
  std::function<View(const Views&)> prepare;
  // Names what `prepare` does, for the protocol ids: "resize-none", "resize32-crop28".
  std::string preparation;
  // Optional: the embeddings of two augmented views of these samples (int64 [B] on the CPU). Without it there
  // is no alignment.
  std::function<std::pair<Encoded, Encoded>(Split, const Tensor&)> encode_pair;
  std::string augmentation;  // names the augmentation of encode_pair
  std::string modality;      // leads its entries where there are several subjects: "image.features.knn"
  std::vector<Assignment> assignments = {};  // of the losses that have clusters
};

// `encode` for raw pixels: h is the flattened image, or the features of nodes; z is undefined.
Encoded raw_pixels(const View& images);

// What is done, how much of it, of how much.
using EvaluationProgress = std::function<void(const std::string& what, int64_t done, int64_t all)>;

// Of each headline accuracy, by its metric ("knn", "linear"), whether every labelled sample of the measured
// split was hit, in the order of the split: bool [samples] on the CPU.
using SampleHits = std::map<std::string, Tensor>;

// Encodes train and test and returns an entry per measure, keyed "features.knn", "features.linear",
// "features.alignment", "features.uniformity", "features.effective_rank", "features.std" and the same for
// "projections":
//   {"features.knn": {"value": 84.5, "title": "kNN", "unit": "%", "digits": 1, "better": "higher",
//      "headline": true, "column": 1, "metric": "knn", ...
//      "protocol": "knn-cosine-k20-T0.07-weighted/features/train60000/test10000/resize-none/v1"}, ...}
// Asked for, also "features.knn_many", "_medium", "_few" (class_frequency.h; the same for the probe),
// "features.nmi", "_ari", "_cluster_accuracy" and "_cluster_f1", of the clusters of a loss
// "projections.assigned_nmi" and so on, which are headline numbers (clustering.h), and of the nodes of a
// graph "features.node_f1" and others (node_probe.h), which then come first. Of several subjects the entries
// of each are led by its modality ("image.features.knn"), and the headline numbers are those between their
// projections, by name "projections.image>text.R@1" and so on (retrieval.h, zero_shot.h, roc.h); of one
// subject those of the features. What an entry says of its measure is in measure.h, how a measure is added in
// measuring.h. The protocol id names everything that defines the number but the data set; values with
// different ids must not be compared. kNN and linear probe need labels in both splits; samples without one
// (-1) take no part, and without any the two are left out. Geometry is of the split that is measured, of
// train where there is none. Alignment is of its first 2,048 samples. Ranks encode contiguous blocks of whole
// batches, so that every batch is the same for any world size, and gather the rows without duplicates; each
// rank returns the same result. `progress(what, done, all)` may be empty; `hits` may be null.
nlohmann::json evaluate(const std::vector<Subject>& subjects, const Dataset& data,
                        const EvaluateOptions& options, Ranks& ranks, const EvaluationProgress& progress = {},
                        SampleHits* hits = nullptr);
nlohmann::json evaluate(const Subject& subject, const Dataset& data, const EvaluateOptions& options,
                        Ranks& ranks, const EvaluationProgress& progress = {});

}  // namespace foil
