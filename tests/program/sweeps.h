// SPDX-License-Identifier: BSD-3-Clause
// What the tests of studies share: a sweep of two losses and two seeds over tiny synthetic images.
#pragma once

#include "manners.h"

namespace {

inline std::string experiment(const std::string& sweep) {
  std::string text = small_experiment() + "baselines = true\n[sweep]\nseeds = 2\n" + sweep;
  return text.replace(text.find("classes = 3"), 11, "classes = 20");  // so many that no two rows are equal
}
const std::string two_losses = "grid = { \"loss.name\" = [\"infonce\", \"dcl\"] }\n";

// Where a line begins with `text`; -1 when none does.
inline int64_t line_of(const std::string& all, const std::string& text) {
  const auto each = lines(all);
  for (size_t i = 0; i < each.size(); ++i) {
    if (each[i].rfind(text, 0) == 0) return static_cast<int64_t>(i);
  }
  return -1;
}

inline int64_t count(const std::string& text, const std::string& part) {
  int64_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// What the trials took is the machine's, not the experiment's.
inline std::string before_effort(const std::string& out) {
  const size_t effort = out.find("\nvariant   seconds");
  EXPECT_NE(effort, std::string::npos) << out;
  return out.substr(0, effort);
}

const std::vector<std::string> find_hold = {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS};

}  // namespace
