// SPDX-License-Identifier: BSD-3-Clause
#include "config/sweep.h"

#include "config/dump.h"
#include "config/load.h"
#include "config/override.h"
#include "config/parse.h"
#include "tests/support/error_of.h"
#include "tests/support/in_temp_folder.h"

namespace foil {
namespace {

using test::refusal;

std::string at(const Node& root, const std::string& path) {
  const Node* node = at_path(root, path);
  return node ? to_toml(*node) : "(absent)";
}

// The names of the trials, one a line.
std::string names(const std::string& toml, const std::vector<std::string>& sets = {}) {
  Node root = parse_toml(toml, "a.toml");
  for (const std::string& set : sets) {
    const size_t equals = set.find('=');
    Node value = parse_toml("v = " + set.substr(equals + 1), "--set").table()[0].second;
    override_value(root, set.substr(0, equals), value);
  }
  std::string out;
  for (const Trial& trial : expand(root, set_keys(sets))) out += trial.name + "\n";
  return out;
}

const std::string kBase = "[run]\nseed = 4\n[[loss]]\nname = \"infonce\"\ntemperature = 0.5\n[sweep]\n";

TEST(Sweep, WithoutOneIsOneTrialOfTheRunsOwnSeed) {
  const auto trials = expand(parse_toml("[run]\nname = \"quick\"\nseed = 4\n", "a.toml"));
  ASSERT_EQ(trials.size(), 1u);
  EXPECT_EQ(trials[0].name, "seed4");
  EXPECT_EQ(trials[0].variant, "quick");
  EXPECT_EQ(trials[0].seed, 4);
  EXPECT_TRUE(trials[0].sets.empty());
  EXPECT_EQ(expand(parse_toml("", "a.toml"))[0].name, "seed0");
  EXPECT_EQ(expand(parse_toml("", "a.toml"))[0].variant, "default");
}

TEST(Sweep, CountsSeedsFromTheRunsOwnOrTakesAList) {
  EXPECT_EQ(names(kBase + "seeds = 3\n"), "seed4\nseed5\nseed6\n");
  EXPECT_EQ(names(kBase + "seeds = [9, 2]\n"), "seed9\nseed2\n");
}

TEST(Sweep, WalksTheGridFirstKeySlowestThenZipThenSeeds) {
  const Node root =
      parse_toml(kBase +
                     "seeds = [1, 2]\ngrid = { \"loss.temperature\" = [0.1, 1], "
                     "\"loss.name\" = [\"infonce\", \"dcl\"] }\n"
                     "zip = { \"data.batch_size\" = [64, 128], \"optimizer.learning_rate\" = [0.3, 0.6] }\n",
                 "a.toml");
  const auto trials = expand(root);
  ASSERT_EQ(trials.size(), 16u);
  EXPECT_EQ(trials[0].variant, "temperature=0.1 infonce batch_size=64 learning_rate=0.3");
  EXPECT_EQ(trials[0].name, "temperature=0.1-infonce-batch_size=64-learning_rate=0.3-seed1");
  EXPECT_EQ(trials[1].name, "temperature=0.1-infonce-batch_size=64-learning_rate=0.3-seed2");
  EXPECT_EQ(trials[2].variant, "temperature=0.1 infonce batch_size=128 learning_rate=0.6");
  EXPECT_EQ(trials[4].variant, "temperature=0.1 dcl batch_size=64 learning_rate=0.3");
  EXPECT_EQ(trials[15].variant, "temperature=1 dcl batch_size=128 learning_rate=0.6");
  EXPECT_EQ(trials[15].sets,
            (std::vector<std::string>{"loss.temperature=1", "loss.name=\"dcl\"", "data.batch_size=128",
                                      "optimizer.learning_rate=0.6", "run.seed=2"}));
  EXPECT_EQ(at(trials[15].root, "loss"), "[{name = \"dcl\", temperature = 1}]");
  EXPECT_EQ(at(trials[15].root, "run.seed"), "2");
  EXPECT_EQ(at(trials[15].root, "data.batch_size"), "128");
  EXPECT_EQ(trials[15].root.find("sweep"), nullptr);
  EXPECT_EQ(at_path(trials[15].root, "loss.temperature")->origin.text(), "a.toml:8:37");
}

TEST(Sweep, NamesASingleTextByItself) {
  EXPECT_EQ(names(kBase + "grid = { \"loss.name\" = [\"infonce\", \"dcl\"] }\n"),
            "infonce-seed4\ndcl-seed4\n");
  EXPECT_EQ(names(kBase + "grid = { \"data.path\" = [\"../a b\", \"../a/b\", \"/\"] }\n"),
            "a-b-seed4\na-b-2-seed4\nvariant-seed4\n");
  EXPECT_EQ(names(kBase + "grid = { \"data.subset\" = [10, 20] }\n"), "subset=10-seed4\nsubset=20-seed4\n");
}

TEST(Sweep, UsesTheShortestTailsThatTellKeysApart) {
  const std::string toml =
      "[[loss]]\n[[loss]]\n[sweep.grid]\n\"loss.0.weight\" = [1]\n\"loss.1.weight\" = [2]\n"
      "\"head.dims\" = [[8, 4]]\n";
  const auto trials = expand(parse_toml(toml, "a.toml"));
  ASSERT_EQ(trials.size(), 1u);
  EXPECT_EQ(trials[0].variant, "0.weight=1 1.weight=2 dims=[8, 4]");
  EXPECT_EQ(trials[0].name, "0.weight=1-1.weight=2-dims=-8-4-seed0");
}

TEST(Sweep, TakesNestedTablesForDottedKeys) {
  EXPECT_EQ(names(kBase + "[sweep.grid]\nloss.temperature = [0.1]\n"), "temperature=0.1-seed4\n");
}

TEST(Sweep, SweepsWholeListsOfTables) {
  const auto trials = expand(parse_toml(
      kBase + "grid = { loss = [[{name = \"a\"}], [{name = \"a\"}, {name = \"b\"}]] }\n", "a.toml"));
  ASSERT_EQ(trials.size(), 2u);
  EXPECT_EQ(at(trials[1].root, "loss.1.name"), "\"b\"");
}

TEST(Sweep, LetsTheCommandLineWin) {
  const std::string grid =
      kBase +
      "seeds = 2\ngrid = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.2] }\n";
  EXPECT_EQ(names(grid, {"loss.name=\"dcl\""}),
            "dcl-temperature=0.1-seed4\ndcl-temperature=0.1-seed5\ndcl-temperature=0.2-seed4\n"
            "dcl-temperature=0.2-seed5\n");
  EXPECT_EQ(names(grid, {"loss.0.name=\"dcl\"", "loss.temperature=0.7", "run.seed=8"}),
            "dcl-temperature=0.7-seed8\n");
  EXPECT_EQ(names(grid, {"loss={name = \"dcl\"}"}), "dcl-seed4\ndcl-seed5\n");
  const std::string zip = kBase + "zip = { \"data.subset\" = [1, 2, 3], \"loss.temperature\" = [5, 6, 6] }\n";
  EXPECT_EQ(names(zip, {"data.subset=9"}), "subset=9-temperature=5-seed4\nsubset=9-temperature=6-seed4\n");
  const std::string steps = "[run]\nsteps = 1\n[sweep]\ngrid = { \"run.steps\" = [10, 20] }\n";
  EXPECT_EQ(names(steps, {"run.epochs=2"}), "seed0\n");
}

TEST(Sweep, KeepsWhatTheCommandLineSetsInsideASweptTable) {
  Node root = parse_toml(kBase + "grid = { loss = [{name = \"a\"}, {name = \"b\"}] }\n", "a.toml");
  override_value(root, "loss.temperature", {0.9, {"--set loss.temperature=0.9", 0, 0}, {}});
  const auto trials = expand(root, {"loss.temperature"});
  ASSERT_EQ(trials.size(), 2u);
  EXPECT_EQ(at(trials[1].root, "loss"), "[{name = \"b\", temperature = 0.9}]");
  EXPECT_EQ(at_path(trials[1].root, "loss.temperature")->origin.text(), "--set loss.temperature=0.9");
}

TEST(Sweep, ReplacesEpochsBySweptSteps) {
  const auto trials =
      expand(parse_toml("[run]\nepochs = 1\n[sweep]\ngrid = { \"run.steps\" = [10] }\n", "a.toml"));
  EXPECT_EQ(at(trials[0].root, "run"), "{steps = 10}");
}

TEST(Sweep, AblatesOneKeyAtATimeAroundTheExperimentAsItStands) {
  const std::string ablate =
      kBase + "ablate = { \"loss.temperature\" = [0.1, 0.5, 1], \"loss.name\" = [\"dcl\"] }\n";
  EXPECT_EQ(names(ablate), "base-seed4\ntemperature=0.1-seed4\ntemperature=1-seed4\ndcl-seed4\n")
      << "0.5 is what it has already";
  EXPECT_EQ(names(ablate, {"loss.temperature=0.7"}), "base-seed4\ndcl-seed4\n");
  const auto trials = expand(parse_toml(ablate + "grid = { \"data.subset\" = [1, 2] }\n", "a.toml"));
  ASSERT_EQ(trials.size(), 8u);
  EXPECT_EQ(trials[0].variant, "subset=1");
  EXPECT_EQ(trials[7].variant, "subset=2 dcl");
  EXPECT_EQ(at(trials[7].root, "loss"), "[{name = \"dcl\", temperature = 0.5}]");
}

TEST(Sweep, DrawsAtRandomTheSameForTheSameSeed) {
  const std::string random =
      "random = { n = 200, \"loss.temperature\" = { low = 0.01, high = 1, log = true }, "
      "\"data.subset\" = { low = 1, high = 3 }, \"loss.name\" = [\"a\", \"b\"] }\n";
  const auto trials = expand(parse_toml(kBase + random, "a.toml"));
  ASSERT_EQ(trials.size(), 200u);
  int64_t below = 0, subset[4] = {}, named_a = 0;
  for (const Trial& trial : trials) {
    const double temperature = at_path(trial.root, "loss.temperature")->number();
    ASSERT_GE(temperature, 0.01);
    ASSERT_LE(temperature, 1);
    below += temperature < 0.1;
    const int64_t rows = at_path(trial.root, "data.subset")->integer();
    ASSERT_TRUE(rows >= 1 && rows <= 3);
    ++subset[rows];
    named_a += at(trial.root, "loss.name") == "\"a\"";
  }
  // Half, a third, half, each within four standard deviations of a binomial of 200.
  EXPECT_NEAR(static_cast<double>(below), 100, 4 * 7.1);
  for (int i = 1; i <= 3; ++i) EXPECT_NEAR(static_cast<double>(subset[i]), 66.7, 4 * 6.7) << i;
  EXPECT_NEAR(static_cast<double>(named_a), 100, 4 * 7.1);
  EXPECT_EQ(names(kBase + random), names(kBase + random));
  std::string other = random;
  other.insert(other.find("n ="), "seed = 1, ");
  EXPECT_NE(names(kBase + random), names(kBase + other));
  EXPECT_EQ(names(kBase + random, {"loss.temperature=1", "data.subset=2"}),
            "temperature=1-subset=2-b-seed4\ntemperature=1-subset=2-a-seed4\n")
      << "equal draws are one";
}

TEST(Sweep, ExcludesCombinations) {
  const std::string grid = kBase + "grid = { \"loss.name\" = [\"a\", \"b\"], \"data.subset\" = [1, 2] }\n";
  EXPECT_EQ(names(grid + "exclude = [{ \"loss.name\" = \"b\", \"data.subset\" = 1.0 }]\n"),
            "a-subset=1-seed4\na-subset=2-seed4\nb-subset=2-seed4\n");
  EXPECT_EQ(names(grid + "exclude = [{ loss.name = \"b\" }, { data.subset = 2 }]\n"), "a-subset=1-seed4\n");
  const auto refused = [&](const std::string& exclude) {
    return refusal([&] { expand(parse_toml(grid + "exclude = " + exclude + "\n", "a.toml")); });
  };
  EXPECT_EQ(refused("[{ \"loss.names\" = \"b\" }]"),
            "a.toml:8:14: sweep.exclude names 'loss.names', which is not swept. Known swept keys: loss.name, "
            "data.subset. Did you mean 'loss.name'?");
  EXPECT_EQ(refused("[{ \"loss.name\" = \"c\" }]"),
            "a.toml:8:12: this table of sweep.exclude excludes nothing.");
  EXPECT_EQ(refused("[{ \"data.subset\" = 1 }, { \"data.subset\" = 2 }]"),
            "a.toml:8:11: sweep.exclude leaves no combination to try.");
  EXPECT_EQ(refused("[1]"),
            "a.toml:8:11: sweep.exclude = [1], allowed: a list of tables, { \"loss.name\" = \"dcl\", "
            "\"loss.temperature\" = 0.1 }.");
}

TEST(Sweep, RefusesRandomDrawsFromNothing) {
  const auto refused = [&](const std::string& random) {
    return refusal([&] {
      expand(parse_toml(kBase + "grid = { \"data.subset\" = [1] }\nrandom = " + random + "\n", "a.toml"));
    });
  };
  EXPECT_EQ(
      refused("{ \"loss.temperature\" = [1] }"),
      "a.toml:8:10: sweep.random = {\"loss.temperature\" = [1]}, allowed: n, the number of draws, and keys "
      "with a list or { low, high, log }.");
  EXPECT_EQ(refused("{ n = 2, \"loss.temperature\" = { low = 2, high = 1 } }"),
            "a.toml:8:40: sweep.random.loss.temperature = {low = 2, high = 1}, allowed: low < high.");
  EXPECT_EQ(refused("{ n = 2, \"loss.temperature\" = { low = 0, high = 1, log = true } }"),
            "a.toml:8:48: sweep.random.loss.temperature.low = 0, allowed: above 0 with log.");
  EXPECT_EQ(refused("{ n = 2, \"loss.temperature\" = 3 }"),
            "a.toml:8:40: sweep.random.loss.temperature = 3, allowed: a list of one or more values.");
  EXPECT_EQ(refused("{ n = 2, \"data.subset\" = [1, 2] }"),
            "a.toml:8:35: sweep.random.data.subset is swept elsewhere too.");
}

TEST(Sweep, RefusesNamingThePlace) {
  const struct {
    std::string line, message;
  } cases[] = {
      {"sedes = 3",
       "a.toml:7:1: unknown key sweep.sedes. Known keys: seeds, grid, zip, ablate, random, exclude, prune, "
       "files. "
       "Did you mean 'seeds'?"},
      {"seeds = 0",
       "a.toml:7:9: sweep.seeds = 0, allowed: a count from 1 to 1000 or a list of integers >= 0."},
      {"seeds = 20240131",
       "a.toml:7:9: sweep.seeds = 20240131, allowed: a count from 1 to 1000 or a list of integers >= 0."},
      {"seeds = \"3\"",
       "a.toml:7:9: sweep.seeds = \"3\", allowed: a count from 1 to 1000 or a list of integers >= 0."},
      {"seeds = []",
       "a.toml:7:9: sweep.seeds = [], allowed: a count from 1 to 1000 or a list of integers >= 0."},
      {"seeds = [1, -1]",
       "a.toml:7:9: sweep.seeds = [1, -1], allowed: a count from 1 to 1000 or a list of integers >= 0."},
      {"seeds = [1, 2, 1]", "a.toml:7:16: sweep.seeds lists 1 twice."},
      {"grid = 3", "a.toml:7:8: sweep.grid = 3 (an integer), allowed: a table."},
      {"grid = { \"loss.name\" = \"dcl\" }",
       "a.toml:7:24: sweep.grid.loss.name = \"dcl\", allowed: a list of one or more values."},
      {"grid = { \"loss.name\" = [] }",
       "a.toml:7:24: sweep.grid.loss.name = [], allowed: a list of one or more values."},
      {"grid = { \"loss.name\" = [\"a\", \"a\"] }", "a.toml:7:24: sweep.grid.loss.name lists a value twice."},
      {"grid = { \"run.seed\" = [1, 2] }",
       "a.toml:7:10: sweep.grid.run.seed: seeds are listed in sweep.seeds."},
      {"grid = { \"loss.3.name\" = [1, 2] }", "a.toml:7:27: loss has 1 element, allowed: loss.0."},
      {"zip = { \"a.b\" = [1, 2], \"c.d\" = [1] }",
       "a.toml:7:33: sweep.zip.c.d has 1 value but sweep.zip.a.b has 2; lists in zip have equal lengths: "
       "zip = { \"loss.name\" = [\"infonce\", \"dcl\"], "
       "\"loss.temperature\" = [0.1, 0.5] } is two variants."},
      {"grid = { \"loss.temperature\" = [1, 1.0] }",
       "a.toml:7:31: sweep.grid.loss.temperature lists a value twice."},
      {"grid = { \"head.dims\" = [[8, 4], [8.0, 4]] }",
       "a.toml:7:24: sweep.grid.head.dims lists a value twice."},
      {"grid = { loss = [{a = 1, b = 2}, {b = 2, a = 1}] }",
       "a.toml:7:17: sweep.grid.loss lists a value twice."},
      {"grid = { \"run.name\" = [\"a\", \"b\"] }",
       "a.toml:7:10: sweep.grid.run.name: the trials of a study lie in one folder."},
      {"zip = { run.output = [\"a\", \"b\"] }",
       "a.toml:7:13: sweep.zip.run.output: the trials of a study lie in one folder."},
      {"grid = { run = [{name = \"a\"}, {name = \"b\"}] }",
       "a.toml:7:39: run.name = \"b\", allowed: one value for all trials, which lie in one folder."},
      {"grid = { \"a.b\" = [1] }\nzip = { \"a.b\" = [1] }",
       "a.toml:8:9: sweep.zip.a.b is in sweep.grid too."},
  };
  for (const auto& test : cases)
    EXPECT_EQ(refusal([&] { expand(parse_toml(kBase + test.line + "\n", "a.toml")); }), test.message);
  EXPECT_EQ(refusal([] { expand(parse_toml("sweep = 1\n", "a.toml")); }),
            "a.toml:1:9: sweep = 1 (an integer), allowed: a table.");
  EXPECT_EQ(refusal([] { expand(parse_toml("[run]\nseed = -1\n", "a.toml")); }),
            "a.toml:2:8: run.seed = -1, allowed: an integer >= 0.");
}

TEST(Sweep, RefusesAProductBeyondTheLimitBeforeItExpands) {
  std::string ten = "[0";
  for (int i = 1; i < 10; ++i) ten += ", " + std::to_string(i);
  std::string grid = "grid = { ";
  for (const char* key : {"a", "b", "c", "d", "e"}) grid += std::string(key) + " = " + ten + "], ";
  grid.replace(grid.size() - 2, 2, " }");
  EXPECT_EQ(refusal([&] { expand(parse_toml(kBase + grid + "\nseeds = 100\n", "a.toml")); }),
            "a.toml:6:1: [sweep] asks for 10 x 10 x 10 x 10 x 10 x 100 seeds = 10000000 trials, allowed: "
            "at most 10000.");
  EXPECT_EQ(
      expand(parse_toml(kBase + "grid = { a = " + ten + "], b = " + ten + "] }\nseeds = 100\n", "a.toml"))
          .size(),
      10'000u);
}

TEST(Sweep, RefusesToCountSeedsBeyondTheLargestInteger) {
  EXPECT_EQ(refusal([] {
              expand(parse_toml("[run]\nseed = 9223372036854775807\n[sweep]\nseeds = 2\n", "a.toml"));
            }),
            "a.toml:4:9: sweep.seeds = 2, allowed: "
            "a list, as run.seed = 9223372036854775807 leaves no room to count.");
  EXPECT_EQ(expand(parse_toml("[run]\nseed = 9223372036854775807\n", "a.toml"))[0].seed,
            std::numeric_limits<int64_t>::max());
}

TEST(Sweep, ShowsAVariantWithoutWhatATerminalWouldObey) {
  const auto trials =
      expand(parse_toml(kBase + "grid = { \"loss.name\" = [\"a\\u001b[31m\", \"b\"] }\n", "a.toml"));
  EXPECT_EQ(trials[0].variant, "\"a\\u001B[31m\"");
  EXPECT_EQ(trials[1].variant, "b");
}

using Files = test::InTempFolder;

TEST_F(Files, RunsEachListedFileUnderItsOwnNameAndTheListingFileWins) {
  write("b/one.toml",
        "[run]\nname = \"mine\"\nepochs = 8\n[[loss]]\nname = \"infonce\"\n[sweep]\nseeds = 5\n");
  write("b/two.toml", "[[loss]]\nname = \"dcl\"\n[sweep]\ngrid = { \"views.count\" = [2, 4] }\n");
  write("all.toml", "[run]\nname = \"all\"\n[sweep]\nfiles = [\"b/one.toml\", \"b/two.toml\"]\nseeds = 2\n");
  std::string all;
  for (const Trial& trial : load_trials("all.toml", {"loss.temperature=0.3"})) {
    all += trial.name + " | " + trial.variant + " | " + at(trial.root, "run.name") +
           at(trial.root, "run.epochs") + at(trial.root, "loss.temperature") + "\n";
    EXPECT_EQ(trial.root.find("sweep"), nullptr);
  }
  EXPECT_EQ(all,
            "one-seed0 | one | \"all\"80.3\n"
            "one-seed1 | one | \"all\"80.3\n"
            "two-count=2-seed0 | two count=2 | \"all\"(absent)0.3\n"
            "two-count=2-seed1 | two count=2 | \"all\"(absent)0.3\n"
            "two-count=4-seed0 | two count=4 | \"all\"(absent)0.3\n"
            "two-count=4-seed1 | two count=4 | \"all\"(absent)0.3\n");
}

TEST_F(Files, LieInTheFolderOfTheListingFile) {
  write("one.toml", "[run]\nname = \"mine\"\noutput = \"here\"\n");
  write("two.toml", "[run]\nname = \"other\"\n");
  write("all.toml", "[sweep]\nfiles = [\"one.toml\", \"two.toml\"]\n");
  for (const Trial& trial : load_trials("all.toml", {})) {
    EXPECT_EQ(at(trial.root, "run.name") + at(trial.root, "run.output"), "(absent)(absent)") << trial.name;
  }
  write("all.toml", "[run]\nname = \"all\"\n[sweep]\nfiles = [\"one.toml\", \"two.toml\"]\n");
  for (const Trial& trial : load_trials("all.toml", {"run.output=there"})) {
    EXPECT_EQ(at(trial.root, "run.name") + at(trial.root, "run.output"), "\"all\"\"there\"") << trial.name;
  }
}

TEST_F(Files, ThatCannotBeRunAreRefusedAtTheirPlace) {
  const auto refused = [&](const std::string& files) {
    write("all.toml", "[sweep]\nfiles = " + files + "\n");
    return refusal([] { load_trials("all.toml", {}); });
  };
  write("one.toml", "[sweep]\nseeds = 2\n");
  write("b/one.toml", "");
  write("lists.toml", "[sweep]\nfiles = [\"one.toml\"]\n");
  EXPECT_EQ(refused("[]"), "all.toml:2:9: sweep.files = [], allowed: a list of paths of TOML files.");
  EXPECT_EQ(refused("\"one.toml\""),
            "all.toml:2:9: sweep.files = \"one.toml\", allowed: a list of paths of TOML files.");
  EXPECT_EQ(refused("[\"one.toml\", \"b/one.toml\"]"), "all.toml:2:22: sweep.files lists 'one' twice.");
  EXPECT_EQ(refused("[\"onne.toml\"]"), "all.toml:2:10: onne.toml: no such file. Did you mean 'one.toml'?");
  EXPECT_EQ(refused("[\"lists.toml\"]"),
            "lists.toml:2:1: sweep.files in a file that another one lists, allowed: seeds, grid, zip, "
            "ablate, random, exclude and prune.");
}

}  // namespace
}  // namespace foil
