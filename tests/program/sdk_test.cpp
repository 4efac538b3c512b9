// SPDX-License-Identifier: BSD-3-Clause
// What the program says of plugins, and what it makes. FOIL_TEST_BAD is the folder of the libraries of
// tests/support/plugins/bad.cpp, FOIL_BUILD the build folder, from which an installation is made where one is
// needed.
#include "tests/support/run_foil.h"

#include <set>

namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string bad_path = std::string("FOIL_PLUGIN_PATH=") + FOIL_TEST_BAD;

// The names of one kind that `foil plugins` lists.
std::vector<std::string> listed(const std::string& out, const std::string& kind) {
  std::vector<std::string> names;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, name;
    words >> first >> name;
    if (first == kind) names.push_back(name);
  }
  return names;
}

TEST(Plugins, ListsWhatIsThereAndWhatWasRefusedThoughOneCrashes) {
  const foil::Outcome out = foil::Workplace().foil({"plugins"}, {bad_path});
  EXPECT_EQ(out.code, 0) << out.err;
  EXPECT_FALSE(listed(out.out, "loss").empty());
  const std::string folder = fs::canonical(FOIL_TEST_BAD).string();
  EXPECT_TRUE(contains(
      out.out, "refused: " + folder + "/crashes.so: crashed while it was loaded (Segmentation fault).\n"))
      << out.out;
  EXPECT_TRUE(
      contains(out.out, "refused: " + folder + "/throws.so: its registration threw: no luck today.\n"))
      << out.out;
  EXPECT_TRUE(contains(out.out, "looked in " + folder + "\n")) << out.out;
}

TEST(Plugins, ACrashInAnotherVerbNamesTheLibraryAndExitsWithThree) {
  const foil::Workplace place;
  fs::create_directory(place.folder / "bad");
  fs::copy_file(fs::path(FOIL_TEST_BAD) / "crashes.so", place.folder / "bad" / "crashes.so");
  const foil::Outcome out = place.foil({"describe", "infonce"}, {"FOIL_PLUGIN_PATH=bad"});
  EXPECT_EQ(out.code, 3);
  EXPECT_TRUE(contains(out.err, "bad/crashes.so: crashed while it was loaded.")) << out.err;
}

TEST(Plugins, OneThatTakesANameOfAShippedOneIsSaidAloud) {
  const foil::Workplace place;
  place.write("e.toml", foil::small_experiment());
  fs::create_directory(place.folder / "mine");
  const fs::path shipped = fs::path(FOIL_BUILD) / "plugins/infonce.so";
  fs::copy_file(shipped, place.folder / "mine/other.so");
  const foil::Outcome out = place.foil({"train", "e.toml", "--quiet", "--nproc", "2", "--set", "run.steps=1"},
                                       {"FOIL_PLUGIN_PATH=mine"});
  EXPECT_EQ(out.code, 0);
  EXPECT_EQ(out.err, "warning: not loaded: " + fs::canonical(shipped).string() +
                         ": the loss 'infonce' is already registered by " +
                         fs::canonical(place.folder / "mine/other.so").string() + ".\n");
}

TEST(Plugins, AFolderOfFoilPluginPathThatIsNotThereIsSaidAloud) {
  const foil::Workplace place;
  place.write("plugins/notes.txt", "");
  place.write("e.toml", foil::small_experiment());
  const std::string folder = place.folder.string();
  const foil::Outcome out = place.foil({"config", "e.toml"}, {"FOIL_PLUGIN_PATH=" + folder + "/plugin"});
  EXPECT_EQ(out.code, 0);
  EXPECT_EQ(out.err, "warning: FOIL_PLUGIN_PATH: no such folder: " + folder + "/plugin. Did you mean '" +
                         folder + "/plugins'?\n");
}

