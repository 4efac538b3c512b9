// SPDX-License-Identifier: BSD-3-Clause
// The host of an encoder in miniature: what the training loop gives it and does with what it returns.
#pragma once

#include "option_sets.h"
#include "trials.h"

#include <foil/encoder.h>
#include <foil/ranks.h>

namespace foil::conformance {

constexpr int64_t kSamples = 7;

// What an encoder is built for in a trial: "images [3, 18, 13]", "vectors [12]", "tokens [9]".
struct DataShape {
  std::string text;
  Shape shape;          // of a sample
  bool sparse = false;  // of a graph: x in CSR layout
};

// An encoder as an experiment builds it, and its steps. Trials of one option set and shape begin equal.
class EncoderTrial {
 public:
  EncoderTrial(const Component& encoder, const OptionSet& set, const DataShape& data,
               at::ScalarType type = at::kDouble, at::Device device = at::kCPU);

  Encoder& encoder() { return *encoder_; }
  std::shared_ptr<Encoder> shared() { return encoder_; }
  bool of_graphs() const { return data_.shape.kind == Kind::graph; }
  // The seven samples of a step in training, with keys: [7, shape]; in evaluation they have none.
  View view(int64_t step) const;
  // Forward, backward of a mean over the global batch, a step of gradient descent. "the features" are this
  // rank's `count` rows, which begin at `before`; "the gradient of NAME" is averaged over ranks. Of the
  // samples `view` has all: an encoder gets those of this rank; of a graph all, and knows no ranks.
  Tensors step(const View& view, int64_t before = 0, int64_t count = kSamples,
               const std::shared_ptr<Ranks>& ranks = nullptr);
  Tensor features(const View& view) { return encoder_->forward(view).pooled; }
  Tensors state() const;            // copies of parameters and buffers
  void load(const Tensors& state);  // as a checkpoint does

 private:
  std::shared_ptr<Encoder> encoder_;
  DataShape data_;
  at::ScalarType type_;
  at::Device device_;
};

// The samples of a view at these positions, in this order; of a graph their subgraph.
View rows(const View& view, const Tensor& positions);
View rows(const View& view, int64_t begin, int64_t count);
View without_key(View view);

// Seven samples of a shape as augmentations deliver them, of a graph its seven nodes; `seed` says which.
View samples_of(const DataShape& data, uint64_t seed);

// The shapes among a few usual ones that the encoder takes under these options, by its setup and a forward in
// evaluation; `refused` gets what it said to the others. Images of usual sizes are tried only where the small
// ones are not taken.
std::vector<DataShape> accepted_shapes(const Component& encoder, const OptionSet& set,
                                       std::vector<std::string>& refused);

}  // namespace foil::conformance
