// SPDX-License-Identifier: BSD-3-Clause
#include "config/dump.h"
#include "config/load.h"
#include "config/parse.h"
#include "config/reader.h"
#include "tests/support/error_of.h"
#include "tests/support/in_temp_folder.h"

namespace foil {
namespace {

using test::refusal;
struct TableReaderFiles : test::InTempFolder {};

struct Options {
  std::string name = "x";
  double temperature = 0.1;
  double share = 0.5;
  double any = 0;
  double half_open = 0;
  int64_t steps = 100;
  bool symmetric = true;
  std::string weighting = "none";
  enum class Form { joint, apart };
  Form form = Form::apart;
  std::vector<double> scales = {1, 0.5};
  std::vector<int64_t> dims = {128};
  std::vector<std::string> tags;
  void describe(Fields& f) {
    f.text("name", name, "which loss");
    f.number("temperature", temperature, "divides the similarities", above(0));
    f.number("share", share, "of the batch", between(0, 1));
    f.number("any", any, "whatever");
    f.number("half_open", half_open, "a momentum", from_below(0, 1));
    f.integer("steps", steps, "how many", between(1, 1000));
    f.flag("symmetric", symmetric, "both directions");
    f.choice("weighting", weighting, {"none", "von_mises_fisher"}, "of the positives");
    f.choice("form", form, {{"joint", Form::joint}, {"apart", Form::apart}}, "how views are joined");
    f.renamed("shape", "form");
    f.numbers("scales", scales, "of the crops", above(0));
    f.integers("dims", dims, "of the head", at_least(1));
    f.texts("tags", tags, "free words");
  }
};

Options read(const std::string& toml) {
  const Node root = parse_toml(toml, "exp/a.toml");
  TableReader reader(root.find("loss"), "loss");
  Options options;
  options.describe(reader);
  reader.finish();
  return options;
}

TEST(TableReader, AssignsEveryTypeAndTakesIntegersForNumbers) {
  const Options got = read(
      "[loss]\nname = \"dcl\"\ntemperature = 2\nsteps = 7\nsymmetric = false\n"
      "weighting = \"von_mises_fisher\"\nform = \"joint\"\nscales = [3, 0.25]\ndims = [5, 6]\n"
      "tags = [\"a\", \"b\"]\nany = -3\n");
  EXPECT_EQ(got.name, "dcl");
  EXPECT_EQ(got.temperature, 2.0);
  EXPECT_EQ(got.steps, 7);
  EXPECT_FALSE(got.symmetric);
  EXPECT_EQ(got.weighting, "von_mises_fisher");
  EXPECT_EQ(got.form, Options::Form::joint);
  EXPECT_EQ(got.scales, (std::vector<double>{3, 0.25}));
  EXPECT_EQ(got.dims, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(got.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(got.any, -3.0);
}

TEST(TableReader, KeepsDefaultsOfWhatIsNotGiven) {
  const Options got = read("[loss]\nsteps = 7\n");
  EXPECT_EQ(got.temperature, 0.1);
  EXPECT_EQ(got.scales, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(read("").steps, 100);
}

TEST(TableReader, RefusesNamingPlaceValueAndWhatIsAllowed) {
  const struct {
    std::string line, message;
  } cases[] = {
      {"temprature = 1",
       "exp/a.toml:2:1: unknown key loss.temprature. Known keys: name, temperature, share, any, half_open, "
       "steps, symmetric, "
       "weighting, form, scales, dims, tags. Did you mean 'temperature'?"},
      {"zzzzzz = 1",
       "exp/a.toml:2:1: unknown key loss.zzzzzz. Known keys: name, temperature, share, any, half_open, "
       "steps, symmetric, "
       "weighting, form, scales, dims, tags."},
      {"temperature = -1", "exp/a.toml:2:15: loss.temperature = -1, allowed: a number > 0."},
      {"temperature = 0.0", "exp/a.toml:2:15: loss.temperature = 0.0, allowed: a number > 0."},
      {"temperature = nan", "exp/a.toml:2:15: loss.temperature = nan, allowed: a finite number > 0."},
      {"temperature = inf", "exp/a.toml:2:15: loss.temperature = inf, allowed: a finite number > 0."},
      {"temperature = \"warm\"",
       "exp/a.toml:2:15: loss.temperature = \"warm\" (a text), allowed: a number > 0."},
      {"temperature = true", "exp/a.toml:2:15: loss.temperature = true (a flag), allowed: a number > 0."},
      {"share = 1.5", "exp/a.toml:2:9: loss.share = 1.5, allowed: a number from 0 to 1."},
      {"half_open = 1", "exp/a.toml:2:13: loss.half_open = 1, allowed: a number >= 0 and < 1."},
      {"any = [1]", "exp/a.toml:2:7: loss.any = [1] (a list), allowed: a number."},
      {"any = nan", "exp/a.toml:2:7: loss.any = nan, allowed: a finite number."},
      {"any = -inf", "exp/a.toml:2:7: loss.any = -inf, allowed: a finite number."},
      {"scales = [1, inf]", "exp/a.toml:2:14: loss.scales[1] = inf, allowed: a finite number > 0."},
      {"dims = [1, 1000000001]",
       "exp/a.toml:2:12: loss.dims[1] = 1000000001, allowed: an integer from 1 to 1000000000."},
      {"dims = [9223372036854775807]",
       "exp/a.toml:2:9: loss.dims[0] = 9223372036854775807, allowed: an integer from 1 to 1000000000."},
      {"steps = 1.0", "exp/a.toml:2:9: loss.steps = 1.0 (a number), allowed: an integer from 1 to 1000."},
      {"steps = 0", "exp/a.toml:2:9: loss.steps = 0, allowed: an integer from 1 to 1000."},
      {"symmetric = 1", "exp/a.toml:2:13: loss.symmetric = 1 (an integer), allowed: true or false."},
      {"symmetric = \"true\"",
       "exp/a.toml:2:13: loss.symmetric = \"true\" (a text), allowed: true or false."},
      {"name = 3", "exp/a.toml:2:8: loss.name = 3 (an integer), allowed: a text."},
      {"name = { a = 1 }", "exp/a.toml:2:8: loss.name = {a = 1} (a table), allowed: a text."},
      {"weighting = \"vonmises\"",
       "exp/a.toml:2:13: loss.weighting = \"vonmises\", allowed: \"none\", \"von_mises_fisher\". "
       "Did you mean 'von_mises_fisher'?"},
      {"weighting = \"linear\"",
       "exp/a.toml:2:13: loss.weighting = \"linear\", allowed: \"none\", \"von_mises_fisher\"."},
      {"weighting = false",
       "exp/a.toml:2:13: loss.weighting = false (a flag), allowed: \"none\", \"von_mises_fisher\"."},
      {"scales = 3", "exp/a.toml:2:10: loss.scales = 3 (an integer), allowed: a list of numbers > 0."},
      {"scales = [1, -2]", "exp/a.toml:2:14: loss.scales[1] = -2, allowed: a number > 0."},
      {"dims = [1, 2, 3.0]", "exp/a.toml:2:15: loss.dims[2] = 3.0 (a number), allowed: an integer >= 1."},
      {"tags = [\"a\", 1]", "exp/a.toml:2:14: loss.tags[1] = 1 (an integer), allowed: a text."},
      {"name = [\"0123456789\", \"0123456789\", \"0123456789\", \"0123456789\", \"0123456789\"]",
       "exp/a.toml:2:8: loss.name = [\"0123456789\", \"0123456789\", \"0123456789\", \"0123456789\", ... "
       "(a list), allowed: a text."},
  };
  for (const auto& test : cases)
    EXPECT_EQ(refusal([&] { read("[loss]\n" + test.line + "\n"); }), test.message);
}

TEST(TableReader, NamesTheNewNameOfAnOption) {
  EXPECT_EQ(refusal([] { read("[loss]\nname = \"dcl\"\nshape = \"joint\"\n"); }),
            "exp/a.toml:3:1: loss.shape is called loss.form now.");
}

TEST(TableReader, ReadsAnEnumeratorByItsTextAndKeepsItsDefault) {
  EXPECT_EQ(read("[loss]\n").form, Options::Form::apart);
  EXPECT_EQ(refusal([] { read("[loss]\nform = \"joined\"\n"); }),
            "exp/a.toml:2:8: loss.form = \"joined\", allowed: \"joint\", \"apart\". Did you mean 'joint'?");
}

TEST(TableReader, RefusesWhatIsNoTable) {
  EXPECT_EQ(refusal([] { read("loss = 3\n"); }), "exp/a.toml:1:8: loss = 3 (an integer), allowed: a table.");
  EXPECT_EQ(refusal([] { read("[[loss]]\n"); }), "exp/a.toml:1:1: loss = [{}] (a list), allowed: a table.");
}

TEST(TableReader, NamesTheFirstUnknownKeyOfTheRootAndKnowsWhatOthersTake) {
  const Node root = parse_toml("[run]\n[trian]\n[other]\n", "a.toml");
  TableReader reader(&root, "");
  EXPECT_EQ(reader.take("run"), root.find("run"));
  EXPECT_EQ(reader.take("train"), nullptr);
  EXPECT_EQ(refusal([&] { reader.finish(); }),
            "a.toml:2:2: unknown key trian. Known keys: run, train. Did you mean 'train'?");
}

TEST(TableReader, NotesFinalValuesWithTheirOrigins) {
  const Node root = parse_toml("[loss]\nscales = [1]\ntemperature = 2\n", "a.toml");
  TableReader reader(root.find("loss"), "loss");
  Options options;
  options.describe(reader);
  reader.finish();
  EXPECT_EQ(dump(reader.resolved(), true),
            "name = \"x\"  # default\ntemperature = 2.0  # a.toml:3:15\nshare = 0.5  # default\n"
            "any = 0.0  # default\nhalf_open = 0.0  # default\nsteps = 100  # default\n"
            "symmetric = true  # default\nweighting = \"none\"  # default\nform = \"apart\"  # default\n"
            "scales = [1.0]  # a.toml:2:10\ndims = [128]  # default\ntags = []  # default\n");
}

TEST(TableReader, SaysWhereAValueIsOrWouldBe) {
  const Node root = parse_toml("\n[loss]\nsteps = 2\n", "a.toml");
  const TableReader reader(root.find("loss"), "loss"), none(nullptr, "loss");
  EXPECT_EQ(reader.place("steps").text(), "a.toml:3:9");
  EXPECT_EQ(reader.origin_of("steps"), at_path(root, "loss.steps"));
  EXPECT_EQ(reader.place("share").text(), "a.toml:2:1");
  EXPECT_EQ(reader.origin_of("share"), nullptr);
  EXPECT_EQ(none.place("steps").text(), "default");
}

TEST_F(TableReaderFiles, ResolvePathsAgainstTheirFileOrTheWorkingDirectory) {
  write("base/base.toml",
        "[data]\nbase = \"images\"\nboth = \"images\"\nempty = \"\"\nabsolute = \"/data//x\"\n");
  write("exp/a.toml", "extends = \"../base/base.toml\"\n[data]\nown = \"../sets/c\"\n");
  const Node root = load_experiment("exp/a.toml", {"data.both=sets/d"});
  TableReader reader(root.find("data"), "data");
  std::string base, both, own, empty = "x", absolute, unset = "runs";
  reader.path("base", base, "");
  reader.path("both", both, "");
  reader.path("own", own, "");
  reader.path("empty", empty, "");
  reader.path("absolute", absolute, "");
  reader.path("unset", unset, "");
  EXPECT_EQ(base, "base/images");
  EXPECT_EQ(both, "sets/d");
  EXPECT_EQ(own, "sets/c");
  EXPECT_EQ(empty, "");
  EXPECT_EQ(absolute, "/data/x");
  EXPECT_EQ(unset, "runs");
  EXPECT_EQ(reader.resolved().find("own")->text(), (std::filesystem::current_path() / "sets/c").string());
  EXPECT_EQ(reader.resolved().find("empty")->text(), "");
}

// What the path option of a [data] table with this line becomes.
std::string path_in(const std::string& line, const std::string& file = "a.toml") {
  const Node root = parse_toml("[data]\n" + line + "\n", file);
  TableReader reader(root.find("data"), "data");
  std::string path = "runs";
  reader.path("path", path, "");
  return path;
}

TEST_F(TableReaderFiles, ExpandTheHomeFolderAndRefuseWhatIsNoPath) {
  const std::string before = std::getenv("HOME") ? std::getenv("HOME") : "";
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(path_in("path = \"~/x\"", "exp/a.toml"), "/home/me/x");
  EXPECT_EQ(path_in("path = \"~\""), "/home/me");
  EXPECT_EQ(path_in("path = \"x/~\""), "x/~");
  EXPECT_EQ(refusal([] { path_in("path = \"~you/x\""); }),
            "a.toml:2:8: data.path = \"~you/x\", allowed: of '~' only \"~/\", the own home; "
            "a folder of that name is \"./~you/x\".");
  ::unsetenv("HOME");
  EXPECT_EQ(refusal([] { path_in("path = \"~/x\""); }),
            "a.toml:2:8: data.path = \"~/x\", allowed: a path without '~', as HOME is not set.");
  ::setenv("HOME", before.c_str(), 1);
  EXPECT_EQ(refusal([] { path_in("path = \"a\\u0000b\""); }),
            "a.toml:2:8: data.path = \"a\\u0000b\", allowed: a path, which holds no NUL.");
}

TEST_F(TableReaderFiles, RefuseAFolderWhoseNameNoRecordCanHold) {
  std::filesystem::create_directory("gr\xfcn");
  std::filesystem::current_path("gr\xfcn");
  const std::string message = refusal([] { path_in(""); });
  EXPECT_TRUE(message.starts_with("data.path = /") &&
              message.ends_with("/gr\\xfcn/runs, allowed: a path in UTF-8, as the records of a run are."))
      << message;
  EXPECT_EQ(path_in("path = \"/data/x\""), "/data/x");
}

TEST_F(TableReaderFiles, PointAtTheArgumentForAValueOfTheCommandLine) {
  write("a.toml", "[loss]\ntemperature = 0.1\n");
  const auto read_with = [](const std::string& set) {
    const Node root = load_experiment("a.toml", {set});
    TableReader reader(root.find("loss"), "loss");
    double temperature = 1;
    reader.number("temperature", temperature, "", above(0));
    reader.finish();
  };
  EXPECT_EQ(refusal([&] { read_with("loss.temperature=-1"); }),
            "--set loss.temperature=-1: loss.temperature = -1, allowed: a number > 0.");
  EXPECT_EQ(refusal([&] { read_with("loss.temprature=1"); }),
            "--set loss.temprature=1: unknown key loss.temprature. Known keys: temperature. "
            "Did you mean 'temperature'?");
}

TEST(Describe, ListsOptionsWithDefaultsAndWhatIsAllowed) {
  Options options;
  const std::vector<FieldDoc> rows = describe([&](Fields& f) { options.describe(f); });
  ASSERT_EQ(rows.size(), 12u);
  EXPECT_EQ(rows[7].key, "weighting");
  EXPECT_EQ(rows[7].type, "choice");
  EXPECT_EQ(rows[7].default_value, "\"none\"");
  EXPECT_EQ(rows[7].allowed, "\"none\", \"von_mises_fisher\"");
  EXPECT_EQ(rows[7].doc, "of the positives");
  EXPECT_EQ(describe_text({rows[1], rows[5], rows[9]}),
            "key          default     allowed                    meaning\n"
            "temperature  0.1         a number > 0               divides the similarities\n"
            "steps        100         an integer from 1 to 1000  how many\n"
            "scales       [1.0, 0.5]  a list of numbers > 0      of the crops\n");
}

}  // namespace
}  // namespace foil
