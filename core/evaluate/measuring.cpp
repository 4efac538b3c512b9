// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/measuring.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {

std::string Measuring::learned_id(const std::string& what) const {
  return fmt::format("{}/{}/train{}/{}{}/{}/v1", what, place, bank.rows.size(0), split, queries.rows.size(0),
                     preparation);
}

std::string Measuring::id(const std::string& what, const std::string& of_split, int64_t count) const {
  return fmt::format("{}/{}/{}{}/{}/v1", what, place, of_split, count, preparation);
}

void Measuring::report(const char* what, int64_t done, int64_t all) const {
  if (progress) progress(place + " " + what, done, all);
}

void Measuring::add(const std::string& name, Measure measure, double value, const std::string& protocol,
                    const nlohmann::json& more) {
  measure.headline = measure.headline && heads;
  if (measure.headline) {
    measure.column = ++columns;
  } else {
    measure.title = place + " " + measure.title;
  }
  nlohmann::json entry = entry_of(measure, value, protocol);
  if (measure.headline) entry["metric"] = name;
  entry.update(more);
  result[place + "." + name] = std::move(entry);
}

void Measuring::add_accuracy(const std::string& name, const std::string& title, const Tensor& found,
                             const std::string& protocol, nlohmann::json more) {
  constexpr int64_t kMostClasses = 20;
  const Tensor label = queries.label.cpu(), hits = found == label;
  if (classes <= kMostClasses) {
    const Tensor counts = (label * classes + found).bincount({}, classes * classes);
    for (int64_t c = 0; c < classes; ++c) {
      const int64_t* const row = counts.const_data_ptr<int64_t>() + c * classes;
      more["confusion"].push_back(std::vector<int64_t>(row, row + classes));
    }
  }
  Measure measure{title, "%", 1, Better::higher, true};
  add(name, measure, 100 * hits.to(torch::kDouble).mean().item<double>(), protocol, more);
  accuracies.push_back({name, std::move(measure), protocol, hits});
}

}  // namespace foil
