// SPDX-License-Identifier: BSD-3-Clause
// Online values of trials, and the median over those of complete ones.
#include "study/pruning.h"

#include "run/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace foil {
namespace {

// The mean of the values up to `step`; nothing where there is none.
std::optional<double> running_mean(const std::vector<OnlineValue>& values, int64_t step) {
  double sum = 0;
  int64_t count = 0;
  for (const OnlineValue& one : values) {
    if (one.step > step) continue;
    sum += one.value;
    ++count;
  }
  return count > 0 ? std::optional(sum / static_cast<double>(count)) : std::nullopt;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

// Only rows with a protocol were measured on data, so most lines need no parsing.
std::map<std::string, std::vector<OnlineValue>> read_online(const std::string& folder,
                                                            const TrialResults& results) {
  std::map<std::string, std::vector<OnlineValue>> online;
  const std::string path = folder + "/metrics.jsonl";
  if (!std::filesystem::is_regular_file(path)) return online;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find(".protocol\"") == std::string::npos) continue;
    const auto row = parse_json_or_null(line);
    if (!row.is_object()) continue;
    for (const auto& [metric, value] : results.metrics) {
      const Measure measure = measure_in(results, metric);
      if (!measure.headline || measure.better == Better::neither || !row.contains(metric + ".protocol"))
        continue;
      const auto field = [&](const std::string& key) { return row.value(key, nlohmann::json()); };
      if (!field(metric).is_number() || !field("epoch").is_number_integer() ||
          !field("step").is_number_integer())
        continue;
      online[metric].push_back({field("step"), field("epoch").get<int64_t>() + 1, field(metric)});
    }
  }
  return online;
}

void Pruning::complete(const std::string& folder, const TrialResults& results) {
  const auto online = read_online(folder, results);
  if (metric_.empty()) {
    for (const auto& [metric, values] : online) {
      const Measure measure = measure_in(results, metric);
      if (!metric_.empty() && measure.column >= measure_.column) continue;
      metric_ = metric;
      measure_ = measure;
      judged_by_ = results;
    }
  }
  if (const auto found = online.find(metric_); found != online.end()) complete_.push_back(found->second);
}

std::optional<std::string> Pruning::behind(const std::string& folder) const {
  if (complete_.size() < kFewest) return std::nullopt;
  const auto online = read_online(folder, judged_by_);
  const auto found = online.find(metric_);
  if (found == online.end()) return std::nullopt;
  const std::vector<OnlineValue>& own = found->second;
  const auto best = std::min_element(own.begin(), own.end(), [&](const OnlineValue& a, const OnlineValue& b) {
    return is_better(measure_, a.value, b.value);
  });
  std::vector<double> others;
  for (const auto& values : complete_)
    if (const auto mean = running_mean(values, own.back().step)) others.push_back(*mean);
  if (others.size() < kFewest) return std::nullopt;
  const double middle = median(others);
  if (!is_better(measure_, middle, best->value)) return std::nullopt;
  return fmt::format("after epoch {} its best {}, {}, is worse than {}, the median of {} complete trials",
                     own.back().epoch, measure_.title, value_text(measure_, best->value),
                     value_text(measure_, middle), others.size());
}

}  // namespace foil
