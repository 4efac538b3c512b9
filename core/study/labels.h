// SPDX-License-Identifier: BSD-3-Clause
// What people call variants and metrics in tables and the report: [report] of the experiment file, which a
// study keeps as report.json.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace foil {

struct Labels {
  std::map<std::string, std::string> variants;  // of a whole variant, or of words of one: infonce, views=4
  std::map<std::string, std::string> metrics;   // by the name in results.json: knn
  std::vector<std::string> commands;            // that made the studies
};

// Adds those of a study's folder, where it has some; what is there already stays. Throws Error (Exit::data)
// for a record that is none.
void add_labels(Labels& labels, const std::string& study);

// What the variant is called: its label, else its own name with its words replaced by theirs.
std::string label_of(const std::string& variant, const Labels& labels);

}  // namespace foil
