// SPDX-License-Identifier: BSD-3-Clause
// hits.safetensors of a run folder: which samples of the measured split the trial got right, a byte each
// under the name of the metric ("knn", "linear").
#pragma once

#include "study/trial_results.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace foil {

using Hits = std::shared_ptr<const std::vector<uint8_t>>;  // 0 or 1 of each sample

// `hits`: bool [samples] by metric. Without any an old file is removed.
void write_hits(const std::string& folder, const std::map<std::string, at::Tensor>& hits);

// By metric. What is damaged, or does not give the number in `results`, counts as not there.
std::map<std::string, Hits> read_hits(const std::string& folder, const TrialResults& results);

}  // namespace foil
