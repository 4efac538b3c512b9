// SPDX-License-Identifier: BSD-3-Clause
// Data sets of several modalities whose files hold the same samples in the same order, beside an index.tsv
// that has a row for each of them, with the columns "row" (0, 1, ...) and "split" (train, validation, test).
#pragma once

#include "data/memory.h"
#include "data/tsv.h"

#include <functional>

namespace foil {

// The rows of each split in the order of the files, int64 on the CPU.
struct SplitRows {
  Tensor train, validation, test;
};

// Reads index.tsv of a folder, which must hold `count` rows, as `other` (a file) does. `each` looks at the
// row at hand, whose number it is given, and says whether it is a sample. Throws Error (Exit::data) with
// FILE:LINE, also where no row is of the training split.
SplitRows read_index(Tsv& index, int64_t count, const std::string& other,
                     const std::function<bool(int64_t row, Split split)>& each);

// The splits of samples that were read whole: `all` has every row of the files.
void set_splits(const Table& all, const SplitRows& rows, Contents& contents);

}  // namespace foil
