// SPDX-License-Identifier: BSD-3-Clause
// foil runs: the runs of a finished study and of a single run beside it.
#include "sweeps.h"

namespace {

// A study of two losses with two seeds each and a single run, made once; the tests only read them.
const Workplace& finished() {
  static const Workplace& place = *new Workplace;
  static const bool made = [] {
    place.write("e.toml", experiment(two_losses));
    const Outcome study = place.foil({"ablate", "e.toml", "--set", "evaluate.baselines=false"});
    EXPECT_EQ(study.code, 0) << study.err;
    place.write("single.toml", small_experiment());
    const Outcome run = place.foil(
        {"train", "single.toml", "--quiet", "--set", "run.name=single", "--set", "loss.temperature=0.5"});
    EXPECT_EQ(run.code, 0) << run.err;
    return true;
  }();
  EXPECT_TRUE(made);
  return place;
}
class Finished : public ::testing::Environment {
 public:
  void TearDown() override { fs::remove_all(finished().folder); }
};
const auto* const finished_environment = ::testing::AddGlobalTestEnvironment(new Finished);

nlohmann::json listed(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "runs");
  arguments.insert(arguments.end(), {"--format", "json"});
  const Outcome outcome = finished().foil(arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out);
}
std::set<std::string> folders(const nlohmann::json& list) {
  std::set<std::string> all;
  for (const auto& run : list["runs"]) all.insert(run["folder"]);
  return all;
}

TEST(Runs, ListTheTrialsOfAStudyAndSingleRuns) {
  const Outcome outcome = finished().foil({"runs"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const auto all = lines(outcome.out);
  ASSERT_EQ(all.size(), 6u) << outcome.out;
  EXPECT_EQ(all[0].find("run "), 0u);
  const std::string dcl = all.at(static_cast<size_t>(line_of(outcome.out, "runs/small/dcl-seed1 ")));
  const double knn =
      read_json(finished().folder / "runs/small/dcl-seed1/results.json")["metrics"]["knn"].get<double>();
  char result[32];
  std::snprintf(result, sizeof result, " kNN %% %.1f ", knn);
  for (const std::string& part :
       std::vector<std::string>{" finished ", " dcl ", " synthetic ", " 1 ", " 20 ", result})
    EXPECT_NE(dcl.find(part), std::string::npos) << part << " in " << dcl;
}

TEST(Runs, AsJsonSayWhatTheFilesOfARunSay) {
  const nlohmann::json list = listed({"runs/single"});
  ASSERT_EQ(list["runs"].size(), 1u);
  const nlohmann::json run = list["runs"][0],
                       results = read_json(finished().folder / "runs/single/seed0/results.json");
  EXPECT_EQ(run["folder"], "runs/single/seed0");
  EXPECT_EQ(run["loss"], nlohmann::json({"infonce"}));
  EXPECT_EQ(run["seed"], 0);
  EXPECT_EQ(run["step"], 20);
  EXPECT_EQ(run["headline"], "knn");
  EXPECT_EQ(run["metrics"], results["metrics"]);
  EXPECT_EQ(run["protocol"], results["protocol"]);
  EXPECT_EQ(run["changed"], read_json(finished().folder / "runs/single/seed0/status")["utc"]);
}

TEST(Runs, AreChosenByAnyKeyOfTheirExperiment) {
  EXPECT_EQ(folders(listed({"--where", "loss.name = dcl"})),
            (std::set<std::string>{"runs/small/dcl-seed0", "runs/small/dcl-seed1"}));
  EXPECT_EQ(folders(listed({"--where", "loss.name = dcl", "--where", "run.seed > 0"})),
            (std::set<std::string>{"runs/small/dcl-seed1"}));
  EXPECT_EQ(folders(listed({"--where", "loss.temperature != 0.2"})),
            (std::set<std::string>{"runs/single/seed0"}));
  const Outcome none = finished().foil({"runs", "--where", "run.seed > 9"});
  EXPECT_EQ(none.code, 0);
  EXPECT_EQ(none.out, "runs: 5 runs, none that fits\n");
}

TEST(Runs, TheBestIsOfEachDataSet) {
  const nlohmann::json best = listed({"--best"});
  std::map<std::string, double> highest;  // by data, of all
  const nlohmann::json all = listed({});
  for (const auto& run : all["runs"]) {
    double& value = highest[run["identity"]];
    value = std::max(value, run["metrics"]["knn"].get<double>());
  }
  EXPECT_EQ(highest.size(), 2u) << "the study has more classes";
  ASSERT_EQ(best["runs"].size(), 2u);
  for (const auto& run : best["runs"]) {
    EXPECT_EQ(run["metrics"]["knn"], highest.at(run["identity"]));
    EXPECT_EQ(run["best_of"], run["folder"] == "runs/single/seed0" ? 1 : 4);
  }
}

}  // namespace
