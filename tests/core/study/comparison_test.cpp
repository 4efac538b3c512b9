// SPDX-License-Identifier: BSD-3-Clause
// Gathering a comparison from study folders and run folders.
#include "study/comparison.h"

#include "folder.h"
#include "study/store.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <gtest/gtest.h>

using foil::load_comparison;
using foil::TrialStore;
using foil_test::error_of;
using foil_test::Folder;

namespace {

std::string results(double knn, const std::string& protocol = "knn20", const std::string& data = "") {
  return R"({"protocol": ")" + protocol + (data.empty() ? "" : R"(", "data": ")" + data) +
         R"(", "metrics": {"knn": )" + std::to_string(knn) + R"(}, "step": 10, "loss": 1.5})";
}

// Stands for the TOML reader: lines of "key value".
std::map<std::string, std::string> read_config(const std::string& text, const std::string&) {
  std::map<std::string, std::string> config;
  std::istringstream file(text);
  for (std::string key, value; file >> key >> value;) config[key] = value;
  return config;
}

// infonce has seeds 0 and 1; dcl seed 0 failed, seed 1 is complete.
void write_study(const Folder& folder, const std::string& name) {
  TrialStore store(folder.at(name));
  store.plan({{"infonce-seed0", "infonce", 0, ""},
              {"dcl-seed0", "dcl", 0, ""},
              {"infonce-seed1", "infonce", 1, ""},
              {"dcl-seed1", "dcl", 1, ""}});
  for (const std::string trial : {"infonce-seed0", "infonce-seed1", "dcl-seed1"}) {
    folder.write(name + "/" + trial + "/results.json", results(trial == "infonce-seed1" ? 86.5 : 86.0));
    folder.write(name + "/" + trial + "/config.resolved.toml",
                 "run.seed " + trial.substr(trial.size() - 1) + "\nloss.name " + trial);
    store.start(trial);
    store.complete(trial, results(1));
  }
  store.start("dcl-seed0");
  store.fail("dcl-seed0", "loss is nan");
}

std::vector<std::string> names(const foil::Comparison& comparison) {
  std::vector<std::string> all;
  for (const auto& row : comparison.rows) all.push_back(row.name);
  return all;
}

}  // namespace

TEST(LoadComparison, ReadsAStudyWithItsBaselinesFirst) {
  Folder folder;
  write_study(folder, "quick");
  folder.write("quick/baselines/raw-pixels/results.json", results(84.5));
  folder.write("quick/baselines/untrained-seed0/results.json", results(80));
  folder.write("quick/baselines/untrained-seed1/results.json", results(81));
  const auto comparison = load_comparison({folder.at("quick")}, read_config);
  ASSERT_EQ(names(comparison), (std::vector<std::string>{"raw pixels", "untrained", "infonce", "dcl"}));
  EXPECT_TRUE(comparison.rows[1].baseline);
  EXPECT_EQ(comparison.rows[1].metrics.at("knn"), (foil::BySeed{{0, 80}, {1, 81}}));
  const auto& infonce = comparison.rows[2];
  EXPECT_FALSE(infonce.baseline);
  EXPECT_EQ(infonce.protocol, "knn20");
  EXPECT_EQ(infonce.metrics.at("knn"), (foil::BySeed{{0, 86}, {1, 86.5}}));
  EXPECT_EQ(infonce.folders.at(1), folder.at("quick/infonce-seed1"));
  EXPECT_EQ(infonce.config.at("loss.name"), "infonce-seed0");
  const auto& dcl = comparison.rows[3];
  EXPECT_EQ(dcl.protocol, "knn20");
  EXPECT_EQ(dcl.metrics.at("knn"), (foil::BySeed{{1, 86}}));
  ASSERT_EQ(dcl.unfinished.size(), 1u);
  EXPECT_EQ(dcl.unfinished[0].seed, 0);
  EXPECT_EQ(dcl.unfinished[0].state, "failed");
  EXPECT_EQ(dcl.unfinished[0].reason, "loss is nan");
}

