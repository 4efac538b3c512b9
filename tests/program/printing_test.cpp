// SPDX-License-Identifier: BSD-3-Clause
// What comes out of the program, whoever reads it: a pipe that closes, a full disk, a terminal, a folder that
// cannot be written.
#include "tests/support/run_foil.h"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace {

namespace fs = std::filesystem;
using foil::Outcome;
using foil::slurp;
using foil::small_experiment;
using foil::Workplace;

// One finished run, made once: the tests only read it, or write beside it.
const Workplace& finished() {
  static const Workplace& place = *new Workplace;
  static const int code = [] {
    place.write("e.toml", small_experiment());
    return place.foil({"train", "e.toml", "--quiet"}).code;
  }();
  EXPECT_EQ(code, 0);
  return place;
}
class Finished : public ::testing::Environment {
 public:
  void TearDown() override { fs::remove_all(finished().folder); }
};
const auto* const finished_environment = ::testing::AddGlobalTestEnvironment(new Finished);

nlohmann::json read_json(const std::string& name) {
  return nlohmann::json::parse(slurp(finished().folder / name));
}

// A command line of bash; FOIL stands for the program.
Outcome shell(const Workplace& place, std::string line) {
  for (size_t at; (at = line.find("FOIL")) != std::string::npos;) line.replace(at, 4, FOIL_PROGRAM);
  return place.run({"bash", "-c", line});
}

TEST(Stdout, OfARunMayCloseWhileItTrains) {
  const Workplace place;
  place.write("e.toml", small_experiment());
  const Outcome outcome = shell(place, "FOIL train e.toml --quiet | head -1; exit ${PIPESTATUS[0]}");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "runs/small/seed0\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(nlohmann::json::parse(slurp(place.folder / "runs/small/seed0/status"))["state"], "finished");
  EXPECT_TRUE(fs::exists(place.folder / "runs/small/seed0/results.json"));
  EXPECT_FALSE(fs::exists(place.folder / "runs/small/seed0/lock"));
}

TEST(Stdout, OfWhatOnlyPrintsMayCloseToo) {
  for (const std::string verb :
       {"compare runs/small", "runs", "config e.toml", "plugins", "describe infonce"}) {
    const Outcome outcome = shell(finished(), "FOIL " + verb + " | true; exit ${PIPESTATUS[0]}");
    EXPECT_EQ(outcome.code, 0) << verb << outcome.err;
    EXPECT_EQ(outcome.err, "") << verb;
  }
}

TEST(Stdout, OnAFullDiskFailsWhatOnlyPrintsAndNoRun) {
  const Outcome compared = shell(finished(), "FOIL compare runs/small > /dev/full");
  EXPECT_EQ(compared.code, 1);
  EXPECT_EQ(compared.err, "stdout: could not be written; what was to be printed is lost\n");
  EXPECT_EQ(shell(finished(), "FOIL runs > /dev/full").code, 1);
  const Outcome trained = shell(finished(), "FOIL train e.toml --quiet > /dev/full");
  EXPECT_EQ(trained.code, 0);
}

TEST(Evaluate, PrintsTheNumbersBeforeItSaysThatItCannotWriteThem) {
  const Workplace& place = finished();
  const fs::path in_the_way = place.folder / "runs/small/seed0/evaluation-step20.json";
  fs::create_directories(in_the_way / "full");
  const Outcome outcome = place.foil({"evaluate", "runs/small/seed0", "--quiet"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out.find("runs/small/seed0\n"), 0u);
  EXPECT_NE(outcome.out.find("\nknn "), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.err.find("runs/small/seed0/evaluation-step20.json: cannot write "), 0u) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with(". The numbers are printed; --out FILE writes them elsewhere.\n"))
      << outcome.err;
  const Outcome elsewhere = place.foil({"evaluate", "runs/small/seed0", "--quiet", "--out", "mine.json"});
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.err;
  EXPECT_TRUE(elsewhere.out.ends_with("\nmine.json\n")) << elsewhere.out;
  EXPECT_EQ(read_json("mine.json")["metrics"], read_json("runs/small/seed0/results.json")["metrics"]);
  fs::remove_all(in_the_way);
}

