// SPDX-License-Identifier: BSD-3-Clause
// A study that is run again: what failed and was mended, what changed since, what foil has got since; and
// trials that are not worth their end.
#include "sweeps.h"

#include <sqlite3.h>

namespace {

const std::string collapsing = "[collapse]\nevery = 2\nstd = 0.99\naction = \"stop\"\n";
std::string one_trial(const std::string& tables) {
  return small_experiment() + "[sweep]\nseeds = 1\n" + tables;
}

std::vector<std::string> kept_aside(const fs::path& study) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(study)) {
    if (entry.path().filename().string().find(".old-") != std::string::npos) names.push_back(entry.path());
  }
  return names;
}

TEST(Ablate, ATrialThatFailedAndWasMendedBeginsAnewWithoutARestartOfTheStudy) {
  const Workplace place;
  place.write("e.toml", one_trial(collapsing));
  EXPECT_EQ(place.foil({"ablate", "e.toml"}).code, 1);
  place.write("e.toml", one_trial("[collapse]\naction = \"warn\"\n[schedule]\nname = \"constant\"\n"));
  const Outcome mended = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(mended.code, 0) << mended.err << mended.out;
  EXPECT_EQ(mended.err.find("resumed"), std::string::npos) << mended.err;
  ASSERT_EQ(kept_aside(place.folder / "runs/small").size(), 1u);
  EXPECT_TRUE(
      fs::exists(fs::path(kept_aside(place.folder / "runs/small")[0]) / "checkpoints/step-00000002.json"));
}

TEST(Ablate, ATrialThatFailedAndMayGoOnDoesSo) {
  const Workplace place;
  place.write("e.toml", one_trial(collapsing));
  EXPECT_EQ(place.foil({"ablate", "e.toml"}).code, 1);
  place.write("e.toml", one_trial("[collapse]\naction = \"warn\"\n"));
  const Outcome mended = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(mended.code, 0) << mended.err << mended.out;
  EXPECT_NE(mended.err.find("resumed at step 2\n"), std::string::npos) << mended.err;
  EXPECT_TRUE(kept_aside(place.folder / "runs/small").empty());
}

TEST(Ablate, ATrialThatIsRefusedShowsWhyAndNotWhyItFailedLastTime) {
  const Workplace place;
  place.write("e.toml", one_trial(collapsing));
  const Outcome first = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(count(first.out, "have collapsed"), 1) << first.out;
  place.write("runs/small/seed0/status",
              R"({"state":"dreaming","step":2,"utc":"","reason":"the projections have collapsed"})");
  const Outcome second = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(count(second.out, "have collapsed"), 0) << second.out;
  EXPECT_EQ(count(second.out, "runs/small/seed0/status: unknown state \"dreaming\"."), 1) << second.out;
  EXPECT_FALSE(fs::exists(place.folder / "runs/small/last-words.json"));
}

