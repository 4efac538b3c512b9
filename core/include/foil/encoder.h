// SPDX-License-Identifier: BSD-3-Clause
// Encoder: a view -> features h. Parameter names are the published ones (torchvision, timm), so that weights
// load both ways.
#pragma once

#include <foil/view.h>

#include <torch/nn/module.h>

#include <string_view>

namespace foil {

// What an encoder gives of the B samples of a view.
struct Features {
  Tensor pooled;   // [B, F], F = feature_dim(): h, which heads, losses and evaluation read
  Tensor map;      // optional [B, C, H, W], before pooling
  Tensor tokens;   // optional [B, L, C]
  Tensor decoded;  // optional [B, ...]: what a decoder makes of h, for losses that compare it with the view
};

// What an encoder is built for.
struct EncoderSizes {
  int64_t channels = 0;  // of the image or spectrogram after augmentation; of vectors and nodes the width
  int64_t height = 0;    // pixels, frequencies; 0 for vectors, nodes, waves and text
  int64_t width = 0;     // pixels, frames
  Kind kind = Kind::image;
  int64_t length = 0;      // of a wave in samples, of a text in tokens; 0 otherwise
  int64_t vocabulary = 0;  // how many tokens there are; 0 otherwise
};

// Throws Error (Exit::usage) unless it is images or spectrograms [C, H, W] that `encoder` is built for.
FOIL_API void require_images(const char* encoder, const EncoderSizes& sizes);

// The host moves, trains, averages over ranks, checkpoints and loads it by the names under which its parts
// are registered. Batch norm is foil::BatchNorm: LibTorch's own, whose statistics are those of one rank, is
// refused where there are several.
class FOIL_API Encoder : public torch::nn::Module {
 public:
  // Called once, before the optimizer and any load of weights: layers whose shape follows from the data are
  // registered here. Throws Error (Exit::usage) when it cannot be built for such data.
  virtual void setup(const EncoderSizes& sizes) = 0;
  // h of a view after augmentation: view.data is float [B, C, H, W] (images in [0, 1] unless an augmentation
  // normalised them, spectrograms), [B, T] (waves) or [B, F] (vectors), or int64 [B, L] (tokens, of which
  // view.length count), on the encoder's device; of a graph [nodes, F] with view.edges, B being all nodes. B
  // is that of this rank, may be 0, and of several views when they run as one batch (model.batch_norm =
  // "all_views"). Height and width may differ from those of setup: crops of several sizes. Runs under bf16
  // autocast where the run asks for it; what it returns is then widened. is_training() tells training from
  // evaluation, in which it must not draw and its state must not move; in training it draws by dropout() and
  // stochastic_depth() below, never from a global generator. Throws Error (Exit::failure) naming the shape
  // that does not fit.
  virtual Features forward(const View& view) = 0;
  virtual int64_t feature_dim() const = 0;  // F, valid after setup
};

// x [B, ...] with each entry 0 with `probability` in [0, 1), else divided by 1 - probability (Srivastava et
// al., JMLR 2014). The draws are keyed by View::key and `name`, one name for each place of the encoder: a
// sample's are the same on any rank, at any place of the batch and after a resume. x itself where `key` is
// undefined, as in evaluation. Throws Error (Exit::usage) for another probability, or where x has not a row
// per key.
FOIL_API Tensor dropout(const Tensor& x, double probability, const Tensor& key, std::string_view name);

// The same with one draw per row: a residual branch that is left out for some samples (Huang et al., "Deep
// networks with stochastic depth", ECCV 2016).
FOIL_API Tensor stochastic_depth(const Tensor& x, double probability, const Tensor& key,
                                 std::string_view name);

}  // namespace foil
