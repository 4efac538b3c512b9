// SPDX-License-Identifier: BSD-3-Clause
// How a run goes on: what of it must be there, what may have changed since, and what it says of what is
// missing.
#include "tests/support/watched_run.h"

namespace foil {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class GoingOn : public ::testing::Test {
 protected:
  void SetUp() override {
    place_.write("e.toml", small_experiment() + "[checkpoint]\nevery = 5\nkeep = 4\n");
  }

  Outcome train(const Arguments& sets = {}, const Arguments& more = {}) {
    Arguments command{"train", "e.toml"};
    for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
    command.insert(command.end(), more.begin(), more.end());
    return foil_within(place_, command);
  }
  // What a process that was stopped in its evaluation leaves of a run that would have finished.
  void stop_in_the_evaluation() {
    fs::remove(run_.folder / "results.json");
    nlohmann::json status = run_.status();
    status["state"] = "interrupted";
    place_.write("runs/small/seed0/status", status.dump());
  }
  // As if the process had been killed after the checkpoint of step 15.
  void forget_the_end() {
    stop_in_the_evaluation();
    for (const char* ending : {".json", ".safetensors"})
      ASSERT_TRUE(fs::remove(run_.folder / (std::string("checkpoints/step-00000020") + ending)));
  }
  // metrics.jsonl without the rows of these steps.
  void lose_rows(int64_t first, int64_t last) {
    std::string kept;
    for (const nlohmann::json& row : read_metrics((run_.folder / "metrics.jsonl").string())) {
      if (row["step"] < first || row["step"] > last) kept += row.dump() + "\n";
    }
    place_.write("runs/small/seed0/metrics.jsonl", kept);
  }
  void expect_weights_of(const std::map<std::string, at::Tensor>& wanted) {
    const auto got = run_.state();
    ASSERT_EQ(got.size(), wanted.size());
    for (const auto& [name, tensor] : wanted) EXPECT_TRUE(torch::equal(got.at(name), tensor)) << name;
  }

  Workplace place_;
  const RunView run_{place_};
};

TEST_F(GoingOn, AfterAStopInTheEvaluationTheResultsAreThoseOfARunThatDidNotStop) {
  ASSERT_EQ(train().code, 0);
  const nlohmann::json whole = run_.results();
  ASSERT_GT(whole["loss"], 0.1);
  for (int i = 0; i < 2; ++i) {  // also when it is stopped again
    stop_in_the_evaluation();
    ASSERT_EQ(train().code, 0);
    EXPECT_EQ(run_.results(), whole);
  }
}

TEST_F(GoingOn, ARunOfNoStepHasNoLoss) {
  ASSERT_EQ(train({"run.steps=0"}).code, 0);
  EXPECT_FALSE(run_.results().contains("loss"));
}

TEST_F(GoingOn, ResultsThatAreGoneOrDamagedAreMeasuredAgain) {
  ASSERT_EQ(train().code, 0);
  const nlohmann::json whole = run_.results();
  const std::string metrics = run_.metrics();
  for (const std::string damage : {"", "{\"protocol\": 1}", "{\"protocol\"", "[[[["}) {
    fs::remove(run_.folder / "results.json");
    if (!damage.empty()) place_.write("runs/small/seed0/results.json", damage);
    const Outcome again = train({}, {"--quiet"});
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("results.json: "), std::string::npos) << again.err;
    EXPECT_TRUE(again.err.ends_with("; measured again from the newest checkpoint\n")) << again.err;
    EXPECT_EQ(run_.results(), whole);
    EXPECT_EQ(run_.metrics(), metrics);
    EXPECT_EQ(run_.status()["state"], "finished");
  }
}

TEST_F(GoingOn, RowsThatWereLostAreNamedInTheLogAndInTheResults) {
  ASSERT_EQ(train().code, 0);
  forget_the_end();
  lose_rows(3, 6);
  lose_rows(9, 9);
  const Outcome again = train({}, {"--quiet"});
  ASSERT_EQ(again.code, 0);
  EXPECT_EQ(again.err,
            "runs/small/seed0/metrics.jsonl: "
            "5 of 15 rows up to step 15 are missing, those of the steps 3 to 6, 9; "
            "the training goes on without them\n");
  const nlohmann::json missing = nlohmann::json::parse("[[3, 6], [9, 9]]");
  EXPECT_EQ(run_.results()["missing_rows"], missing);
  EXPECT_EQ(run_.rows(), 15);
  stop_in_the_evaluation();
  const Outcome third = train({}, {"--quiet"});
  EXPECT_EQ(third.err, "") << "said once";
  EXPECT_EQ(run_.results()["missing_rows"], missing) << "but kept";
}