TEST(Plugins, EvaluateSaysWhichFolderOfARunItLoadsAndLoadsNoneInsideTheRun) {
  const foil::Workplace place;
  std::string text = foil::small_experiment();
  place.write("e.toml", text + "[plugins]\npath = [\"mine\"]\n");
  fs::create_directory(place.folder / "mine");
  ASSERT_EQ(place.foil({"train", "e.toml", "--quiet", "--set", "run.steps=1"}).code, 0);
  const std::string record = "runs/small/seed0/config.resolved.toml";
  const foil::Outcome own = place.foil({"evaluate", "runs/small/seed0"});
  EXPECT_EQ(own.code, 0) << own.err;
  EXPECT_TRUE(contains(own.err, record + ": plugins are loaded from " +
                                    (fs::canonical(place.folder) / "mine").string() + "\n"))
      << own.err;
  // The same run with a library inside, which its record names, and whose loss it needs.
  fs::create_directory(place.folder / "runs/small/seed0/code");
  fs::copy_file(fs::path(FOIL_TEST_BAD) / "leaves.so", place.folder / "runs/small/seed0/code/leaves.so");
  std::string recorded = foil::slurp(place.folder / record);
  const std::string mine = (fs::canonical(place.folder) / "mine").string();
  recorded.replace(recorded.find(mine), mine.size(),
                   (fs::canonical(place.folder) / "runs/small/seed0/code").string());
  place.write(record, recorded);
  EXPECT_EQ(place.foil({"evaluate", "runs/small/seed0", "--quiet"}).code, 0)
      << "nothing of it is needed, or ran";
  EXPECT_EQ(place.foil({"evaluate", "runs/small/seed0", "--quiet", "--trust"}).code, 7) << "its _exit";
  const size_t loss = recorded.find("name = \"infonce\"");
  place.write(record, recorded.replace(loss, 16, "name = \"leaves\""));
  const foil::Outcome foreign = place.foil({"evaluate", "runs/small/seed0"});
  EXPECT_EQ(foreign.code, 3);
  EXPECT_TRUE(contains(foreign.err, "a run must not bring its own code.")) << foreign.err;
}

TEST(Doctor, NamesThePythonThatHasThisLibTorch) {
  std::istringstream lines(foil::Workplace().foil({"doctor"}).out);
  std::string python;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("Python ")) python = line.substr(line.find_first_not_of(' ', 6));
  EXPECT_TRUE(fs::exists(python)) << python;
}

TEST(Doctor, FindsNoProblemInThisBuild) {
  const foil::Outcome out = foil::Workplace().foil({"doctor"});
  EXPECT_EQ(out.code, 0) << out.out << out.err;
  EXPECT_TRUE(contains(out.out, "no problem was found\n")) << out.out;
  EXPECT_TRUE(contains(out.out, "LibTorch 2.11.0")) << out.out;
}

TEST(Doctor, NamesEveryProblemAndExitsWithOne) {
  const foil::Outcome out =
      foil::Workplace().foil({"doctor"}, {bad_path + ":/no/such/folder", "FOIL_DATA=/no/such/data"});
  EXPECT_EQ(out.code, 1);
  for (const std::string problem :
       {"crashes.so: crashed while it was loaded", "other_torch.so: built for [",
        "/no/such/folder: no such folder of plugins", "/no/such/data: no such folder of data sets"}) {
    EXPECT_TRUE(contains(out.out, problem)) << problem << " in\n" << out.out;
  }
}

TEST(Describe, OfAnUnknownNameSaysTheNearestAndWhereItLooked) {
  const foil::Workplace place;
  const foil::Outcome out = place.foil({"describe", "infonse", "--plugins", "."});
  EXPECT_EQ(out.code, 2);
  EXPECT_TRUE(contains(out.err, "unknown component 'infonse'.")) << out.err;
  EXPECT_TRUE(contains(out.err, "Did you mean 'infonce'?\nlooked in " + fs::canonical(place.folder).string()))
      << out.err;
}

