// SPDX-License-Identifier: BSD-3-Clause
// Synthetic samples, a pure function of their options: for tests, first steps and plugins without data. A
// class is an elongated blob of its own colour and orientation, at a drawn place, under noise; or, with
// `features`, a Gaussian around a drawn mean. Sample i has label i % classes. Of several modalities each
// tells of the class and, less plainly, of the sample's place in the image: a vector by an offset, a wave by
// its loudness beside the pitch of its class, a text by words.
#pragma once

#include "config/allowed.h"
#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Synthetic : public MemoryDataset {
 public:
  struct Options {
    int64_t samples = 1000;
    int64_t test_samples = 200;
    int64_t classes = 10;
    int64_t channels = 3;
    int64_t size = 32;
    int64_t features = 0;
    std::vector<std::string> modalities;
    int64_t seed = 0;
    void describe(Fields& f) {
      f.integer("samples", samples, "training samples", at_least(1));
      f.integer("test_samples", test_samples, "test samples", at_least(0));
      f.integer("classes", classes, "classes", between(1, 1e6));
      f.integer("channels", channels, "channels of an image", at_least(1));
      f.integer("size", size, "height and width of an image", at_least(1));
      f.integer("features", features, "width of a vector; 0 = images", at_least(0));
      f.texts(
          "modalities", modalities,
          "what a sample is made of, of image, vector, audio, text: several that tell of one class and one "
          "place; empty = images, or vectors with `features`");
      f.integer("seed", seed, "another seed is another data set", any_seed());
    }
  };
  explicit Synthetic(const Options& options);
  // Of the options: the samples may differ in a last bit where the functions of the C library do.
  std::string identity() const override;

 private:
  Options options_;
};

}  // namespace foil