TEST_F(GoingOn, AFileOfRowsThatIsGoneOrCutIsNamedToo) {
  ASSERT_EQ(train({"log.every=2"}).code, 0);
  forget_the_end();
  fs::resize_file(run_.folder / "metrics.jsonl", fs::file_size(run_.folder / "metrics.jsonl") / 4);
  const Outcome cut = train({"log.every=2"}, {"--quiet"});
  EXPECT_NE(cut.err.find("of 7 rows up to step 15 are missing, those of the steps "), std::string::npos)
      << cut.err;
  EXPECT_NE(cut.err.find(" to 14; "), std::string::npos) << cut.err;
  stop_in_the_evaluation();
  fs::remove(run_.folder / "metrics.jsonl");
  const Outcome gone = train({"log.every=2"}, {"--quiet"});
  EXPECT_NE(gone.err.find("up to step 20 are missing, those of the steps 2 to "), std::string::npos)
      << gone.err;
  EXPECT_EQ(gone.code, 0);
}

TEST_F(GoingOn, ARunOfAnOlderFoilGoesOnWithoutTheOptionsThatHaveComeSince) {
  ASSERT_EQ(train().code, 0);
  const nlohmann::json whole = run_.results();
  forget_the_end();
  std::string record = slurp(run_.folder / "config.resolved.toml");
  const std::string young = "frozen_epochs = 0\n";
  ASSERT_NE(record.find(young), std::string::npos);
  place_.write("runs/small/seed0/config.resolved.toml", record.erase(record.find(young), young.size()));
  const Outcome again = train();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.err.find("frozen_epochs"), std::string::npos) << again.err;
  EXPECT_EQ(run_.results(), whole);
  const Outcome given = train({"head.frozen_epochs=1"});
  EXPECT_EQ(given.code, 2);
  EXPECT_NE(given.err.find("head.frozen_epochs: (absent) -> 1"), std::string::npos) << given.err;
}