TEST(Plugins, AFolderOfTheCommandLineIsLookedInFirst) {
  const foil::Workplace place;
  const std::string folder = std::string(FOIL_BUILD) + "/tests/plugins/sampler";
  const foil::Outcome out = place.foil({"plugins", "--plugins", folder});
  EXPECT_EQ(listed(out.out, "sampler"), (std::vector<std::string>{"all", "my_plugin", "uniform"})) << out.out;
  const foil::Outcome missing = place.foil({"plugins", "--plugins", "no/such/folder"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_TRUE(contains(missing.err, "--plugins: Directory does not exist: no/such/folder")) << missing.err;
}

TEST(Template, OfADataSetAndOfASamplerTrains) {
  const std::string templates = FOIL_SOURCE "/plugins/template/",
                    built = std::string(FOIL_BUILD) + "/tests/plugins/";
  const std::vector<std::string> synthetic = {"--set", "data.name=synthetic", "--set", "data.subset=0",
                                              "--set", "data.batch_size=64"};
  for (const std::string kind : {"dataset", "sampler"}) {
    const foil::Workplace place;
    std::vector<std::string> command = {"train",           templates + kind + "/my_plugin.toml",
                                        "--quiet",         "--set",
                                        "run.steps=3",     "--set",
                                        "run.output=runs", "--set",
                                        "plugins.path=[]", "--plugins",
                                        built + kind};
    if (kind == "sampler") command.insert(command.end(), synthetic.begin(), synthetic.end());
    const foil::Outcome out = place.foil(command);
    EXPECT_EQ(out.code, 0) << kind << ": " << out.err;
  }
}

TEST(Describe, PrintsFormulaPaperNeedsAndOptions) {
  const foil::Outcome out = foil::Workplace().foil({"describe", "infonce"});
  EXPECT_EQ(out.code, 0) << out.err;
  for (const std::string part :
       {"l(v,b,u) = -s(v,b; u,b) + log sum", "Chen et al.", "needs: 2 or more views\n", "a number > 0"}) {
    EXPECT_TRUE(contains(out.out, part)) << part << " in\n" << out.out;
  }
}

TEST(Describe, NamesWhatALossNeedsBesidesZ) {
  const auto needs = [](const std::string& loss) { return foil::Workplace().foil({"describe", loss}).out; };
  EXPECT_TRUE(contains(needs("sogclr"), "needs: 2 views, the index of each sample\n")) << needs("sogclr");
  EXPECT_TRUE(contains(needs("supcon"), ", labels\n")) << needs("supcon");
}

TEST(Describe, OfEveryLossEndsInASnippetThatTrains) {
  const foil::Workplace place;
  std::string base = foil::small_experiment();
  base.erase(base.find("[[loss]]"), base.find("[optimizer]") - base.find("[[loss]]"));
  place.write("base.toml", base);
  // Those are of the nodes of a graph, which these images are not: experiments/graph has a whole one of each.
  const std::set<std::string> of_nodes = {"csgcl", "gcool", "graph_jsd", "graphmae", "pamc", "pot", "scgc"};
  for (const std::string& name : listed(place.foil({"plugins"}).out, "loss")) {
    if (of_nodes.count(name)) continue;
    const std::string text = place.foil({"describe", name}).out;
    const size_t snippet = text.find("\n[");
    ASSERT_NE(snippet, std::string::npos) << text;
    place.write("experiment.toml", "extends = \"base.toml\"\n" + text.substr(snippet));
    const foil::Outcome out = place.foil(
        {"train", "experiment.toml", "--set", "run.steps=2", "--set", "run.name=" + name, "--quiet"});
    EXPECT_EQ(out.code, 0) << name << ": " << out.err << "\n" << text.substr(snippet);
  }
}

TEST(Describe, OfEveryEncoderAndAugmentationEndsInASnippetThatReadsBack) {
  const foil::Workplace place;
  std::string base = foil::small_experiment();
  base.erase(base.find("[encoder]"), base.find("[head]") - base.find("[encoder]"));
  base.erase(base.find("[[augment]]"), base.find("[head]") - base.find("[[augment]]"));
  place.write("base.toml", base);
  const std::string listing = place.foil({"plugins"}).out;
  for (const std::string& name : listed(listing, "encoder")) {
    const std::string text = place.foil({"describe", name}).out;
    place.write("experiment.toml", "extends = \"base.toml\"\n" + text.substr(text.find("\n[")));
    const foil::Outcome out = place.foil({"config", "experiment.toml"});
    EXPECT_EQ(out.code, 0) << name << ": " << out.err;
  }
  for (const std::string& name : listed(listing, "augmentation")) {
    const std::string text = place.foil({"describe", name}).out;
    place.write("experiment.toml", "extends = \"base.toml\"\n" + text.substr(text.find("\n[")) +
                                       "\n[encoder]\nname = \"small_cnn\"\n");
    const foil::Outcome out = place.foil({"config", "experiment.toml"});
    EXPECT_EQ(out.code, 0) << name << ": " << out.err;
  }
}

// An installation, made once.
class New : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new foil::Workplace;
    const foil::Outcome out =
        place_->run({"cmake", "--install", FOIL_BUILD, "--prefix", (place_->folder / "prefix").string()});
    ASSERT_EQ(out.code, 0) << out.err;
  }
  static void TearDownTestSuite() {
    delete place_;
    place_ = nullptr;
  }
  static foil::Outcome make(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {(place_->folder / "prefix/bin/foil").string(), "new"});
    return place_->run(arguments);
  }
  static foil::Workplace* place_;
};
foil::Workplace* New::place_ = nullptr;

