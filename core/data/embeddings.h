// SPDX-License-Identifier: BSD-3-Clause
// Embeddings: what other models gave for each sample, an array a modality, so that only heads are trained.
// One folder holds, for each split (train, validation, test), either
//   train.safetensors                     arrays by name
//   train.NAME.npy, train.OTHER.npy       an array each
// Arrays [N, F] of floats are modalities under their names; "label" (int [N], -1: has none) and "group" (int
// [N]: rows of one group are relevant to each other, -1 is of none) are what they say.
//
//   [data]
//   name = "embeddings"
//   path = "clip-features"                 [views] of = ["image", "text"]
//
//   [encoder]
//   name = "mlp"
//   widths = []                            # h is the embedding itself
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Embeddings : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of train, validation and test, each .safetensors or an .npy an array (train.image.npy); "
             "train must be there");
    }
  };
  explicit Embeddings(const Options& options);
};

}  // namespace foil
