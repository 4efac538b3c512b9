// SPDX-License-Identifier: BSD-3-Clause
// Digits in three modalities: an image of a handwritten digit, a recording of it spoken, a text that names
// it. Rows are paired by digit alone, so any two samples of one digit match equally well: groups() is the
// digit. One folder holds, each file plain or gzip,
//   images-idx3-ubyte       N, H, W       uint8
//   audio-idx2-short        N, T          int16 at 8 kHz, zeros behind each recording
//   audio-lengths-idx1-int  N             int32: the samples of each recording, 1 to T
//   labels-idx1-ubyte       N             uint8: the digit, 0 to 9
//   index.tsv               N rows        columns row, split, digit, text, and any others
//
//   [data]
//   name = "digits"
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

// image [1, H, W], audio [T], text [L], L = bytes of the longest one.
class Digits : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of the images, the recordings and index.tsv; empty = $FOIL_DATA/digits-trimodal");
    }
  };
  explicit Digits(const Options& options);
};

}  // namespace foil
