// SPDX-License-Identifier: BSD-3-Clause
// The parts of a report, each a piece of HTML; empty where there is nothing to show.
#pragma once

#include "study/table.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace foil {

// What a report is about, under the labels that it asks for.
struct Studied {
  Studied(const Comparison& given, const std::string& reference);
  Comparison comparison;
  std::vector<ComparisonTable> tables;
  size_t style_of(const std::string& name) const;  // of a variant, the same in every picture
};

// The pictures of a report, by name.
struct Pictures {
  std::vector<std::pair<std::string, std::string>> all;
  std::string add(const std::string& name, const std::string& svg);  // returns its HTML
};

// What a picture's file can be called after `text`: all but letters, digits and _ are -.
std::string file_part(const std::string& text);
// A part that is pictures under a title and a sentence; empty where `all` is.
std::string figures(const std::string& title, const std::string& note, const std::string& all);

// The env.json of every run, flattened; a key with more than one value holds them all.
struct Environment {
  explicit Environment(const Comparison& comparison);
  std::map<std::string, std::set<std::string>> values;
  std::vector<std::string> damaged;
  std::string text(const std::string& key) const;  // "a | b"; empty where no run says it
};

// The table as one picture: the first three headline metrics as text and as strips of dots.
std::string table_picture(const Studied& subject, const ComparisonTable& table);

// Of one table; `suffix` tells its pictures from those of others.
std::string seeds_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                       Pictures& pictures);
std::string differences_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                             Pictures& pictures);
std::string factors_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                         Pictures& pictures);
std::string time_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                      Pictures& pictures);
// The ROC curves, and what was taken for what by the first metric that knows it.
std::string outcomes_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                          Pictures& pictures);

// Of all tables together, from what the runs left in their folders.
std::string curves_part(const Studied& subject, Pictures& pictures);
std::string features_part(const Studied& subject);
std::string config_part(const Studied& subject);
std::string asked_part(const Studied& subject, const Environment& environment);
std::string environment_part(const Environment& environment);

}  // namespace foil