TEST_F(GoingOn, AnotherEvaluationKeepsTheTrainingAndIsMadeAnew) {
  ASSERT_EQ(train().code, 0);
  const auto weights = run_.state();
  const std::string metrics = run_.metrics();
  const nlohmann::json before = run_.results();
  const Outcome other = train({"evaluate.neighbours=9", "evaluate.clustering=true"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_NE(other.err.find("runs/small/seed0: goes on with evaluate.neighbours: 5 -> 9\n"), std::string::npos)
      << other.err;
  EXPECT_NE(run_.results()["protocol"], before["protocol"]);
  EXPECT_TRUE(run_.results()["metrics"].contains("features.nmi"));
  EXPECT_EQ(run_.results()["loss"], before["loss"]);
  EXPECT_EQ(run_.metrics(), metrics);
  expect_weights_of(weights);
  EXPECT_NE(slurp(run_.folder / "config.resolved.toml").find("neighbours = 9\n"), std::string::npos);
  EXPECT_NE(slurp(run_.folder / "config.until-step-00000020.toml").find("neighbours = 5\n"),
            std::string::npos);
  EXPECT_NE(train({"evaluate.neighbours=9", "evaluate.clustering=true"}).out.find("finished at step 20\n"),
            std::string::npos);
}

TEST_F(GoingOn, ToMoreStepsEndsWhereARunOfAsManyEndsAndSaysWhatTheScheduleDoes) {
  const Arguments constant{"schedule.name=\"constant\""};
  ASSERT_EQ(train(constant).code, 0);
  Arguments longer = constant;
  longer.push_back("run.steps=32");
  const Outcome more = train(longer);
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(more.err.find("runs/small/seed0: goes on with run.steps: 20 -> 32\n"), std::string::npos)
      << more.err;
  EXPECT_NE(more.err.find("goes on to 32 steps instead of 20: "
                          "from here on the constant schedule is that of 32 steps: learning rate 0.05\n"),
            std::string::npos)
      << more.err;
  const auto weights = run_.state();
  const nlohmann::json results = run_.results();
  EXPECT_EQ(results["step"], 32);
  EXPECT_EQ(run_.rows(), 32);
  fs::remove_all(run_.folder);
  ASSERT_EQ(train(longer).code, 0);
  expect_weights_of(weights);
  EXPECT_EQ(run_.results(), results);
}

TEST_F(GoingOn, ToMoreStepsOnACosineSaysBothRates) {
  ASSERT_EQ(train().code, 0);
  const Outcome more = train({"run.epochs=10"});  // of four steps
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(more.err.find("goes on to 40 steps instead of 20: "
                          "from here on the cosine schedule is that of 40 steps: "
                          "learning rate 0.025 at this step instead of 0\n"),
            std::string::npos)
      << more.err;
  EXPECT_EQ(run_.results()["step"], 40);
}

TEST_F(GoingOn, FewerStepsThanWereMadeAndWhatTheyDependOnAreRefused) {
  ASSERT_EQ(train().code, 0);
  const auto refused = [&](const Arguments& sets, const std::string& keys) {
    const std::string before = slurp(run_.folder / "config.resolved.toml");
    const Outcome outcome = train(sets);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err,
              "runs/small/seed0: holds a run of another experiment, which differs in " + keys +
                  ". Choose another run.name, or --restart to keep the old folder aside and begin anew.\n");
    EXPECT_EQ(run_.status()["state"], "finished");
    EXPECT_EQ(slurp(run_.folder / "config.resolved.toml"), before);
  };
  refused({"run.steps=19"}, "run.steps: 20 -> 19 (20 steps are made)");
  refused({"loss.temperature=0.3", "evaluate.neighbours=4"}, "loss.temperature: 0.2 -> 0.3");
}

TEST_F(GoingOn, AFolderWithoutACheckpointHoldsNoRun) {
  const Outcome bad = train({"optimizer.learning_rate=1e30"});
  ASSERT_EQ(bad.code, 4) << bad.err;
  ASSERT_TRUE(run_.checkpoints().empty()) << "it fails before the first";
  EXPECT_NE(run_.status()["reason"], "");
  const Outcome corrected = train();
  EXPECT_EQ(corrected.code, 0) << corrected.err;
  EXPECT_EQ(run_.status()["state"], "finished");
  EXPECT_EQ(run_.status()["reason"], "");
  EXPECT_EQ(run_.rows(), 20);
}

TEST_F(GoingOn, ADamagedRecordIsNamedWithItsPlace) {
  ASSERT_EQ(train().code, 0);
  const std::string config = slurp(run_.folder / "config.resolved.toml"),
                    status = slurp(run_.folder / "status");
  place_.write("runs/small/seed0/config.resolved.toml", config + "\n[loss\n");
  const Outcome other = train();
  EXPECT_EQ(other.code, 5);
  EXPECT_EQ(other.err.find("runs/small/seed0/config.resolved.toml:"), 0u) << other.err;
  place_.write("runs/small/seed0/config.resolved.toml", config);
  place_.write("runs/small/seed0/status", R"({"state":"dreaming","step":20,"utc":"","reason":""})");
  const Outcome unknown = train();
  EXPECT_EQ(unknown.code, 5);
  EXPECT_EQ(unknown.err,
            "runs/small/seed0/status: unknown state \"dreaming\". Known states: running, finished, failed, "
            "interrupted, again.\n");
  place_.write("runs/small/seed0/status", status);
  EXPECT_EQ(train().code, 0);
}

TEST_F(GoingOn, ACheckpointServesAsTheWeightsOfAnotherRun) {
  ASSERT_EQ(train().code, 0);
  const auto trained = run_.state();
  const std::string file = fs::relative(run_.newest_tensors(), place_.folder);
  ASSERT_EQ(train({"run.name=\"second\"", "run.steps=0", "model.weights=\"" + file + "\""}).code, 0);
  const auto second =
      load_tensors((place_.folder / "runs/second/seed0/checkpoints/step-00000000.safetensors").string())
          .tensors;
  int64_t compared = 0;
  for (const auto& [name, tensor] : trained) {
    if (!name.starts_with("tower.encoder.")) continue;
    EXPECT_TRUE(torch::equal(second.at(name), tensor)) << name;
    ++compared;
  }
  EXPECT_GT(compared, 5);
  EXPECT_FALSE(torch::equal(second.at("tower.head.0.weight"), trained.at("tower.head.0.weight")))
      << "the head is not the encoder's";
}

}  // namespace
}  // namespace foil