TEST(LoadComparison, KeepsTheOrderOfThePlanWhenTheFirstTrialFailed) {
  Folder folder;
  {
    TrialStore store(folder.at("s"));
    store.plan({{"a-0", "a", 0, ""}, {"b-0", "b", 0, ""}, {"a-1", "a", 1, ""}});
    store.start("a-0");
    store.fail("a-0", "no");
    for (const std::string trial : {"b-0", "a-1"}) {
      store.start(trial);
      store.complete(trial, results(50));
    }
  }
  const auto comparison = load_comparison({folder.at("s")}, read_config);
  EXPECT_EQ(names(comparison), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(comparison.rows[0].protocol, "knn20");
  EXPECT_EQ(comparison.rows[0].metrics.at("knn"),
            (foil::BySeed{{1, 50}}));  // the folder is gone: the store's copy
}

TEST(LoadComparison, KnowsTheExperimentOfATrialFromTheStudyWhereItsFolderIsGone) {
  Folder folder;
  {
    TrialStore store(folder.at("s"));
    store.plan({{"a-0", "a", 0, "loss.name dcl"}, {"b-0", "b", 0, "crc32:01234567"}});
    for (const std::string trial : {"a-0", "b-0"}) {
      store.start(trial);
      store.complete(trial, results(50));
    }
  }
  const auto comparison = load_comparison({folder.at("s")}, read_config);
  EXPECT_EQ(comparison.rows[0].config, (std::map<std::string, std::string>{{"loss.name", "dcl"}}));
  EXPECT_TRUE(comparison.rows[1].config.empty()) << "of an older foil, which kept a checksum";
}

TEST(LoadComparison, TellsAKilledTrialFromARunningOne) {
  Folder folder;
  {
    TrialStore store(folder.at("s"));
    store.plan({{"a-0", "a", 0, ""}});
    store.start("a-0");
    const auto running = load_comparison({folder.at("s")}, read_config).rows.at(0).unfinished.at(0);
    EXPECT_EQ(running.state, "running");
    EXPECT_EQ(running.reason.find("since 20"), 0u);
  }
  const auto killed = load_comparison({folder.at("s")}, read_config).rows.at(0).unfinished.at(0);
  EXPECT_EQ(killed.state, "killed");
  EXPECT_EQ(killed.reason.find("last seen 20"), 0u);
}

TEST(LoadComparison, SeparatesTheProtocolsOfOneVariant) {
  Folder folder;
  write_study(folder, "quick");
  folder.write("quick/infonce-seed1/results.json", results(99, "knn200"));
  const auto comparison = load_comparison({folder.at("quick")}, read_config);
  ASSERT_EQ(names(comparison), (std::vector<std::string>{"infonce", "dcl", "infonce"}));
  EXPECT_EQ(comparison.rows[0].metrics.at("knn"), (foil::BySeed{{0, 86}}));
  EXPECT_EQ(comparison.rows[2].protocol, "knn200");
}

TEST(LoadComparison, TakesSingleRunsBySeedAndVariantOfTheirConfig) {
  Folder folder;
  for (const std::string seed : {"3", "12"}) {
    folder.write("mine/run" + seed + "/results.json", results(std::stod(seed)));
    folder.write("mine/run" + seed + "/config.resolved.toml", "run.name \"tuned\"\nrun.seed " + seed);
  }
  folder.write("mine/broken/status", R"({"state": "failed", "step": 7, "reason": "disk full"})");
  folder.write("mine/broken/config.resolved.toml", "run.name \"tuned\"\nrun.seed 4");
  folder.write("mine/run3.old-20260131T000000Z/results.json", results(0));
  for (const auto& given :
       std::vector<std::vector<std::string>>{{folder.at("mine")},
                                             {folder.at("mine/broken"), folder.at("mine/run12/"),
                                              folder.at("mine/../mine/run3"), folder.at("mine/run3")}}) {
    const auto comparison = load_comparison(given, read_config);
    ASSERT_EQ(names(comparison), (std::vector<std::string>{"tuned"}));
    EXPECT_EQ(comparison.rows[0].metrics.at("knn"), (foil::BySeed{{3, 3}, {12, 12}}));
    ASSERT_EQ(comparison.rows[0].unfinished.size(), 1u);
    EXPECT_EQ(comparison.rows[0].unfinished[0].seed, 4);
    EXPECT_EQ(comparison.rows[0].unfinished[0].reason, "disk full");
  }
}

TEST(LoadComparison, TakesATrialOfAStudyAlone) {
  Folder folder;
  write_study(folder, "quick");
  folder.write("quick/dcl-seed0/status",
               R"({"state": "running", "step": 7, "reason": ""})");  // the store knows better
  const auto comparison =
      load_comparison({folder.at("quick/dcl-seed0"), folder.at("quick/infonce-seed1")}, read_config);
  ASSERT_EQ(names(comparison), (std::vector<std::string>{"dcl", "infonce"}));
  EXPECT_EQ(comparison.rows[0].unfinished.at(0).reason, "loss is nan");
  EXPECT_EQ(comparison.rows[1].metrics.at("knn"), (foil::BySeed{{1, 86.5}}));
}

TEST(LoadComparison, PrefixesVariantsThatTwoStudiesShare) {
  Folder folder;
  write_study(folder, "first");
  write_study(folder, "second");
  folder.write("second/baselines/raw-pixels/results.json", results(84.5));
  EXPECT_EQ(
      names(load_comparison({folder.at("first"), folder.at("second")}, read_config)),
      (std::vector<std::string>{"raw pixels", "first/infonce", "first/dcl", "second/infonce", "second/dcl"}));
}

TEST(LoadComparison, RefusesTwoRunsOfOneSeed) {
  Folder folder;
  for (const std::string run : {"a", "b"}) {
    folder.write("mine/" + run + "/results.json", results(1));
    folder.write("mine/" + run + "/config.resolved.toml", "run.name same\nrun.seed 0");
  }
  EXPECT_EQ(error_of<foil::Error>([&] { load_comparison({folder.at("mine")}, read_config); }),
            "2: two runs of 'same' with seed 0: " + folder.at("mine/a") + " and " + folder.at("mine/b"));
}

TEST(LoadComparison, NamesAFolderThatIsNothingOfThis) {
  Folder folder;
  EXPECT_EQ(error_of<foil::Error>([&] { load_comparison({folder.at("none")}, read_config); }),
            "5: " + folder.at("none") + ": no such folder");
  EXPECT_EQ(error_of<foil::Error>([&] { load_comparison({folder.path()}, read_config); }),
            "5: " + folder.path() +
                ": neither a study (study.sqlite) nor a run (results.json, status), nor a folder of runs");
}

TEST(LoadComparison, ShowsDamagedResultsAsAFailedTrial) {
  Folder folder;
  write_study(folder, "quick");
  folder.write("quick/dcl-seed1/results.json", "{\"protocol\": ");
  const auto comparison = load_comparison({folder.at("quick")}, read_config);
  ASSERT_EQ(comparison.rows[1].unfinished.size(), 2u);
  EXPECT_EQ(comparison.rows[1].unfinished[1].reason.find(folder.at("quick/dcl-seed1/results.json") +
                                                         ": not JSON: "),
            0u);
}

TEST(LoadComparison, ShowsARunWhoseStatusIsDamagedAsFailed) {
  Folder folder;
  for (const std::string status :
       {R"({"state": "dreaming", "step": 7, "reason": ""})", "{", "[]", R"({"state": 7})"}) {
    folder.write("mine/status", status);
    const auto comparison = load_comparison({folder.at("mine")}, read_config);
    EXPECT_EQ(comparison.rows.at(0).unfinished.at(0).state, "failed");
    EXPECT_EQ(comparison.rows[0].unfinished[0].reason.find(folder.at("mine/status") + ": "), 0u) << status;
  }
}

TEST(LoadComparison, NamesASeedThatIsNone) {
  Folder folder;
  folder.write("mine/config.resolved.toml", "run.name x\nrun.seed \"two\"");
  EXPECT_EQ(error_of<foil::Error>([&] { load_comparison({folder.at("mine")}, read_config); }),
            "5: " + folder.at("mine/config.resolved.toml") + ": run.seed = \"two\", allowed: an integer");
}

TEST(ParseResults, RefusesWhatIsNone) {
  for (const std::string text :
       {"", "7", "[]", "{}", R"({"protocol": 1, "metrics": {}})", R"({"protocol": "p", "metrics": [1]})",
        R"({"protocol": "p", "metrics": {}, "step": "many"})",
        R"({"protocol": "p", "metrics": {}, "measured": [1]})",
        R"({"protocol": "p", "metrics": {}, "measured": {"features.knn": {"title": 7}}})"}) {
    EXPECT_EQ(error_of<foil::Error>([&] { foil::parse_results(text, "x"); }).find("5: x: not "), 0u) << text;
  }
}

TEST(ParseResults, NamesTheMeasureThatIsDamaged) {
  EXPECT_EQ(
      error_of<foil::Error>([] {
        foil::parse_results(
            R"({"protocol": "p", "metrics": {}, "measured": {"features.mrr": {"title": "MRR", "digits": 99}}})",
            "x");
      }),
      "5: x: not the results of a run: of features.mrr digits is 99, allowed: an integer from 0 to 15");
}

TEST(LoadComparison, KeepsWhatTheTrialsSayOfTheirMeasures) {
  Folder folder;
  folder.write("runs/a/results.json", results(80));
  folder.write("runs/b/results.json",
               R"({"protocol": "p", "metrics": {"mrr": 0.784}, "measured": {"features.mrr": {"value": 0.784,
                   "metric": "mrr", "title": "MRR", "unit": "", "digits": 3, "better": "higher",
                   "headline": true, "column": 1}}})");
  const auto comparison = load_comparison({folder.at("runs")}, read_config);
  ASSERT_EQ(names(comparison), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(comparison.rows[0].measures.empty());
  const foil::Measure& mrr = comparison.rows[1].measures.at("mrr");
  EXPECT_EQ(mrr.title, "MRR");
  EXPECT_EQ(mrr.digits, 3);
  EXPECT_TRUE(mrr.headline);
}

