// SPDX-License-Identifier: BSD-3-Clause
#include "study/sample_hits.h"

#include "run/file.h"
#include "run/safetensors.h"

#include <foil/error.h>

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

namespace foil {
namespace {

std::string file_in(const std::string& folder) { return folder + "/hits.safetensors"; }

}  // namespace

void write_hits(const std::string& folder, const std::map<std::string, at::Tensor>& hits) {
  std::error_code ignored;
  if (hits.empty()) {
    std::filesystem::remove(file_in(folder), ignored);
    return;
  }
  std::map<std::string, at::Tensor> bytes;
  for (const auto& [metric, hit] : hits) bytes[metric] = hit.to(at::kByte);
  save_tensors(file_in(folder), bytes);
}

std::map<std::string, Hits> read_hits(const std::string& folder, const TrialResults& results) {
  std::map<std::string, Hits> all;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file_in(folder), ignored)) return all;
  try {
    const std::string path = file_in(folder);
    for (const auto& [metric, tensor] : parse_tensors(read_record(path), path).tensors) {
      const auto number = results.metrics.find(metric);
      if (tensor.scalar_type() != at::kByte || tensor.dim() != 1 || tensor.size(0) == 0 ||
          number == results.metrics.end())
        continue;
      const uint8_t* const begin = tensor.const_data_ptr<uint8_t>();
      auto hits = std::make_shared<std::vector<uint8_t>>(begin, begin + tensor.size(0));
      const double sum = std::accumulate(hits->begin(), hits->end(), 0.0);
      const bool flags = std::all_of(hits->begin(), hits->end(), [](uint8_t hit) { return hit <= 1; });
      if (flags && std::abs(100 * sum / static_cast<double>(hits->size()) - number->second) < 1e-9)
        all[metric] = std::move(hits);
    }
  } catch (const Error&) {
    all.clear();
  }
  return all;
}

}  // namespace foil
