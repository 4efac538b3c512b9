// SPDX-License-Identifier: BSD-3-Clause
// What holds for the options of all losses together: the tables of losses/README.md, and the names of before.
#include "config/parse.h"
#include "config/reader.h"
#include "plugins/loader.h"
#include "plugins/registry.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace foil {
namespace {

const Registry& losses() {
  static const bool loaded = load_plugins(plugin_folders({}), Registry::instance()).empty();
  EXPECT_TRUE(loaded);
  return Registry::instance();
}

// "OPTION of LOSS" for each that there is.
using Pairs = std::set<std::string>;

// The words in backticks of one cell.
std::vector<std::string> words(const std::string& cell) {
  std::vector<std::string> all;
  std::istringstream parts(cell);
  std::string part;
  for (bool inside = false; std::getline(parts, part, '`'); inside = !inside)
    if (inside) all.push_back(part);
  return all;
}

Pairs of_readme() {
  Pairs pairs;
  std::ifstream file(FOIL_LOSSES_README);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    const size_t end = line.rfind('|'), last = line.rfind('|', end - 1);
    for (const std::string& option : words(line.substr(0, line.find('|', 1))))
      for (const std::string& loss : words(line.substr(last, end - last)))
        EXPECT_TRUE(pairs.insert(option + " of " + loss).second) << option << " of " << loss << " twice";
  }
  return pairs;
}

Pairs of_losses() {
  Pairs pairs;
  for (const Component* component : losses().all()) {
    if (component->kind != "loss") continue;
    for (const FieldDoc& field : describe(component->describe))
      pairs.insert(field.key + " of " + component->name);
  }
  return pairs;
}

TEST(OptionsOfLosses, AreThoseOfTheReadme) { EXPECT_EQ(of_readme(), of_losses()); }

std::string refusal(const std::string& loss, const std::string& line) {
  const Node root = parse_toml("[loss]\n" + line + "\n", "a.toml");
  TableReader reader(root.find("loss"), "loss");
  try {
    losses().find("loss", loss, "test").make(reader);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(OptionsOfLosses, WithTheirNamesOfBeforeAreRefusedNamingThoseOfNow) {
  const struct {
    std::string loss, line, now;
  } cases[] = {
      {"sogclr", "update_rate = 0.9", "estimate_momentum (1 - update_rate)"},
      {"sogclr", "rate_schedule = \"cosine\"", "momentum_schedule"},
      {"sogclr", "rate_epochs = 3", "momentum_epochs"},
      {"isogclr", "update_rate = 0.8", "estimate_momentum (1 - update_rate)"},
      {"isogclr", "gradient_rate = 0.5", "gradient_momentum (1 - gradient_rate)"},
      {"isogclr", "rate_schedule = \"cosine\"", "momentum_schedule"},
      {"isogclr", "rate_epochs = 3", "momentum_epochs"},
      {"mv_dhel", "form = \"joint\"", "aggregation"},
      {"moco", "symmetric = true", "directions (\"mean\" for true)"},
      {"mochi", "start_epoch = 2", "mixing_start_epoch"},
      {"swav", "epsilon = 0.05", "assignment_temperature"},
  };
  for (const auto& [loss, line, now] : cases) {
    const std::string before = line.substr(0, line.find(' '));
    EXPECT_EQ(refusal(loss, line), "a.toml:2:1: loss." + before + " is called loss." + now + " now.") << loss;
  }
}

}  // namespace
}  // namespace foil
