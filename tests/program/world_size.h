// SPDX-License-Identifier: BSD-3-Clause
// Runs of an experiment on one, two and three real processes, compared.
#pragma once

#include "tests/support/watched_run.h"

#include <memory>

namespace foil {

inline std::unique_ptr<Workplace> trained(const std::string& experiment, const std::string& precision,
                                          const std::string& ranks, const std::vector<std::string>& more) {
  auto place = std::make_unique<Workplace>();
  place->write("small.toml", experiment);
  std::vector<std::string> command = {
      "train", "small.toml", "--quiet", "--nproc", ranks, "--set", "run.precision=" + precision};
  command.insert(command.end(), more.begin(), more.end());
  const Outcome outcome = foil_within(*place, command, {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS});
  EXPECT_EQ(outcome.code, 0) << ranks << " ranks, " << precision << ": " << outcome.err;
  return place;
}

// Trains an experiment of 20 steps called "small" in fp64 with W = 1, 2, 3 and compares 2 and 3 with 1.
inline void expect_world_size_is_nothing_to(const std::string& experiment,
                                            const std::vector<std::string>& more = {}) {
  const double tolerance = 1e-9;
  const auto alone = trained(experiment, "fp64", "1", more);
  const RunView one(*alone);
  ASSERT_EQ(one.losses().size(), 20u);
  for (const char* ranks : {"2", "3"}) {
    SCOPED_TRACE(std::string(ranks) + " ranks");
    const auto place = trained(experiment, "fp64", ranks, more);
    const RunView many(*place);
    expect_same_losses(many.losses(), one.losses(), tolerance);
    expect_same_state(many.state(), one.state(), tolerance);
    const nlohmann::json expected = one.results()["metrics"], got = many.results()["metrics"];
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [name, value] : expected.items()) {
      if (name == "knn" || name.ends_with(".knn")) {
        EXPECT_EQ(got[name], value) << name;
      } else {
        EXPECT_NEAR(got[name].get<double>(), value.get<double>(),
                    1e3 * tolerance * std::abs(value.get<double>()))
            << name;
      }
    }
  }
}

}  // namespace foil