TEST(Ablate, AnotherEvaluationIsMadeOfWhatTheStudyTrained) {
  const Workplace place;
  place.write("e.toml", one_trial(""));
  ASSERT_EQ(place.foil({"ablate", "e.toml"}).code, 0);
  const fs::path run = place.folder / "runs/small/seed0",
                 newest = run / "checkpoints/step-00000020.safetensors";
  const auto trained = fs::last_write_time(newest);
  const Outcome other = place.foil({"ablate", "e.toml", "--set", "evaluate.clustering=true"});
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(fs::last_write_time(newest), trained);
  EXPECT_TRUE(nlohmann::json::parse(slurp(run / "results.json"))["metrics"].contains("features.nmi"));
  const Outcome refused =
      place.foil({"ablate", "e.toml", "--set", "evaluate.clustering=true", "--set", "loss.temperature=0.7"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find(
                "trial 'seed0' is complete with another configuration: loss.temperature: 0.2 -> 0.7. Give"),
            std::string::npos)
      << refused.err;
}

// A study that an older foil made: an option has come since.
TEST(Ablate, KeepsWhatIsCompleteWhenFoilHasANewOption) {
  const Workplace place;
  place.write("e.toml", one_trial(""));
  ASSERT_EQ(place.foil({"ablate", "e.toml"}).code, 0);
  const fs::path study = place.folder / "runs/small", run = study / "seed0";
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((study / "study.sqlite").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(database, "UPDATE trials SET config = replace(config, char(10) || 'zero_shot = []', '')",
                   nullptr, nullptr, nullptr),
      SQLITE_OK);
  EXPECT_EQ(sqlite3_changes(database), 1);
  sqlite3_close(database);
  fs::remove_all(run);  // of committed records the store alone is there
  const Outcome again = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_FALSE(fs::exists(run)) << again.err;
  const Outcome given = place.foil({"ablate", "e.toml", "--set", "evaluate.zero_shot=[\"a photo of {}\"]"});
  EXPECT_EQ(given.code, 2);
  EXPECT_NE(given.err.find("zero_shot: (absent) -> [\"a photo of {}\"]"), std::string::npos) << given.err;
}

TEST(Ablate, ABaselineWhoseResultsAreDamagedIsMeasuredAgain) {
  const Workplace place;
  std::string text = experiment("");
  place.write("e.toml", text.replace(text.find("seeds = 2"), 9, "seeds = 1"));
  ASSERT_EQ(place.foil({"ablate", "e.toml"}).code, 0);
  const std::string file = "runs/small/baselines/raw-pixels/results.json",
                    before = slurp(place.folder / file);
  for (const std::string damage : {"", "{\"config\": 7", "[]", "{\"config\": 7}"}) {
    place.write(file, damage);
    EXPECT_EQ(place.foil({"ablate", "e.toml"}).code, 0) << damage;
    EXPECT_EQ(slurp(place.folder / file), before) << damage;
  }
}

TEST(Ablate, PrunesARunningTrialThatFallsBehind) {
  const Workplace place;
  std::string text = experiment("prune = \"median\"\n");
  place.write("e.toml", text.replace(text.find("seeds = 2"), 9, "seeds = 5") + foil::kHold);
  const Outcome without = place.foil({"ablate", "e.toml"}, find_hold);
  EXPECT_EQ(without.code, 2);
  EXPECT_NE(without.err.find("sweep.prune = \"median\" with evaluate.every_epochs = 0 of 'seed0', allowed: "),
            std::string::npos)
      << without.err;
  std::vector<std::string> command{
      "ablate", "e.toml", "--set", "evaluate.every_epochs=1", "--set", "evaluate.baselines=false"};
  ASSERT_EQ(place.foil(command, find_hold).code, 0);
  const fs::path study = place.folder / "runs/small";
  for (int seed = 0; seed < 5; ++seed) {  // as good as can be from the first epoch on
    std::string rows;
    const fs::path file = study / ("seed" + std::to_string(seed)) / "metrics.jsonl";
    for (const std::string& line : lines(slurp(file))) {
      nlohmann::json row = nlohmann::json::parse(line);
      if (row.contains("knn")) row["knn"] = 100.5;
      rows += row.dump() + "\n";
    }
    place.write("runs/small/seed" + std::to_string(seed) + "/metrics.jsonl", rows);
  }
  place.hold_at("6");  // in its second epoch
  command.insert(command.end(), {"--set", "sweep.seeds=6"});
  const pid_t pid = place.start_foil(command, find_hold);
  const auto said = [&] { return slurp(place.folder / "stderr.txt"); };
  ASSERT_TRUE(Workplace::eventually([&] { return place.is_held("6"); })) << said();
  ASSERT_TRUE(Workplace::eventually([&] {
    return said().find("[6/6] small seed 5, pruned: after epoch 1 its best kNN, ") != std::string::npos;
  })) << said();
  place.let_go("6");
  const Outcome outcome = place.wait(pid);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("pruned: small seed 5: after epoch 1"), std::string::npos) << outcome.out;
  EXPECT_FALSE(fs::exists(study / "seed5/results.json"));
}

}  // namespace