// "FILE: ENTRY" of every program and library below `folder` that has the loader look in a place that is not
// an absolute path or below the file's own folder: an empty or relative entry means the current directory of
// whoever runs it. `read` counts the files.
std::vector<std::string> unsafe_runtime_paths(const fs::path& folder, int& read) {
  std::vector<std::string> unsafe;
  const foil::Workplace place;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    char head[18] = {};  // magic, then the type of the file: 2 a program, 3 a library or a program
    if (!std::ifstream(entry.path(), std::ios::binary).read(head, sizeof head)) continue;
    if (std::string(head, 4) != "\177ELF" || (head[16] != 2 && head[16] != 3)) continue;
    ++read;
    std::istringstream lines(place.run({"readelf", "--wide", "--dynamic", entry.path().string()}).out);
    for (std::string line; std::getline(lines, line);) {
      if (!contains(line, "(RUNPATH)") && !contains(line, "(RPATH)")) continue;
      const size_t begin = line.find('[') + 1;
      std::istringstream entries(line.substr(begin, line.rfind(']') - begin) +
                                 ":.");  // getline drops an empty last one
      for (std::string one; std::getline(entries, one, ':') && !entries.eof();) {
        if (!one.starts_with("/") && one != "$ORIGIN" && !one.starts_with("$ORIGIN/"))
          unsafe.push_back(entry.path().string() + ": '" + one + "'");
      }
    }
  }
  return unsafe;
}

TEST_F(New, NoProgramOrLibraryLooksForLibrariesInTheCurrentDirectory) {
  int built = 0, installed = 0;
  EXPECT_EQ(unsafe_runtime_paths(FOIL_BUILD, built), std::vector<std::string>{});
  EXPECT_EQ(unsafe_runtime_paths(place_->folder / "prefix", installed), std::vector<std::string>{});
  EXPECT_GT(installed, 4) << "bin/foil, bin/foil_conformance, libfoil.so, libfoil_torch.so, and the plugins";
  EXPECT_GT(built, installed);
}

TEST_F(New, AnInstallationOnTopOfAnotherRunsFromItsOwnPlaces) {
  const fs::path prefix = place_->folder / "prefix";
  ASSERT_EQ(place_->run({"cmake", "--install", FOIL_BUILD, "--prefix", prefix.string()}).code, 0);
  const foil::Outcome out = place_->run({(prefix / "bin/foil").string(), "doctor"});
  EXPECT_EQ(out.code, 0) << out.out << out.err;
  EXPECT_TRUE(contains(out.out, (fs::canonical(prefix) / "lib/libfoil.so").string())) << out.out;
  EXPECT_FALSE(contains(out.out, FOIL_BUILD)) << out.out;
}

TEST_F(New, WritesEveryKindWithItsNameInAllPlaces) {
  const std::vector<std::vector<std::string>> kinds{{"loss"},
                                                    {"loss", "--with", "state"},
                                                    {"loss", "--with", "queue"},
                                                    {"loss", "--with", "kernel"},
                                                    {"loss", "--with", "contrast"},
                                                    {"encoder"},
                                                    {"augmentation"},
                                                    {"dataset"},
                                                    {"sampler"}};
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string folder = "made" + std::to_string(i);
    std::vector<std::string> arguments = kinds[i];
    arguments.insert(arguments.begin() + 1, {"pull_2_apart", folder});
    const foil::Outcome out = make(arguments);
    ASSERT_EQ(out.code, 0) << out.err;
    for (const char* name : {"pull_2_apart.cpp", "pull_2_apart_test.cpp", "pull_2_apart.toml",
                             "pull_2_apart_ablation.toml", "CMakeLists.txt", "Makefile", "README.md"}) {
      EXPECT_TRUE(fs::exists(place_->folder / folder / name)) << folder << "/" << name;
    }
    EXPECT_EQ(fs::exists(place_->folder / folder / "pull_2_apart.cu"), arguments.back() == "kernel");
    for (const auto& entry : fs::directory_iterator(place_->folder / folder)) {
      const std::string text = foil::slurp(entry.path());
      for (const char* left : {"my_plugin", "MyPlugin", "@KIND@", "@FOIL@"})
        EXPECT_FALSE(contains(text, left)) << entry.path() << ": " << left;
    }
    EXPECT_TRUE(contains(foil::slurp(place_->folder / folder / "pull_2_apart.cpp"),
                         "class Pull2Apart final : public foil::"));
    EXPECT_TRUE(contains(out.out, "next: cd " + folder + " && make\n")) << out.out;
  }
}

