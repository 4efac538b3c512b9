// SPDX-License-Identifier: BSD-3-Clause
// View: one modality of a batch of samples, as the data set delivered it or as an augmentation made it.
#pragma once

#include <foil/error.h>

#include <torch/types.h>

#include <string>
#include <vector>

namespace foil {

using at::Tensor;

// What a modality is made of. Spectrograms are audio, rows of tokens text, texts that are drawn images.
enum class Kind { image, audio, text, vector, graph };
// "image", "audio", ...
FOIL_API const char* name_of(Kind kind);

// One sample of a modality.
struct Shape {
  Kind kind = Kind::image;
  // image [C, H, W], where images differ in size [C, -1, -1]; audio [T], [C, H, W] as a spectrogram; text
  // [L]; vector [F]; graph [F], a sample being a node.
  std::vector<int64_t> sizes;
  int64_t range = 0;  // audio: samples per second; text: how many tokens there are, 256 bytes before that
};

struct Modality {
  std::string name;  // what an experiment calls it: "image", "query", "name_en"
  Shape shape;
};

// Directed edges of a graph, E of them; an undirected edge is two.
struct Edges {
  Tensor ends;    // int64 [2, E]: the nodes that each comes from, the nodes that it goes to
  Tensor weight;  // [E]; undefined: 1 each
  Tensor id;      // int64 [E] on the CPU: the place of each in the graph of the data set, which keys its
                  // draws; undefined: edges that an augmentation made
};

// The B samples of this rank in one modality. Exactly one of `data` and `ragged` is there. Of a graph, whose
// nodes are the samples, every rank has the whole: all nodes, whichever the batch is of.
struct View {
  std::string modality = "image";
  Kind kind = Kind::image;
  // image [B, C, H, W]: uint8 as read, float in [0, 1] once augmented
  // audio [B, T]: int16 as read, float in [-1, 1] once augmented; [B, C, H, W] as a spectrogram
  // text [B, L]: uint8 as read, UTF-8; int64, tokens in [0, range), once cut into tokens
  // vectors [B, F]: float
  // graph [nodes, F]: float, the features of its nodes, dense or in CSR layout
  Tensor data;
  Tensor length;  // int64 [B] on the CPU: entries of the last axis that count, zeros follow; undefined: all
  Tensor
      params;  // optional [B, P]: what an augmentation hands to the encoder or the loss (crop boxes, depths)
  Tensor key;  // int64 [B] on the CPU: what the draws of a row are keyed by; undefined in evaluation
  std::vector<Tensor>
      ragged;        // instead of `data`: B images [C, H_i, W_i] uint8 of different sizes, on the CPU
  Edges edges = {};  // of a graph
  // B, of a graph the number of its nodes; 0 for a view without samples.
  int64_t size() const { return data.defined() ? data.size(0) : static_cast<int64_t>(ragged.size()); }
};
// From a data set: one view a modality. After augmentation: the V views of the samples, all of B rows in the
// same order.
using Views = std::vector<View>;

}  // namespace foil
