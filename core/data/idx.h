// SPDX-License-Identifier: BSD-3-Clause
// IDX, the format of MNIST and its relatives, plain or gzip: a big-endian header, then unsigned bytes.
//   images: 00 00 08 03, N, H, W (one channel) or 00 00 08 04, N, C, H, W (channels first)
//   labels: 00 00 08 01, N
// Other element types (idx2 labels, audio in shorts) are refused.
//   [data]
//   name = "idx"
//   path = "omniglot-small"
//   test_images = "test-images-idx3-ubyte"
//   test_labels = "test-labels-idx1-ubyte"
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Idx : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    std::string train_images = "train-images-idx3-ubyte";
    std::string train_labels = "train-labels-idx1-ubyte";
    std::string test_images = "t10k-images-idx3-ubyte";
    std::string test_labels = "t10k-labels-idx1-ubyte";
    void describe(Fields& f) {
      f.path("path", path, "folder of the IDX files");
      f.text("train_images", train_images,
             "file of the training images, idx3 or idx4; also found with .gz added");
      f.text("train_labels", train_labels, "file of the training labels, idx1; empty = no labels");
      f.text("test_images", test_images, "file of the test images; empty = no test split");
      f.text("test_labels", test_labels, "file of the test labels; empty = no labels");
    }
  };
  explicit Idx(const Options& options);
};

class Mnist : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    void describe(Fields& f) {
      f.path("path", path, "folder of the four IDX files; empty = $FOIL_DATA/mnist");
    }
  };
  explicit Mnist(const Options& options);
};

class FashionMnist : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of the four IDX files; empty = $FOIL_DATA/fashion-mnist, else "
             "/usr/share/datasets/fashion-mnist");
    }
  };
  explicit FashionMnist(const Options& options);
};

}  // namespace foil