TEST(ConformanceProgram, SaysWhatItDoesAndNamesAnUnknownItemOptionAndPlugin) {
  const foil::Workplace place;
  const std::string program = std::string(FOIL_BUILD) + "/foil_conformance",
                    infonce = std::string(FOIL_BUILD) + "/plugins/infonce.so";
  const foil::Outcome help = place.run({program, "--help"});
  EXPECT_EQ(help.code, 0) << help.err;
  for (const char* part :
       {"--item", "--set", "PLUGIN", "encoder ", "sampler ", "micro_batches", "Exit codes: 0 all hold"})
    EXPECT_TRUE(contains(help.out, part)) << part << " in\n" << help.out;
  const foil::Outcome item = place.run({program, "--item", "drawn", infonce});
  EXPECT_EQ(item.code, 2);
  EXPECT_TRUE(contains(item.err, "unknown item 'drawn'.")) << item.err;
  const foil::Outcome set = place.run({program, "--set", "temprature=1", infonce});
  EXPECT_EQ(set.code, 2);
  EXPECT_TRUE(contains(set.err, "--set: unknown option 'temprature'. Known options: temperature")) << set.err;
  EXPECT_EQ(place.run({program}).code, 2);
  EXPECT_EQ(place.run({program, "nothing.so"}).code, 3);
}

TEST_F(New, RefusesAndWritesNothing) {
  fs::create_directory(place_->folder / "there");
  const auto refused = [&](std::vector<std::string> arguments) {
    const foil::Outcome out = make(arguments);
    EXPECT_EQ(out.code, 2) << out.out;
    EXPECT_FALSE(fs::exists(place_->folder / "dir"));
    return out.err;
  };
  EXPECT_EQ(refused({"loss", "mine", "there"}), "there: exists already, allowed: a folder that does not.\n");
  EXPECT_TRUE(fs::is_empty(place_->folder / "there"));
  for (const std::string name : {"Mine", "2mine", "my-loss", "my loss", "mine_", "my__loss", "../mine"}) {
    EXPECT_EQ(refused({"loss", name, "dir"}),
              "foil new: NAME = '" + name +
                  "', allowed: lower-case letters, digits and single '_' between them, a letter first.\n");
  }
  const std::vector<std::pair<std::string, std::string>> taken = {
      {"class", "a word of C++"},
      {"co_await", "a word of C++"},
      {"xor", "a word of C++"},
      {"std", "a namespace that the source uses"},
      {"all", "a target or a folder of its build"},
      {"runs", "a target or a folder of its build"},
      {"options", "a name that the source uses"}};
  for (const auto& [name, what] : taken)
    EXPECT_EQ(refused({"loss", name, "dir"}),
              "foil new: NAME = '" + name + "' is " + what + ". Choose another.\n");
  EXPECT_EQ(refused({"loss", std::string(65, 'a'), "dir"}),
            "foil new: NAME has 65 letters, allowed: at most 64.\n");
  EXPECT_TRUE(
      contains(refused({"loss", "infonce", "dir"}), "foil new: the name 'infonce' is taken: the loss of "))
      << "a loss";
  EXPECT_EQ(refused({"encoder", "mine", "dir", "--with", "state"}),
            "foil new: --with state is for losses only.\n");
  EXPECT_TRUE(contains(refused({"lost", "mine", "dir"}),
                       "KIND: lost not in {loss,encoder,augmentation,dataset,sampler}"));
}

TEST(NewWithoutInstallation, SaysHowToGetOne) {
  const foil::Workplace place;
  const foil::Outcome out = place.foil({"new", "loss", "mine", "dir"});
  EXPECT_EQ(out.code, 2);
  EXPECT_TRUE(contains(
      out.err,
      "plugins are made by an installed foil. In the clone: make install PREFIX=DIR, then DIR/bin/foil new."))
      << out.err;
  EXPECT_FALSE(fs::exists(place.folder / "dir"));
}

}  // namespace
