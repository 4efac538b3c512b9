// SPDX-License-Identifier: BSD-3-Clause
// The median stopping rule, on rows as trials write them.
#include "study/pruning.h"

#include "folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using foil_test::Folder;

namespace {

// A percentage of which higher is better, and another of which lower is.
foil::TrialResults results() {
  foil::TrialResults made;
  made.metrics = {{"knn", 80}, {"error", 20}, {"rank", 3}};
  made.measures["error"] = {"error", "", 1, foil::Better::lower, true, 90};
  return made;
}

class Study {
 public:
  // The folder of a trial with these values after epochs 1, 2, ... of ten steps.
  std::string trial(const std::vector<double>& values, const std::string& metric = "knn") {
    const std::string name = "trial" + std::to_string(count_++);
    std::string rows;
    for (size_t i = 0; i < values.size(); ++i)
      rows += nlohmann::json(
                  {{"step", 10 * (i + 1)}, {"epoch", i}, {metric, values[i]}, {metric + ".protocol", "part"}})
                  .dump() +
              "\n" + nlohmann::json({{"step", 10 * (i + 1) + 1}, {"epoch", i + 1}, {"loss", 4}}).dump() +
              "\n";
    folder_.write(name + "/metrics.jsonl", rows);
    return folder_.at(name);
  }

 private:
  Folder folder_;
  int count_ = 0;
};

}  // namespace

TEST(Pruning, HoldsTheBestSoFarAgainstTheMedianOfTheMeansUpToThatStep) {
  Study study;
  foil::Pruning pruning;
  for (const double first : {40.0, 50.0, 60.0, 70.0, 80.0})  // their means after epoch 2 are all 60
    pruning.complete(study.trial({first, 120 - first}), results());
  EXPECT_EQ(pruning.behind(study.trial({60})), std::nullopt) << "level is not worse";
  EXPECT_EQ(pruning.behind(study.trial({59.9})),
            "after epoch 1 its best kNN, 59.9, is worse than 60.0, the median of 5 complete trials");
  EXPECT_EQ(pruning.behind(study.trial({61, 10})), std::nullopt) << "its best counts";
  EXPECT_EQ(pruning.behind(study.trial({10, 59})),
            "after epoch 2 its best kNN, 59.0, is worse than 60.0, the median of 5 complete trials");
}

TEST(Pruning, StopsNothingBeforeFiveTrialsAreCompleteThatMeasuredOnline) {
  Study study;
  foil::Pruning pruning;
  const std::string poor = study.trial({1});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(pruning.behind(poor), std::nullopt);
    pruning.complete(study.trial({}), results());  // none of its numbers is there
    if (i < 4) pruning.complete(study.trial({50}), results());
  }
  EXPECT_EQ(pruning.behind(poor), std::nullopt);
  pruning.complete(study.trial({50}), results());
  EXPECT_NE(pruning.behind(poor), std::nullopt);
  EXPECT_EQ(pruning.behind(study.trial({})), std::nullopt) << "nothing to judge yet";
}

TEST(Pruning, KnowsThatLowerMayBeBetter) {
  Study study;
  foil::Pruning pruning;
  for (const double error : {10.0, 20.0, 30.0, 40.0, 50.0})
    pruning.complete(study.trial({error}, "error"), results());
  EXPECT_EQ(pruning.behind(study.trial({29}, "error")), std::nullopt);
  EXPECT_EQ(pruning.behind(study.trial({31, 32}, "error")),
            "after epoch 2 its best error, 31.0, is worse than 30.0, the median of 5 complete trials");
}
