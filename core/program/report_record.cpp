// SPDX-License-Identifier: BSD-3-Clause
// Checks [report] against the trials that there will be and writes its record.
#include "program/report_record.h"

#include "config/dump.h"
#include "config/load.h"
#include "config/reader.h"
#include "program/shell.h"
#include "run/json.h"
#include "study/labels.h"

#include <foil/error.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace foil {
namespace {

std::map<std::string, std::string> labels_in(const Node* table, const std::string& name) {
  std::map<std::string, std::string> labels;
  if (!table) return labels;
  if (!table->is_table())
    fail(Exit::usage, table->origin.text(), ": ", name, " = ", shown(*table), ", allowed: a table of texts.");
  for (const auto& [key, label] : table->table()) {
    if (!label.is_text() || label.text().empty())
      fail(Exit::usage, label.origin.text(), ": ", name, ".\"", key, "\" = ", shown(label),
           ", allowed: a text that is not empty.");
    labels[key] = label.text();
  }
  return labels;
}

// Every text that a label may stand for: the variants, their words, the baselines.
std::vector<std::string> names_of(const std::vector<Trial>& trials) {
  std::set<std::string> names = {"raw pixels", "untrained"};
  for (const Trial& trial : trials) {
    names.insert(trial.variant);
    std::istringstream words(trial.variant);
    for (std::string word; words >> word;) names.insert(word);
  }
  return {names.begin(), names.end()};
}

void require_variants(const Node& table, const std::vector<std::string>& known) {
  for (const auto& [key, label] : table.table()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail(Exit::usage, label.origin.text(), ": report.variants: no variant is or holds \"", key, "\".",
           known_names("names", key, known));
  }
}

void refuse_one_label_for_two(const Node& table, const std::vector<Trial>& trials, const Labels& labels) {
  std::map<std::string, std::string> taken;  // label -> variant
  for (const Trial& trial : trials) {
    const auto [at, is_new] = taken.emplace(label_of(trial.variant, labels), trial.variant);
    if (!is_new && at->second != trial.variant)
      fail(Exit::usage, table.origin.text(), ": report.variants calls both '", at->second, "' and '",
           trial.variant, "' \"", at->first, "\", allowed: a label for each.");
  }
}

}  // namespace

std::string report_record(const std::string& file, const std::vector<std::string>& sets,
                          const std::vector<Trial>& trials) {
  std::vector<std::string> own;  // the others may be of tables that only the listed files of a sweep have
  for (const std::string& set : sets)
    if (set.starts_with("report.")) own.push_back(set);
  const Node root = load_experiment(file, own);
  TableReader reader(root.find("report"), "report");
  const Node *variants = reader.take("variants"), *metrics = reader.take("metrics");
  reader.finish();
  const Labels labels{labels_in(variants, "report.variants"), labels_in(metrics, "report.metrics"), {}};
  if (variants) {
    require_variants(*variants, names_of(trials));
    refuse_one_label_for_two(*variants, trials, labels);
  }
  std::string command = "foil ablate " + quoted(file);
  for (const std::string& set : sets) command += " --set " + quoted(set);
  return dump_json({{"command", command}, {"variants", labels.variants}, {"metrics", labels.metrics}}, 2) +
         "\n";
}

}  // namespace foil
