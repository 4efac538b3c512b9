// SPDX-License-Identifier: BSD-3-Clause
// CIFAR-10 and CIFAR-100 in their binary version (not the Python pickles): records of one label byte
// (CIFAR-100: coarse, fine), then 32x32 red, green and blue planes, row-major. Krizhevsky, 2009.
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Cifar10 : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of data_batch_1.bin to data_batch_5.bin and test_batch.bin; empty = "
             "$FOIL_DATA/cifar-10-batches-bin");
    }
  };
  explicit Cifar10(const Options& options);
};

class Cifar100 : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    bool coarse = false;
    void describe(Fields& f) {
      f.path("path", path, "folder of train.bin and test.bin; empty = $FOIL_DATA/cifar-100-binary");
      f.flag("coarse", coarse, "the 20 superclasses as labels instead of the 100 classes");
    }
  };
  explicit Cifar100(const Options& options);
};

}  // namespace foil
