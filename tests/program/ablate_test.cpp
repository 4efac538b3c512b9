// SPDX-License-Identifier: BSD-3-Clause
// foil ablate and foil compare, on a sweep of two losses and two seeds over tiny synthetic images.
#include "sweeps.h"

#include <map>

namespace {

// One finished study, made once: the tests that only read share it.
const Workplace& finished(Outcome* outcome = nullptr) {
  static Outcome first;
  static const Workplace& place = *new Workplace;
  static const bool made = [] {
    place.write("e.toml", experiment(two_losses));
    first = place.foil({"ablate", "e.toml"});
    return true;
  }();
  (void)made;
  if (outcome) *outcome = first;
  return place;
}

class Finished : public ::testing::Environment {
 public:
  void TearDown() override { fs::remove_all(finished().folder); }
};
const auto* const finished_environment = ::testing::AddGlobalTestEnvironment(new Finished);

TEST(Ablate, SaysNothingBesideItsResultWhenQuiet) {
  const Workplace place;
  place.write("e.toml", experiment(two_losses));
  const Outcome outcome =
      place.foil({"ablate", "e.toml", "--quiet", "--set", "run.steps=1", "--set", "sweep.seeds=1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(lines(outcome.out).back(), "runs/small/report.html");
}

TEST(Ablate, MakesOneTableOfBaselinesAndVariantsAndAReport) {
  Outcome outcome;
  const Workplace& place = finished(&outcome);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(lines(outcome.out).front(), "runs/small");
  EXPECT_EQ(lines(outcome.out).back(), "runs/small/report.html");
  EXPECT_GT(slurp(place.folder / "runs/small/report.html").size(), 1000u);
  const int64_t header = line_of(outcome.out, "variant"), pixels = line_of(outcome.out, "raw pixels"),
                untrained = line_of(outcome.out, "untrained"), infonce = line_of(outcome.out, "infonce"),
                dcl = line_of(outcome.out, "dcl");
  EXPECT_EQ(lines(outcome.out)[1].rfind("protocol synthetic knn-cosine-k5-", 0), 0u) << outcome.out;
  EXPECT_EQ(header, 2) << outcome.out;
  EXPECT_LT(header, pixels);
  EXPECT_LT(pixels, untrained);
  EXPECT_LT(untrained, infonce);
  EXPECT_LT(infonce, dcl);
  const std::string titles = lines(outcome.out)[2];
  EXPECT_EQ(titles.find("kNN %"), titles.find_first_not_of(' ', std::string("variant").size()))
      << "kNN is the first column";
  EXPECT_NE(lines(outcome.out)[static_cast<size_t>(dcl)].find("n < 3"), std::string::npos) << outcome.out;
  EXPECT_NE(titles.find("by samples"), std::string::npos) << titles;
  for (const std::string header_of :
       {"[1/4] infonce seed 0", "[2/4] infonce seed 1", "[3/4] dcl seed 0", "[4/4] dcl seed 1"}) {
    EXPECT_GE(line_of(outcome.err, header_of), 0) << header_of;
  }
}

TEST(Ablate, GivesTheUntrainedEncoderOfEachSeedAndTheRawPixelsTheSameEvaluation) {
  const fs::path study = finished().folder / "runs/small";
  std::map<std::string, nlohmann::json> results;
  for (const std::string name :
       {"baselines/raw-pixels", "baselines/untrained-seed0", "baselines/untrained-seed1", "infonce-seed0",
        "infonce-seed1", "dcl-seed0", "dcl-seed1"}) {
    results[name] = nlohmann::json::parse(slurp(study / name / "results.json"));
    EXPECT_EQ(results[name]["protocol"], results["baselines/raw-pixels"]["protocol"]) << name;
  }
  EXPECT_NE(results["baselines/untrained-seed0"]["measured"],
            results["baselines/untrained-seed1"]["measured"]);
  EXPECT_NE(results["baselines/untrained-seed0"]["measured"], results["infonce-seed0"]["measured"]);
}

TEST(Ablate, SkipsWhatIsFinished) {
  Outcome first;
  const Workplace& place = finished(&first);
  const auto written = [&] {
    std::map<std::string, fs::file_time_type> files;
    for (const std::string trial : {"infonce-seed0", "infonce-seed1", "dcl-seed0", "dcl-seed1",
                                    "baselines/raw-pixels", "baselines/untrained-seed1"}) {
      files[trial] = fs::last_write_time(place.folder / "runs/small" / trial / "results.json");
    }
    return files;
  };
  const auto before = written();
  const Outcome again = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, first.out);
  EXPECT_EQ(count(again.err, ": complete already\n"), 4) << again.err;
  EXPECT_EQ(again.err.find("train "), std::string::npos) << again.err;
  EXPECT_TRUE(written() == before);
}

TEST(Ablate, GoesOnFromTheRecordsAloneInAnotherFolder) {
  Outcome first;
  const Workplace& place = finished(&first);
  const fs::path records = place.folder / "kept/small";
  fs::create_directories(records);
  fs::copy(place.folder / "runs/small/study.sqlite", records / "study.sqlite");
  fs::copy(place.folder / "runs/small/baselines", records / "baselines", fs::copy_options::recursive);
  const Outcome again = place.foil({"ablate", "e.toml", "--set", "run.output=kept"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(count(again.err, ": complete already\n"), 4) << again.err;
  const auto table = [](const std::string& out) {
    return out.substr(out.find("variant"), out.find("/report") - out.find("variant"));
  };
  EXPECT_EQ(lines(table(again.out))[3], lines(table(first.out))[3]) << "the row of infonce";
  const std::string dcl = lines(table(again.out))[4];
  EXPECT_TRUE(dcl.ends_with("n < 3"))
      << "the hits, and so the interval by samples, lie in the folders of trials";
  EXPECT_TRUE(lines(table(first.out))[4].starts_with(dcl + "   [")) << dcl;
}

TEST(Ablate, RunsTheFilesThatAFileListsAsOneStudy) {
  Workplace place;
  place.write("methods/one.toml", experiment(""));
  place.write("methods/two.toml", "extends = \"one.toml\"\n[[loss]]\nname = \"dcl\"\n");
  place.write(
      "all.toml",
      "[run]\nname = \"all\"\n[sweep]\nseeds = 1\nfiles = [\"methods/one.toml\", \"methods/two.toml\"]\n");
  const Outcome outcome = place.foil({"ablate", "all.toml"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(lines(outcome.out).front(), "runs/all");
  EXPECT_GT(line_of(outcome.out, "one "), 0) << outcome.out;
  EXPECT_GT(line_of(outcome.out, "two "), line_of(outcome.out, "one ")) << outcome.out;
  EXPECT_TRUE(fs::exists(place.folder / "runs/all/two-seed0/results.json"));
}

TEST(Ablate, DryRunListsTheTrialsAndCreatesNothing) {
  const Workplace place;
  place.write("e.toml", experiment(two_losses));
  const Outcome outcome = place.foil({"ablate", "e.toml", "--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::string trials =
      "infonce-seed0  20 steps  waiting\n"
      "infonce-seed1  20 steps  waiting\n"
      "dcl-seed0      20 steps  waiting\n"
      "dcl-seed1      20 steps  waiting\n"
      "4 of 4 trials to run, 80 steps, checkpoints of ";
  ASSERT_TRUE(outcome.out.starts_with(trials)) << outcome.out;
  uintmax_t kept = 0;
  for (const auto& entry : fs::recursive_directory_iterator(finished().folder / "runs/small"))
    if (entry.path().parent_path().filename() == "checkpoints") kept += fs::file_size(entry.path());
  constexpr double kFewKB = 3, kCheckpoints = 8;  // what bytes() of a checkpoint is right to
  EXPECT_NEAR(std::stod(outcome.out.substr(trials.size())), static_cast<double>(kept) / 1e3,
              kFewKB * kCheckpoints)
      << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with(" kB\n")) << outcome.out;
  EXPECT_FALSE(fs::exists(place.folder / "runs"));
  EXPECT_EQ(lines(finished().foil({"ablate", "e.toml", "--dry-run"}).out).back(), "0 of 4 trials to run");
}

TEST(Ablate, AFailedTrialDoesNotStopTheOthersAndItsReasonIsInTheTable) {
  const Workplace place;
  place.write("e.toml", experiment("grid = { \"optimizer.learning_rate\" = [1e30, 0.05] }\n"));
  const Outcome outcome = place.foil({"ablate", "e.toml", "--set", "evaluate.baselines=false"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_EQ(count(outcome.out, "failed: learning_rate=1e+30 seed 0: step "), 1) << outcome.out;
  EXPECT_EQ(count(outcome.out, "failed: learning_rate=1e+30 seed 1: step "), 1) << outcome.out;
  EXPECT_EQ(count(outcome.out, ": non-finite "), 2) << outcome.out;
  EXPECT_GE(line_of(outcome.out, "learning_rate=0.05"), 0) << outcome.out;
  EXPECT_EQ(lines(outcome.out).back(), "runs/small/report.html");
  for (const std::string seed : {"seed0", "seed1"})
    EXPECT_TRUE(fs::exists(place.folder / "runs/small/learning_rate=0.05-seed0/results.json")) << seed;
  EXPECT_EQ(
      nlohmann::json::parse(slurp(place.folder / "runs/small/learning_rate=1e+30-seed0/status"))["state"],
      "failed");
  const Outcome later = place.foil({"compare", "runs/small"});
  EXPECT_EQ(later.code, 0);
  EXPECT_EQ(count(later.out, ": non-finite "), 2) << later.out;
}

// A study of one trial that stops as collapsed at its second step, with a checkpoint.
TEST(Ablate, GoesOnAfterBeingKilled) {
  const Workplace place;
  place.write("e.toml", experiment(two_losses) + foil::kHold);
  const fs::path study = place.folder / "runs/small";
  const auto expect_held = [&](const std::string& at) {
    ASSERT_TRUE(Workplace::eventually([&] { return place.is_held(at); }))
        << slurp(place.folder / "stderr.txt");
  };
  place.hold_at("2");
  const pid_t pid = place.start_foil({"ablate", "e.toml"}, find_hold);
  expect_held("2");  // the first trial; the baselines were evaluated before
  place.hold_at("evaluation");
  place.let_go("2");
  expect_held("evaluation");
  place.hold_at("2");
  place.let_go("evaluation");
  expect_held("2");  // the second one
  EXPECT_EQ(lines(slurp(study / "infonce-seed1/metrics.jsonl")).size(), 2u);
  ::kill(-pid, SIGKILL);
  EXPECT_EQ(place.wait(pid).code, 128 + SIGKILL);
  const auto first_written = fs::last_write_time(study / "infonce-seed0/results.json");
  const Outcome outcome = place.foil({"ablate", "e.toml"}, find_hold);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GE(line_of(outcome.err, "[1/4] infonce seed 0: complete already"), 0) << outcome.err;
  EXPECT_GE(line_of(outcome.err, "[2/4] infonce seed 1, continued"), 0) << outcome.err;
  EXPECT_EQ(fs::last_write_time(study / "infonce-seed0/results.json"), first_written);
  Outcome uninterrupted;
  finished(&uninterrupted);
  EXPECT_EQ(before_effort(outcome.out), before_effort(uninterrupted.out));
  EXPECT_EQ(slurp(study / "infonce-seed1/metrics.jsonl"),
            slurp(finished().folder / "runs/small/infonce-seed1/metrics.jsonl"));
}

TEST(Ablate, CtrlCStopsTheTrialAtItsStepAndTheStudyWithIt) {
  const Workplace place;
  place.write("e.toml", experiment(two_losses) + foil::kHold);
  place.hold_at("5");
  const fs::path study = place.folder / "runs/small";
  const pid_t pid = place.start_foil(
      {"ablate", "e.toml", "--set", "run.steps=2000", "--set", "evaluate.baselines=false"}, find_hold);
  ASSERT_TRUE(Workplace::eventually([&] { return place.is_held("5"); }))
      << slurp(place.folder / "stderr.txt");
  ::kill(pid, SIGINT);
  place.let_go("5");
  const Outcome outcome = place.wait(pid);
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_EQ(outcome.out, "runs/small\n");
  EXPECT_EQ(lines(outcome.err).back(), "stopped; the same command goes on with the study");
  EXPECT_EQ(nlohmann::json::parse(slurp(study / "infonce-seed0/status"))["state"], "interrupted");
  EXPECT_FALSE(fs::exists(study / "infonce-seed1"));
}

TEST(Compare, PrintsJsonThatParses) {
  const Outcome outcome = finished().foil({"compare", "runs/small", "--format", "json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json table = nlohmann::json::parse(outcome.out)["tables"].at(0);
  std::vector<std::string> variants;
  for (const auto& row : table["rows"]) variants.push_back(row["variant"]);
  EXPECT_EQ(variants, (std::vector<std::string>{"raw pixels", "untrained", "infonce", "dcl"}));
  EXPECT_EQ(table["reference"], "infonce");
  const nlohmann::json dcl = table["rows"][3]["metrics"]["knn"];
  EXPECT_EQ(dcl["n"], 2);
  EXPECT_EQ(dcl["values"]["1"],
            nlohmann::json::parse(
                slurp(finished().folder / "runs/small/dcl-seed1/results.json"))["metrics"]["knn"]);
}

TEST(Compare, PrintsCsvWithAsManyFieldsInEveryLine) {
  const Outcome outcome = finished().foil({"compare", "runs/small", "--format", "csv"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto all = lines(outcome.out);
  ASSERT_GT(all.size(), 4u);
  const auto fields = [](const std::string& line) {  // commas outside quotes
    bool quoted = false;
    int64_t n = 1;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      n += c == ',' && !quoted;
    }
    return n;
  };
  for (const std::string& line : all) EXPECT_EQ(fields(line), fields(all[0])) << line;
  for (const std::string variant : {"raw pixels", "untrained", "infonce", "dcl"})
    EXPECT_GT(count(outcome.out, variant + ","), 0) << outcome.out;
}

TEST(Compare, PrintsMarkdownAndTheSameTableAsAblate) {
  const Outcome markdown = finished().foil({"compare", "runs/small", "--format", "markdown"});
  ASSERT_EQ(markdown.code, 0) << markdown.err;
  const int64_t header = line_of(markdown.out, "| variant");
  ASSERT_GE(header, 0) << markdown.out;
  const auto all = lines(markdown.out);
  for (size_t i = 0; i < 6; ++i)
    EXPECT_EQ(count(all.at(static_cast<size_t>(header) + i), "|"),
              count(all[static_cast<size_t>(header)], "|"))
        << markdown.out;
  Outcome ablate;
  const Outcome table = finished(&ablate).foil({"compare", "runs/small", "--report", "elsewhere"});
  EXPECT_EQ("runs/small\n" + table.out + "runs/small/report.html\n", ablate.out);
  EXPECT_TRUE(fs::exists(finished().folder / "elsewhere/report.html"));
}

TEST(Compare, DrawsEveryPictureOfTheReportAsPngToo) {
  const std::vector<std::string> command{"compare", "runs/small", "--report", "drawn", "--png"};
  ASSERT_EQ(finished().foil(command).code, 0);
  int pictures = 0;
  for (const auto& entry : fs::recursive_directory_iterator(finished().folder / "drawn")) {
    if (entry.path().extension() != ".svg") continue;
    ++pictures;
    double width = 0, height = 0;
    const std::string svg = slurp(entry.path()),
                      png = slurp(fs::path(entry.path()).replace_extension(".png"));
    ASSERT_EQ(
        std::sscanf(svg.c_str() + svg.find(" width="), " width=\"%lf\" height=\"%lf\"", &width, &height), 2);
    ASSERT_TRUE(png.starts_with("\x89PNG")) << entry.path();
    const auto big_endian = [&](size_t at) {
      int value = 0;
      for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(png[at + i]);
      return value;
    };
    EXPECT_NEAR(big_endian(16), 2 * width, 1) << entry.path();
    EXPECT_NEAR(big_endian(20), 2 * height, 1) << entry.path();
  }
  EXPECT_GT(pictures, 5);
  const Outcome without = finished().foil(command, {"PATH=/nowhere"});
  EXPECT_EQ(without.code, 1);
  EXPECT_NE(without.err.find("--png: rsvg-convert, which draws SVG as PNG, is not there"), std::string::npos)
      << without.err;
  const Outcome alone = finished().foil({"compare", "runs/small", "--png"});
  EXPECT_EQ(alone.code, 2) << alone.err;
}

TEST(Compare, OfSingleRunsNamesThemByTheirExperiment) {
  const Outcome outcome = finished().foil({"compare", "runs/small/infonce-seed0", "runs/small/dcl-seed0"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_LT(line_of(outcome.out, "infonce"), line_of(outcome.out, "dcl")) << outcome.out;
}

}  // namespace
