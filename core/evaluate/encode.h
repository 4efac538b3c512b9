// SPDX-License-Identifier: BSD-3-Clause
// The embeddings of a whole split, gathered from all ranks.
#pragma once

#include "evaluate/evaluate.h"

#include <string>
#include <vector>

namespace foil {

struct Labelled {
  Tensor rows;   // [N, F]
  Tensor label;  // int64 [N]
};

// One split: embeddings by place (features, then projections where there are any) and labels (undefined:
// none).
struct Encodings {
  std::vector<Tensor> rows;
  Tensor label;

  // Only the samples with a label.
  Labelled labelled(size_t place) const;
};

// What was encoded of these samples (int64 [B]) of a split: `rows` as they are, of a graph, all of whose
// nodes were encoded, those of the samples.
Tensor rows_of(const Tensor& rows, const Dataset& data, Split split, const Tensor& index);

// By subject; every sample is read once, a graph too. Ranks encode contiguous blocks of whole batches, so
// that every batch is the same for any world size. Every rank returns all rows, in order.
std::vector<Encodings> encode_split(const std::vector<Subject>& subjects, const Dataset& data, Split split,
                                    int64_t batch_size, Ranks& ranks, const EvaluationProgress& progress);

// The first `count` samples by subject.encode_pair: of the first view by place, then of the second.
std::vector<Tensor> encode_pairs(const Subject& subject, const Dataset& data, Split split, int64_t count,
                                 int64_t batch_size, Ranks& ranks, const EvaluationProgress& progress);

// The projections of texts, the features where there are none, by a subject of texts: [N, D] on every rank.
// The texts are those of modality `modality` of a data set, none longer than it says.
Tensor encode_texts(const Subject& subject, const Dataset& data, size_t modality,
                    const std::vector<std::string>& texts, int64_t batch_size, Ranks& ranks,
                    const EvaluationProgress& progress);

}  // namespace foil
