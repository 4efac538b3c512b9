// SPDX-License-Identifier: BSD-3-Clause
// STL-10, binary: 96x96 images as red, green and blue planes, each column after column; labels 1 to 10 become
// 0 to 9. Coates, Ng, Lee, 2011.
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Stl10 : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    bool unlabelled = false;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of train_X.bin, train_y.bin, test_X.bin, test_y.bin; empty = $FOIL_DATA/stl10_binary");
      f.flag("unlabelled", unlabelled,
             "unlabeled_X.bin follows the labelled images in the training set, with label -1");
    }
  };
  explicit Stl10(const Options& options);
};

}  // namespace foil
