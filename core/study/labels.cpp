// SPDX-License-Identifier: BSD-3-Clause
// Reads the labels that a study keeps and puts them in place of names.
#include "study/labels.h"

#include "run/file.h"
#include "run/json.h"
#include "study/comparison.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <nlohmann/json.hpp>

#include <sstream>

namespace foil {

void add_labels(Labels& labels, const std::string& study) {
  const std::string path = study + "/report.json";
  const auto text = read_text(path);
  if (!text) return;
  const auto json = parse_json(*text, path);
  try {
    for (const auto& [name, label] : json.at("variants").items())
      labels.variants.emplace(name, label.get<std::string>());
    for (const auto& [name, label] : json.at("metrics").items())
      labels.metrics.emplace(name, label.get<std::string>());
    labels.commands.push_back(json.at("command").get<std::string>());
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, path, ": not what a report is written with: ", complaint(error));
  }
}

std::string label_of(const std::string& variant, const Labels& labels) {
  const auto of = [&](const std::string& name) {
    const auto at = labels.variants.find(name);
    return at == labels.variants.end() ? name : at->second;
  };
  if (labels.variants.contains(variant)) return of(variant);
  std::string text;
  std::istringstream words(variant);
  for (std::string word; std::getline(words, word, ' ');) text += (text.empty() ? "" : " ") + of(word);
  return text;
}

Comparison labelled(const Comparison& comparison) {
  Comparison named = comparison;
  for (Row& row : named.rows) {
    row.plain = row.variant.empty() ? row.name : row.variant;
    const std::string place = row.name.substr(0, row.name.size() - row.plain.size());
    row.variant = label_of(row.plain, comparison.labels);
    row.name = place + row.variant;
    for (const auto& [metric, label] : comparison.labels.metrics) {
      if (row.metrics.contains(metric))
        row.measures.try_emplace(metric, measure_of_old(metric)).first->second.title = label;
    }
  }
  return named;
}

}  // namespace foil
