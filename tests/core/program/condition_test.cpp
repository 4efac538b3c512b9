// SPDX-License-Identifier: BSD-3-Clause
// Conditions on experiments: what holds of which, and what is no condition.
#include "program/condition.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

using test::error_of;

const FlatExperiment infonce = {{"loss.name", "\"infonce\""}, {"loss.temperature", "0.1"},
                                {"run.name", "\"5\""},        {"run.seed", "3"},
                                {"head.dims", "[16, 8]"},     {"head.batch_norm", "true"}};
const FlatExperiment two_losses = {{"loss.0.name", "\"infonce\""},
                                   {"loss.0.temperature", "0.1"},
                                   {"loss.1.name", "\"vicreg\""},
                                   {"run.seed", "4"}};

bool holds(const std::string& text, const FlatExperiment& experiment) {
  return Condition(text).holds(experiment);
}

TEST(Condition, ComparesATextWithOrWithoutQuotes) {
  EXPECT_TRUE(holds("loss.name = infonce", infonce));
  EXPECT_TRUE(holds("loss.name=\"infonce\"", infonce));
  EXPECT_FALSE(holds("loss.name = dcl", infonce));
  EXPECT_TRUE(holds("run.name = 5", infonce));
}

TEST(Condition, ComparesNumbersByTheirValue) {
  EXPECT_TRUE(holds("loss.temperature = 1e-1", infonce));
  EXPECT_TRUE(holds("run.seed = 3.0", infonce));
  EXPECT_FALSE(holds("run.seed = 4", infonce));
  EXPECT_TRUE(holds("run.seed < 4", infonce));
  EXPECT_FALSE(holds("run.seed < 3", infonce));
  EXPECT_TRUE(holds("loss.temperature > 0.09", infonce));
  EXPECT_FALSE(holds("loss.temperature > 0.1", infonce));
  EXPECT_FALSE(holds("loss.name < 3", infonce)) << "a text is below nothing";
}

TEST(Condition, ComparesFlagsAndLists) {
  EXPECT_TRUE(holds("head.batch_norm = true", infonce));
  EXPECT_TRUE(holds("head.dims = [16,8]", infonce));
  EXPECT_FALSE(holds("head.dims = [8, 16]", infonce));
}

TEST(Condition, OfAKeyThatIsNotThereNeverHolds) {
  EXPECT_FALSE(holds("loss.alpha = 1", infonce));
  EXPECT_FALSE(holds("loss.alpha != 1", infonce));
  EXPECT_TRUE(holds("loss.temperature != 1", infonce));
  EXPECT_FALSE(holds("loss.temperature != 0.1", infonce));
}

TEST(Condition, OfAListOfTablesMeansAnyOfThemAndOfUnequalNone) {
  EXPECT_TRUE(holds("loss.name = vicreg", two_losses));
  EXPECT_TRUE(holds("loss.1.name = vicreg", two_losses));
  EXPECT_FALSE(holds("loss.0.name = vicreg", two_losses));
  EXPECT_FALSE(holds("loss.name != vicreg", two_losses));
  EXPECT_TRUE(holds("loss.name != dcl", two_losses));
  EXPECT_EQ(values_of(two_losses, "loss.name"), (std::vector<std::string>{"\"infonce\"", "\"vicreg\""}));
}

TEST(Condition, RefusesWhatIsNone) {
  for (const std::string text :
       {"loss.name", "= dcl", "loss.name =", "loss.name == dcl", "run.seed <= 3", ""})
    EXPECT_EQ(error_of([&] { Condition{text}; }),
              "2 --where " + text + ": expected KEY = VALUE, KEY != VALUE, KEY < NUMBER or KEY > NUMBER.");
  EXPECT_EQ(error_of([] { Condition{"loss.name < dcl"}; }),
            "2 --where loss.name < dcl: got \"dcl\" behind <, allowed: a number.");
  EXPECT_EQ(error_of([] { Condition{"head.dims = [8"}; }),
            "2 --where head.dims = [8: VALUE is not valid TOML.");
}

}  // namespace
}  // namespace foil
