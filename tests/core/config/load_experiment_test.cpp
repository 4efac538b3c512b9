// SPDX-License-Identifier: BSD-3-Clause
#include "config/dump.h"
#include "config/load.h"
#include "config/parse.h"
#include "tests/support/error_of.h"
#include "tests/support/in_temp_folder.h"

namespace foil {
namespace {

using test::refusal;
struct LoadExperiment : test::InTempFolder {};

std::string place(const Node& root, const std::string& path) { return at_path(root, path)->origin.text(); }
std::string value(const Node& root, const std::string& path) {
  const Node* node = at_path(root, path);
  return node ? to_toml(*node) : "(absent)";
}

TEST_F(LoadExperiment, RemembersLineAndColumnOfKeysAndValues) {
  write("a.toml",
        "[run]\nname = \"x\"\n\n[[loss]]\n  temperature = -1\nscales = [1,\n  2]\ninner.depth = { k = 3 }\n");
  const Node root = load_experiment("a.toml");
  EXPECT_EQ(place(root, "run.name"), "a.toml:2:8");
  EXPECT_EQ(at_path(root, "run.name")->key_origin.text(), "a.toml:2:1");
  EXPECT_EQ(place(root, "loss.temperature"), "a.toml:5:17");
  EXPECT_EQ(at_path(root, "loss.temperature")->key_origin.text(), "a.toml:5:3");
  EXPECT_EQ(place(root, "loss.scales.1"), "a.toml:7:3");
  EXPECT_EQ(place(root, "loss.inner.depth.k"), "a.toml:8:21");
}

TEST_F(LoadExperiment, KeepsTheOrderOfTheFile) {
  write("a.toml", "zeta = 1\nalpha = 2\n[sweep]\ngrid = { \"b.z\" = [1], \"a.y\" = [2] }\n[run]\n[data]\n");
  const Node root = load_experiment("a.toml");
  std::string keys;
  for (const auto& [key, node] : root.table()) keys += key + " ";
  for (const auto& [key, node] : at_path(root, "sweep.grid")->table()) keys += key + " ";
  EXPECT_EQ(keys, "zeta alpha sweep run data b.z a.y ");
}

TEST_F(LoadExperiment, MergesTablesReplacesListsAndKeepsEveryOrigin) {
  write("base/base.toml",
        "[run]\nname = \"base\"\nseed = 3\n[head]\ndims = [1, 2, 3]\n[[loss]]\nname = \"a\"\n[[loss]]\n"
        "name = \"b\"\n");
  write(
      "exp/own.toml",
      "extends = \"../base/base.toml\"\n[run]\nname = \"own\"\n[head]\ndims = [9]\n[[loss]]\nname = \"c\"\n");
  const Node root = load_experiment("exp/own.toml");
  EXPECT_EQ(value(root, "run.name"), "\"own\"");
  EXPECT_EQ(place(root, "run.name"), "exp/own.toml:3:8");
  EXPECT_EQ(value(root, "run.seed"), "3");
  EXPECT_EQ(place(root, "run.seed"), "base/base.toml:3:8");
  EXPECT_EQ(value(root, "head.dims"), "[9]");
  EXPECT_EQ(value(root, "loss"), "[{name = \"c\"}]");
  EXPECT_EQ(root.find("extends"), nullptr);
}

TEST_F(LoadExperiment, LetsLaterBasesWinOverEarlierOnes) {
  write("one.toml", "[run]\nname = \"one\"\nseed = 1\n");
  write("two.toml", "extends = \"one.toml\"\n[run]\nname = \"two\"\n");
  write("own.toml", "extends = [\"two.toml\", \"one.toml\"]\n");
  EXPECT_EQ(value(load_experiment("own.toml"), "run.name"), "\"one\"");
  write("own.toml", "extends = [\"one.toml\", \"two.toml\"]\n");
  EXPECT_EQ(value(load_experiment("own.toml"), "run.name"), "\"two\"");
}

TEST_F(LoadExperiment, NamesAnAbsoluteFileAbsolutely) {
  write("a.toml", "[run]\nseed = 1\n");
  const std::string path = folder_ / "a.toml";
  EXPECT_EQ(place(load_experiment(path), "run.seed"), path + ":2:8");
}

TEST_F(LoadExperiment, OverridesEachKindOfValue) {
  write("a.toml",
        "[run]\nname = \"x\"\n[[loss]]\ntemperature = 0.1\n[[augment]]\nname = \"a\"\n[[augment]]\n"
        "name = \"b\"\n");
  const struct {
    std::string set, path, expected;
  } cases[] = {
      {"loss.temperature=0.2", "loss.temperature", "0.2"},
      {"loss.0.temperature=3", "loss.temperature", "3"},
      {"run.name=dcl", "run.name", "\"dcl\""},
      {"run.name=\"true\"", "run.name", "\"true\""},
      {"run.name=../data/x y.bin", "run.name", "\"../data/x y.bin\""},
      {"run.name=", "run.name", "\"\""},
      {"run.name=2024-01-31", "run.name", "\"2024-01-31\""},
      {"run.name=a=b", "run.name", "\"a=b\""},
      {"run.name=1\nseed = 2", "run.name", "\"1\\nseed = 2\""},
      {"run.deterministic=true", "run.deterministic", "true"},
      {"head.dims=[256, 128]", "head.dims", "[256, 128]"},
      {"new.table.key=1e-3", "new.table.key", "0.001"},
      {" run.seed = 7 ", "run.seed", "7"},
      {"augment.1.name=c", "augment", "[{name = \"a\"}, {name = \"c\"}]"},
      {"loss={name = \"dcl\"}", "loss", "[{name = \"dcl\"}]"},
      {"loss=[{name = \"dcl\"}, {name = \"x\"}]", "loss.1.name", "\"x\""},
  };
  for (const auto& test : cases) {
    const Node root = load_experiment("a.toml", {test.set});
    EXPECT_EQ(value(root, test.path), test.expected) << test.set;
    if (test.path == "loss" || test.path == "augment") continue;
    EXPECT_EQ(place(root, test.path), "--set " + test.set);
  }
}

TEST_F(LoadExperiment, OverridesAKeyThatHoldsDots) {
  write("a.toml", "[sweep]\ngrid = { \"loss.temperature\" = [0.1, 0.2] }\n");
  const Node root = load_experiment("a.toml", {"sweep.grid.loss.temperature=[0.5]"});
  EXPECT_EQ(value(root, "sweep.grid"), "{\"loss.temperature\" = [0.5]}");
}

TEST_F(LoadExperiment, AppliesOverridesInOrder) {
  write("a.toml", "");
  EXPECT_EQ(value(load_experiment("a.toml", {"a.b=1", "a.b=2"}), "a.b"), "2");
}

TEST_F(LoadExperiment, LetsStepsAndEpochsReplaceEachOther) {
  write("steps.toml", "[run]\nsteps = 10\n");
  write("epochs.toml", "extends = \"steps.toml\"\n[run]\nepochs = 2\n");
  write("both.toml", "extends = \"steps.toml\"\n[run]\nepochs = 2\nsteps = 3\n");
  EXPECT_EQ(value(load_experiment("epochs.toml"), "run"), "{epochs = 2}");
  EXPECT_EQ(value(load_experiment("steps.toml", {"run.epochs=4"}), "run"), "{epochs = 4}");
  EXPECT_EQ(value(load_experiment("epochs.toml", {"run.steps=5"}), "run"), "{steps = 5}");
  EXPECT_EQ(value(load_experiment("both.toml"), "run"),
            "{steps = 3, epochs = 2}");  // one file says both: refused where it is read
}

TEST_F(LoadExperiment, RefusesBadFilesNamingThePlace) {
  write("exp/quickstart.toml", "[run]\n");
  write("exp/notes.txt", "");
  write("self.toml", "extends = \"self.toml\"\n");
  write("x/a.toml", "extends = \"../y/b.toml\"\n");
  write("y/b.toml", "\nextends = [\"c.toml\"]\n");
  write("y/c.toml", "extends = \"../x/a.toml\"\n");
  write("lost.toml", "extends = \"exp/quikstart.toml\"\n");
  write("type.toml", "extends = 3\n");
  write("types.toml", "extends = [\"lost.toml\", 1]\n");
  write("none.toml", "extends = []\n");
  write("syntax.toml", "[run]\nseed = = 3\n");
  write("twice.toml", "[run]\nseed = 3\nseed = 4\n");
  write("date.toml", "[run]\nname = 2024-01-31\n");
  write("utf.toml", "[run]\nname = \"\xff\"\n");
  const struct {
    std::string file, message;
  } cases[] = {
      {"exp/quikstart.toml", "exp/quikstart.toml: no such file. Did you mean 'exp/quickstart.toml'?"},
      {"exp/quickstart", "exp/quickstart: no such file. Did you mean 'exp/quickstart.toml'?"},
      {"exp/notes.toml", "exp/notes.toml: no such file."},
      {"nowhere/a.toml", "nowhere/a.toml: no such file."},
      {"exp", "exp: is a folder, allowed: an experiment file (*.toml)."},
      {"self.toml", "self.toml:1:11: extends goes in a circle: self.toml -> self.toml."},
      {"x/a.toml", "y/c.toml:1:11: extends goes in a circle: x/a.toml -> y/b.toml -> y/c.toml -> x/a.toml."},
      {"lost.toml", "lost.toml:1:11: exp/quikstart.toml: no such file. Did you mean 'exp/quickstart.toml'?"},
      {"type.toml", "type.toml:1:11: extends = 3, allowed: the path of a TOML file or a list of paths."},
      {"types.toml",
       "types.toml:1:11: extends = [\"lost.toml\", 1], allowed: the path of a TOML file or a list of paths."},
      {"none.toml", "none.toml:1:11: extends = [], allowed: the path of a TOML file or a list of paths."},
      {"syntax.toml",
       "syntax.toml:2:8: not valid TOML: Error while parsing value: could not determine value type."},
      {"twice.toml",
       "twice.toml:3:8: not valid TOML: Error while parsing key-value pair: "
       "cannot redefine existing integer 'seed'."},
      {"date.toml",
       "date.toml:2:8: a date or time, allowed: a number, a text, true or false, a list, a table. "
       "Put it in quotes."},
      {"utf.toml", "utf.toml:2:8: not valid TOML: Encountered invalid utf-8 sequence."},
  };
  for (const auto& test : cases) EXPECT_EQ(refusal([&] { load_experiment(test.file); }), test.message);
}

TEST_F(LoadExperiment, RefusesBasesWithoutAnEnd) {
  // Each of 20 files extends the next one twice: a million ways through 20 files.
  for (int i = 0; i < 20; ++i) {
    const std::string next = "\"f" + std::to_string(i + 1) + ".toml\"";
    write("f" + std::to_string(i) + ".toml", "extends = [" + next + ", " + next + "]\n");
  }
  write("f20.toml", "[run]\n");
  const std::string message = refusal([] { load_experiment("f0.toml"); });
  EXPECT_EQ(message.substr(message.find(": ")), ": extends reads more than 100 files, allowed: 100.");
}

TEST_F(LoadExperiment, RefusesFilesThatNobodyWrites) {
  std::string some = "[run]\n", others = "extends = \"some.toml\"\n[run]\n";
  for (int i = 0; i < 6'000; ++i) {
    some += "k" + std::to_string(i) + " = 1\n";
    others += "m" + std::to_string(i) + " = 1\n";
  }
  write("some.toml", some);
  write("others.toml", others);
  EXPECT_EQ(refusal([] { load_experiment("others.toml"); }),
            "others.toml:2:1: a table of more than 10000 keys, with those of the files that it extends.");
  write("long.toml", std::string((1 << 20) + 1, '\n'));
  EXPECT_EQ(refusal([] { load_experiment("long.toml"); }),
            "long.toml: more than 1048576 bytes, allowed: an experiment file.");
  EXPECT_EQ(refusal([] { load_experiment("/dev/zero"); }),
            "/dev/zero: more than 1048576 bytes, allowed: an experiment file.");
}

TEST_F(LoadExperiment, FindsBasesInTheHomeFolder) {
  write("home/base.toml", "[run]\nseed = 3\n");
  write("a.toml", "extends = \"~/base.toml\"\n");
  write("b.toml", "extends = \"~root/base.toml\"\n");
  const std::string before = std::getenv("HOME") ? std::getenv("HOME") : "";
  ::setenv("HOME", (folder_ / "home").c_str(), 1);
  EXPECT_EQ(value(load_experiment("a.toml"), "run.seed"), "3");
  EXPECT_EQ(refusal([] { load_experiment("b.toml"); }),
            "b.toml:1:11: extends = \"~root/base.toml\", allowed: of '~' only \"~/\", the own home; "
            "a folder of that name is \"./~root/base.toml\".");
  ::setenv("HOME", before.c_str(), 1);
}

TEST_F(LoadExperiment, RefusesBadOverridesNamingTheArgument) {
  write("a.toml",
        "[run]\nname = \"x\"\n[data]\n[[loss]]\nname = \"a\"\n[[augment]]\nname = \"a\"\n[[augment]]\n"
        "name = \"b\"\n[head]\ndims = []\n");
  std::string many = "a";
  for (int i = 0; i < 60'000; ++i) many += ".a";
  const struct {
    std::string set, message;
  } cases[] = {
      {"loss.temperature", "--set loss.temperature: expected KEY=VALUE."},
      {"=3", "--set =3: expected KEY=VALUE."},
      {"a..b=3", "--set a..b=3: expected KEY=VALUE."},
      {"a.=3", "--set a.=3: expected KEY=VALUE."},
      {"", "--set : expected KEY=VALUE."},
      {"head.dims=[1, 2", "--set head.dims=[1, 2: VALUE is not valid TOML."},
      {"run.name=\"x", "--set run.name=\"x: VALUE is not valid TOML."},
      {"loss.1.name=x", "--set loss.1.name=x: loss has 1 element, allowed: loss.0."},
      {"augment.2.name=x",
       "--set augment.2.name=x: augment has 2 elements, allowed: augment.0 to augment.1."},
      {"augment.name=x", "--set augment.name=x: augment has 2 elements, allowed: augment.0 to augment.1."},
      {"head.dims.0=x", "--set head.dims.0=x: head.dims is an empty list."},
      {"run.name.x=1", "--set run.name.x=1: run.name is a text, not a table."},
      {"run.name=\xff", "--set run.name=\xff: is not UTF-8."},
      {many + "=1", "--set " + many + "=1: a key of more than 32 parts, allowed: at most 32."},
  };
  for (const auto& test : cases)
    EXPECT_EQ(refusal([&] { load_experiment("a.toml", {test.set}); }), test.message);
}

TEST(SetKeys, AreWhatStandsBeforeTheFirstEquals) {
  EXPECT_EQ(set_keys({"a.b=1", " c = d=e"}), (std::vector<std::string>{"a.b", "c"}));
}

}  // namespace
}  // namespace foil