TEST(Evaluate, OfAFolderOfRunsNamesThem) {
  const Workplace& place = finished();
  fs::create_directories(place.folder / "runs/small/seed0.old-20260131T000000Z");
  place.write("runs/small/seed0.old-20260131T000000Z/config.resolved.toml", "");
  place.write("runs/small/seed1/config.resolved.toml", "");
  for (const std::string given : {"runs/small", "runs/small/"}) {
    const Outcome outcome = place.foil({"evaluate", given});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err, given + ": holds the runs seed0, seed1: name one, such as runs/small/seed0.\n");
    EXPECT_EQ(outcome.out, "");
  }
  fs::remove_all(place.folder / "runs/small/seed1");
  fs::remove_all(place.folder / "runs/small/seed0.old-20260131T000000Z");
}

TEST(Evaluate, KeepsWhatWasSetWithItsNumbersAndTheOtherNumbersAsTheyAre) {
  const Workplace& place = finished();
  ASSERT_EQ(place.foil({"evaluate", "runs/small/seed0", "--quiet"}).code, 0);
  const std::string plain = "runs/small/seed0/evaluation-step20.json", before = slurp(place.folder / plain);
  const Outcome other = place.foil(
      {"evaluate", "runs/small/seed0", "--quiet", "--set", "data.test_samples=77", "--set", "data.seed=5"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(slurp(place.folder / plain), before);
  const std::string out = other.out.substr(0, other.out.size() - 1), file = out.substr(out.rfind('\n') + 1);
  EXPECT_EQ(file.find("runs/small/seed0/evaluation-step20-set-"), 0u) << file;
  EXPECT_EQ(read_json(file)["set"], nlohmann::json({"data.test_samples=77", "data.seed=5"}));
  EXPECT_NE(read_json(file)["protocol"], read_json(plain)["protocol"]);
  EXPECT_FALSE(read_json(plain).contains("set"));
}

TEST(Stderr, ShowsWhatIsInAFileWithoutObeyingIt) {
  const Workplace place;
  place.write("e.toml", small_experiment());
  const std::string clear = "\x1b[2J\x1b]0;mine\x07";
  const Outcome named = place.foil({"train", "no" + clear + ".toml"});
  EXPECT_EQ(named.code, 2);
  EXPECT_EQ(named.err.find('\x1b'), std::string::npos);
  EXPECT_NE(named.err.find("no\\x1b[2J"), std::string::npos) << named.err;
  const Outcome argument = place.foil({"train", "e.toml", "--nproc", clear});
  EXPECT_EQ(argument.code, 2);
  EXPECT_EQ(argument.err.find('\x1b'), std::string::npos) << argument.err;
  place.write("run/config.resolved.toml", "[run]\nname = \"\\u001b[2J\"\nseed = 0\n");
  place.write("run/results.json",
              R"({"protocol": "p\u001b[1m", "metrics": {"knn\u001b[2J": 1.5, "linear": 2}, "step": 1})");
  for (const std::string format : {"table", "csv", "markdown", "json"}) {
    const Outcome compared = place.foil({"compare", "run", "--format", format});
    EXPECT_EQ(compared.code, 0) << compared.err;
    EXPECT_EQ((compared.out + compared.err).find('\x1b'), std::string::npos) << format << compared.out;
  }
  place.write("run/status", R"({"state": "failed", "step": 1, "utc": "", "reason": "\u001b[2J"})");
  place.write("no" + clear + "/text", "");
  for (const std::string format : {"table", "json"}) {
    const Outcome listed = place.foil({"runs", ".", "--format", format});
    EXPECT_EQ(listed.code, 0) << listed.err;
    EXPECT_EQ((listed.out + listed.err).find('\x1b'), std::string::npos) << format << listed.out;
    EXPECT_NE(listed.out.find("failed"), std::string::npos) << format << listed.out;
  }
}

TEST(Stderr, AnErrorWithATextThatIsNotUtf8KeepsItsCodeAndItsStatus) {
  const Workplace place;
  const std::string png = "data/train/a/caf\xe9.png";
  place.write(png, "\x89PNG\r\n\x1a\n and no more");
  place.write("e.toml",
              "[run]\nsteps = 1\n[data]\nname = \"image_folder\"\npath = \"data\"\nbatch_size = 1\n"
              "[encoder]\nname = \"small_cnn\"\n[[loss]]\nname = \"infonce\"\n");
  const Outcome outcome = place.foil({"train", "e.toml", "--quiet"},
                                     {"TORCHELASTIC_ERROR_FILE=" + (place.folder / "error.json").string()});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_NE(outcome.err.find("caf\\xe9.png"), std::string::npos) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(slurp(place.folder / "error.json"))["message"]["errorCode"], 5);
}

TEST(Records, ThatCouldNotHoldAPathAreRefusedBeforeAnythingRuns) {
  const Workplace place;
  place.write("caf\xe9/e.toml", small_experiment("output = \"here\"\n"));
  for (const std::string verb : {"train", "ablate"}) {
    const Outcome outcome = place.foil({verb, "caf\xe9/e.toml"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err, "caf\\xe9/e.toml:6:10: run.output = " + (place.folder / "caf\\xe9/here").string() +
                               ", allowed: a path in UTF-8, as the records of a run are.\n");
    EXPECT_FALSE(fs::exists(place.folder / "caf\xe9/here"));
  }
}

TEST(Records, OfAStudyThatAreDamagedAreNamedWithCode5) {
  const Workplace place;
  place.write(
      "study/study.sqlite",
      "a text that is longer than the hundred bytes of the header of a database, but is none, not at all so");
  const Outcome text = place.foil({"compare", "study"});
  EXPECT_EQ(text.code, 5);
  EXPECT_NE(text.err.find("study/study.sqlite: file is not a database\n"), std::string::npos) << text.err;
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  place.write("run/config.resolved.toml", "[run]\nname = \"x\"\nseed = 0\n");
  place.write("run/results.json", R"({"protocol": "p", "metrics": {"knn": 1.5}, "step": 1})");
  place.write("run/env.json", deep);
  const Outcome compared = place.foil({"compare", "run", "--report", "report"});
  EXPECT_EQ(compared.code, 0) << compared.err;
  EXPECT_NE(slurp(place.folder / "report/report.html").find("env.json: nested deeper than 100"),
            std::string::npos);
  place.write("run/results.json", deep);
  const Outcome damaged = place.foil({"compare", "run"});
  EXPECT_EQ(damaged.code, 0) << damaged.err;
  EXPECT_NE(damaged.out.find("failed: x seed 0: "), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.out.find("run/results.json: nested deeper than 100"), std::string::npos) << damaged.out;
  place.write("run/config.resolved.toml", "[run\n");
  const Outcome config = place.foil({"compare", "run"});
  EXPECT_EQ(config.code, 5) << config.err;
  EXPECT_NE(config.err.find("run/config.resolved.toml:1:"), std::string::npos) << config.err;
}

TEST(Records, ThatAreNoFilesAreNotWaitedFor) {
  const Workplace place;
  fs::create_directories(place.folder / "run");
  ASSERT_EQ(::mkfifo((place.folder / "run/config.resolved.toml").c_str(), 0600), 0);
  const Outcome evaluated = shell(place, "timeout 120 FOIL evaluate run");
  EXPECT_EQ(evaluated.code, 5);
  EXPECT_EQ(evaluated.err, "run/config.resolved.toml: is not a regular file\n");
  for (const std::string name : {"results.json", "status", "env.json", "config.resolved.toml"}) {
    fs::remove_all(place.folder / "run");
    place.write("run/config.resolved.toml", "[run]\nname = \"x\"\nseed = 0\n");
    place.write("run/results.json", R"({"protocol": "p", "metrics": {"knn": 1.5}, "step": 1})");
    fs::remove(place.folder / "run" / name);
    ASSERT_EQ(::mkfifo((place.folder / "run" / name).c_str(), 0600), 0);
    const Outcome outcome = shell(place, "timeout 120 FOIL compare run --report report");
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 5) << name << outcome.code;
    EXPECT_NE((outcome.out + outcome.err + slurp(place.folder / "report/report.html"))
                  .find(name + ": is not a regular file"),
              std::string::npos)
        << outcome.out << outcome.err;
  }
}

}  // namespace