TEST(ParseResults, LeavesOutMetricsThatAreNotFinite) {
  const auto parsed =
      foil::parse_results(R"({"protocol": "p", "metrics": {"knn": 80, "a": null, "b": "nan"}})", "x");
  EXPECT_EQ(parsed.metrics, (std::map<std::string, double>{{"knn", 80}}));
}

TEST(ReadCurves, SkipsBrokenRowsAndThinsByMeans) {
  Folder folder;
  std::string text = "{\"step\": 1, \"loss\": \"nan\"}\nnot json\n[1]\n{\"step\": 2}\n";
  for (int step = 1; step <= 10; ++step)
    text += "{\"step\": " + std::to_string(step) + ", \"loss\": " + std::to_string(10 * step) + "}\n";
  folder.write("metrics.jsonl", text + "{\"step\": 11, \"lo");
  const auto curves = foil::read_curves(folder.path());
  EXPECT_EQ(curves.at("loss").size(), 10u);
  EXPECT_EQ(curves.size(), 2u) << "and the steps";
  EXPECT_EQ(foil::read_curves(folder.path(), 4).at("loss"),
            (foil::Curve{{2, 20}, {5, 50}, {8, 80}, {10, 100}}));
  EXPECT_TRUE(foil::read_curves(folder.at("none")).empty());
}

