// SPDX-License-Identifier: BSD-3-Clause
// NumPy's .npy files: a short description of an array, then its numbers. Format 1.0 to 3.0, little-endian
// numbers in C order. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <torch/types.h>

#include <string>

namespace foil {

// The array of a file, on the CPU. Throws Error (Exit::data) with "PATH: ..." for what is no such file, is
// cut off, or holds numbers of another kind than float16, float32, float64, int32 and int64.
at::Tensor load_npy(const std::string& path);

}  // namespace foil
