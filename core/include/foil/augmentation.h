// SPDX-License-Identifier: BSD-3-Clause
// Augmentation: View -> View, batched, on the view's device. Its randomness is a pure function of (seed,
// step, sample id, view, position in the pipeline), so a sample's view has the same bits on any rank and at
// any batch position.
#pragma once

#include <foil/dataset.h>
#include <foil/random.h>
#include <foil/view.h>

#include <cstdint>
#include <sstream>
#include <vector>

namespace foil {

// The place of one application of an augmentation.
struct FOIL_API AugmentContext {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t view = 0;      // which view of the sample
  int64_t position = 0;  // in the pipeline
  Tensor index;          // int64 [B] on the CPU: sample ids (rows of the training set); of a graph all nodes

  // The Philox key of this place; combine with the sample id.
  uint64_t key() const {
    return mix_key(mix_key(mix_key(seed, static_cast<uint64_t>(step)), static_cast<uint64_t>(view)),
                   static_cast<uint64_t>(position));
  }
  // The draws of batch row b.
  Draws draws(int64_t b) const {
    return Draws(key(), static_cast<uint64_t>(index.const_data_ptr<int64_t>()[b]));
  }
  // One draw in [0, 1) for each of `ids` (int64 [n] on the CPU): float [n]. Of edges, say.
  Tensor uniform(const Tensor& ids) const;
  // A generator of draws that all samples of this view share: which features are masked, how deep.
  Draws shared() const { return Draws(key(), ~uint64_t{0}); }
  // The batch rows whose first draw is below `probability`.
  std::vector<int64_t> chosen(double probability) const {
    std::vector<int64_t> rows;
    for (int64_t b = 0; b < index.size(0); ++b)
      if (draws(b).uniform() < probability) rows.push_back(b);
    return rows;
  }
};

// Made once a run, and called for every view it applies to, one call at a time. It keeps no state between
// calls: all randomness is in the context.
class FOIL_API Augmentation {
 public:
  virtual ~Augmentation() = default;
  // Called once, before anything else, with the data set it will see: what is computed from the whole, a pure
  // function of it (vocabularies, centralities, communities). Throws Error (Exit::usage) for data that it
  // cannot take.
  virtual void setup(const Dataset&) {}
  // What it is for: it applies to the views of these kinds, to all of them unless its table names some.
  virtual std::vector<Kind> kinds() const { return {Kind::image}; }
  // The augmented view, B rows in the same order; must not write into its input. Begin with a copy of it:
  // what it does not change goes on. Images are float [B, C, H, W] in [0, 1], uint8 before the first
  // augmentation (as_float_image widens them); View says what other kinds are. Throws Error (Exit::usage) for
  // data it is not for. An augmentation that says accepts_ragged() may be the first of a pipeline over images
  // of different sizes: it then gets View::ragged and returns `data`.
  virtual View apply(const View& view, const AugmentContext& context) = 0;
  virtual bool accepts_ragged() const { return false; }
  // The view in evaluation, without randomness; unchanged unless the augmentation also prepares
  // (normalisation, sizes). What it does then is named by evaluation_name, which becomes part of the protocol
  // of every result.
  virtual View evaluate(const View& view) { return view; }
  virtual std::string evaluation_name() const { return {}; }
  // The shape of a sample after this augmentation, from that before. Throws Error (Exit::usage) for shapes it
  // cannot take.
  virtual Shape shape_after(const Shape& before) const { return before; }
};

// Images [B, C, H, W] as the arithmetic wants them: uint8 divided by 255, half precision widened, float and
// double as they are. Throws Error (Exit::usage) for anything else.
inline Tensor as_float_image(const Tensor& images) {
  if (!images.defined())
    fail(Exit::usage,
         "images of different sizes: the first augmentation must be one that brings them to one size");
  if (images.dim() != 4)
    fail(Exit::usage, "an image augmentation got data ", images.sizes(), ", allowed: images [B, C, H, W]");
  const at::ScalarType type = images.scalar_type();
  if (type == at::kByte) return images.to(at::kFloat).div_(255);
  if (type == at::kFloat || type == at::kDouble) return images;
  if (type == at::kHalf || type == at::kBFloat16) return images.to(at::kFloat);
  fail(Exit::usage, "an image augmentation got ", images.dtype(), ", allowed: uint8, float, double");
}

// Waves [B, T] as the arithmetic wants them: int16 divided by 32768, float and double as they are. Throws
// Error (Exit::usage) for anything else.
inline Tensor as_float_wave(const Tensor& waves) {
  if (waves.dim() != 2)
    fail(Exit::usage, "an augmentation of waves got data ", waves.sizes(), ", allowed: waves [B, T]");
  const at::ScalarType type = waves.scalar_type();
  if (type == at::kShort) return waves.to(at::kFloat).div_(32768);
  if (type == at::kFloat || type == at::kDouble) return waves;
  fail(Exit::usage, "an augmentation of waves got ", waves.dtype(), ", allowed: int16, float, double");
}

// `images` [B, C, H, W] with these rows of the batch replaced by f(rows), a function from [n, C, H, W] to the
// same shape and type.
template <class F>
Tensor on_rows(const Tensor& images, const std::vector<int64_t>& rows, F f) {
  if (rows.empty()) return images;
  if (static_cast<int64_t>(rows.size()) == images.size(0)) return f(images);
  const Tensor row = at::tensor(rows).to(images.device());
  return images.index_copy(0, row, f(images.index_select(0, row)));
}

// An option that is an interval: two numbers, the lower one first; else throws Error (Exit::usage) under the
// name `option`.
inline void check_interval(const char* option, const std::vector<double>& got) {
  if (got.size() == 2 && got[0] <= got[1]) return;
  std::ostringstream text;
  for (size_t i = 0; i < got.size(); ++i) text << (i ? ", " : "") << got[i];
  refuse(option, "[" + text.str() + "]", "[low, high] with low <= high");
}

}  // namespace foil