TEST(LoadComparison, TwoDataSetsAreTwoRowsAndOneThatIsNotKnownGoesWithAny) {
  Folder folder;
  TrialStore store(folder.at("quick"));
  std::vector<foil::PlannedTrial> planned;
  for (int64_t seed = 0; seed < 4; ++seed)
    planned.push_back({"infonce-seed" + std::to_string(seed), "infonce", seed, ""});
  store.plan(planned);
  const std::vector<std::string> data = {"crc32:1", "crc32:2", "", "crc32:1"};  // by seed
  for (size_t seed = 0; seed < 4; ++seed) {
    const std::string text = results(80 + static_cast<double>(seed), "knn20", data[seed]);
    folder.write("quick/" + planned[seed].name + "/results.json", text);
    store.start(planned[seed].name);
    store.complete(planned[seed].name, text);
  }
  const auto comparison = load_comparison({folder.at("quick")}, read_config);
  ASSERT_EQ(names(comparison), (std::vector<std::string>{"infonce", "infonce"}));
  EXPECT_EQ(comparison.rows[0].data, "crc32:1");
  EXPECT_EQ(comparison.rows[0].metrics.at("knn"), (foil::BySeed{{0, 80}, {2, 82}, {3, 83}}));
  EXPECT_EQ(comparison.rows[1].data, "crc32:2");
  EXPECT_EQ(comparison.rows[1].metrics.at("knn"), (foil::BySeed{{1, 81}}));
}
