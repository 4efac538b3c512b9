// SPDX-License-Identifier: BSD-3-Clause
// What the program says of plugins, and what it makes. FOIL_TEST_BAD is the folder of the libraries of
// tests/support/plugins/bad.cpp, FOIL_BUILD the build folder, from which an installation is made where one is needed.
#include "run/safetensors.h"
#include "tests/support/run_foil.h"

#include <torch/types.h>

#include <cmath>
#include <map>

namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

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
  EXPECT_TRUE(contains(out.out, "refused: " + folder + "/crashes.so: crashed while it was loaded (Segmentation fault).\n"))
      << out.out;
  EXPECT_TRUE(contains(out.out, "refused: " + folder + "/throws.so: its registration threw: no luck today.\n")) << out.out;
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

TEST(Doctor, FindsNoProblemInThisBuild) {
  const foil::Outcome out = foil::Workplace().foil({"doctor"});
  EXPECT_EQ(out.code, 0) << out.out << out.err;
  EXPECT_TRUE(contains(out.out, "no problem was found\n")) << out.out;
  EXPECT_TRUE(contains(out.out, "LibTorch 2.11.0")) << out.out;
}

TEST(Doctor, NamesEveryProblemAndExitsWithOne) {
  const foil::Outcome out = foil::Workplace().foil({"doctor"}, {bad_path + ":/no/such/folder", "FOIL_DATA=/no/such/data"});
  EXPECT_EQ(out.code, 1);
  for (const std::string problem : {"crashes.so: crashed while it was loaded", "other_torch.so: built for [",
                                    "/no/such/folder: no such folder of plugins", "/no/such/data: no such folder of data sets"}) {
    EXPECT_TRUE(contains(out.out, problem)) << problem << " in\n" << out.out;
  }
}

TEST(Describe, PrintsFormulaPaperNeedsAndOptions) {
  const foil::Outcome out = foil::Workplace().foil({"describe", "infonce"});
  EXPECT_EQ(out.code, 0) << out.err;
  for (const std::string part : {"l(v,b,u) = -s(v,b; u,b) + log sum", "Chen et al.", "needs: 2 views or more\n", "a number > 0"}) {
    EXPECT_TRUE(contains(out.out, part)) << part << " in\n" << out.out;
  }
}

TEST(Describe, OfEveryLossEndsInASnippetThatTrains) {
  const foil::Workplace place;
  std::string base = foil::small_experiment();
  base.erase(base.find("[[loss]]"), base.find("[optimizer]") - base.find("[[loss]]"));
  place.write("base.toml", base);
  for (const std::string& name : listed(place.foil({"plugins"}).out, "loss")) {
    const std::string text = place.foil({"describe", name}).out;
    const size_t snippet = text.find("\n[");
    ASSERT_NE(snippet, std::string::npos) << text;
    place.write("experiment.toml", "extends = \"base.toml\"\n" + text.substr(snippet));
    const foil::Outcome out =
        place.foil({"train", "experiment.toml", "--set", "run.steps=2", "--set", "run.name=" + name, "--quiet"});
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
    place.write("experiment.toml",
                "extends = \"base.toml\"\n" + text.substr(text.find("\n[")) + "\n[encoder]\nname = \"small_cnn\"\n");
    const foil::Outcome out = place.foil({"config", "experiment.toml"});
    EXPECT_EQ(out.code, 0) << name << ": " << out.err;
  }
}

// Two samples whose views agree and are orthogonal to the other sample's.
std::map<std::string, at::Tensor> two_samples() {
  return {{"z.0", torch::eye(2, torch::kDouble)}, {"z.1", torch::eye(2, torch::kDouble)}};
}

TEST(Score, PrintsTheValueAndWritesTheGradients) {
  const foil::Workplace place;
  auto tensors = two_samples();
  tensors["z.1"] = 3 * tensors["z.1"];  // not of unit norm: the loss sees it scaled, as in a run
  foil::save_tensors((place.folder / "two.safetensors").string(), tensors);
  const foil::Outcome out = place.foil({"score", "infonce", "two.safetensors", "--set", "temperature=0.5", "--device", "cpu"});
  ASSERT_EQ(out.code, 0) << out.err;
  std::istringstream words(out.out);
  std::string name, file;
  double value = 0;
  words >> name >> value >> file;
  EXPECT_EQ(name, "infonce");
  EXPECT_NEAR(value, std::log1p(2 * std::exp(-2.0)), 1e-15);
  EXPECT_EQ(file, "two.gradients.safetensors");
  const auto gradients = foil::load_tensors((place.folder / file).string()).tensors;
  EXPECT_EQ(gradients.at("value").item<double>(), value);
  // The tangent of z.1 at 3 e_0 points along e_1, and two anchors take e_1 of it with the softmax share 1 / (exp 2 + 2).
  EXPECT_NEAR(gradients.at("grad.z.1")[0][0].item<double>(), 0, 1e-15);
  EXPECT_GT(gradients.at("grad.z.0")[0][1].item<double>(), 0);
  EXPECT_NEAR(gradients.at("grad.z.1")[0][1].item<double>() * 3, gradients.at("grad.z.0")[0][1].item<double>(), 1e-15);
}

TEST(Score, ReadsPredictionsTargetsAndQueuesWhereALossNeedsThem) {
  const foil::Workplace place;
  auto tensors = two_samples();
  const at::Tensor one = torch::eye(2, torch::kDouble), other = one.flip(0);
  for (const char* view : {"0", "1"}) {
    tensors[std::string("p.") + view] = one;
    tensors[std::string("target.") + view] = other;
  }
  tensors["queue.0"] = one;
  foil::save_tensors((place.folder / "all.safetensors").string(), tensors);
  const auto value = [&](const std::vector<std::string>& loss) {
    std::vector<std::string> arguments{"score", "all.safetensors", "--device", "cpu"};
    arguments.insert(arguments.begin() + 1, loss.front());
    arguments.insert(arguments.end(), loss.begin() + 1, loss.end());
    const foil::Outcome out = place.foil(arguments);
    EXPECT_EQ(out.code, 0) << out.err;
    return foil::load_tensors((place.folder / "all.gradients.safetensors").string()).tensors;
  };
  // Predictions orthogonal to their targets: 2 each way, and a gradient of minus the target over two samples, times two.
  const auto byol = value({"byol"});
  EXPECT_NEAR(byol.at("value").item<double>(), 4, 1e-12);
  for (const char* name : {"grad.p.0", "grad.p.1"}) EXPECT_TRUE(torch::allclose(byol.at(name), -other)) << byol.at(name);
  EXPECT_EQ(byol.at("grad.z.0").abs().max().item<double>(), 0);
  // A key orthogonal to its query, and the query itself and its opposite number in the queue.
  const auto moco = value({"moco", "--set", "temperature=1", "--set", "queue_length=2"});
  EXPECT_NEAR(moco.at("value").item<double>(), std::log(2 + std::exp(1.0)), 1e-12);
  EXPECT_EQ(moco.count("grad.p.0"), 0u);
  // The neighbour of each z is the row that is its own prediction.
  EXPECT_NEAR(value({"nnclr", "--set", "temperature=1", "--set", "queue_length=2"}).at("value").item<double>(),
              std::log1p(std::exp(-1.0)), 1e-12);

  tensors.erase("target.1");
  foil::save_tensors((place.folder / "all.safetensors").string(), tensors);
  const foil::Outcome missing = place.foil({"score", "byol", "all.safetensors", "--device", "cpu"});
  EXPECT_EQ(missing.code, 5);
  EXPECT_EQ(
      missing.err,
      "all.safetensors: target.1 is missing: this loss needs z of each view by the momentum encoder, CPUDoubleType [2, 2].\n");
}

TEST(Score, SaysWhatIsMissingOrDoesNotFit) {
  const foil::Workplace place;
  const auto refused = [&](std::map<std::string, at::Tensor> tensors, int code, std::vector<std::string> more = {}) {
    foil::save_tensors((place.folder / "in.safetensors").string(), tensors);
    std::vector<std::string> arguments{"score", "infonce", "in.safetensors"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const foil::Outcome out = place.foil(arguments);
    EXPECT_EQ(out.code, code) << out.out;
    EXPECT_FALSE(fs::exists(place.folder / "in.gradients.safetensors"));
    return out.err;
  };
  auto tensors = two_samples();
  EXPECT_EQ(refused({{"z1", tensors["z.0"]}}, 5), "in.safetensors: has no tensor z.0. Known tensors: z1.\n");
  EXPECT_EQ(refused({{"z.0", tensors["z.0"]}}, 5), "in.safetensors: z: 1 views, allowed: 2 or more.\n");
  EXPECT_EQ(refused({{"z.0", tensors["z.0"]}, {"z.2", tensors["z.1"]}}, 5),
            "in.safetensors: the tensor 'z.2' is nothing that score reads: z.0, z.1, ..., p, target and queue alike, label, index. "
            "Is one "
            "between missing?\n");
  tensors["z.1"] = torch::zeros({3, 2}, torch::kDouble);
  EXPECT_EQ(refused(tensors, 5),
            "in.safetensors: z.1 is CPUDoubleType [3, 2] but z.0 is CPUDoubleType [2, 2]; all views must agree.\n");
  tensors = two_samples();
  tensors["label"] = torch::zeros({2, 1}, torch::kLong);
  EXPECT_EQ(refused(tensors, 5), "in.safetensors: label is CPULongType [2, 1], allowed: int64 [2], one a sample.\n");
  EXPECT_EQ(refused(two_samples(), 2, {"--set", "temperature=-1"}),
            "--set temperature=-1: loss.temperature = -1, allowed: a number > 0.\n");
  EXPECT_TRUE(contains(refused(two_samples(), 2, {"--set", "temprature=1"}),
                       "unknown key loss.temprature. Known keys: temperature. Did you mean 'temperature'?"));
  const foil::Outcome unknown = place.foil({"score", "infonse", "in.safetensors"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(contains(unknown.err, "Did you mean 'infonce'?")) << unknown.err;
}

// An installation, made once.
class New : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new foil::Workplace;
    const foil::Outcome out = place_->run({"cmake", "--install", FOIL_BUILD, "--prefix", (place_->folder / "prefix").string()});
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

TEST_F(New, WritesEveryKindWithItsNameInAllPlaces) {
  const std::vector<std::vector<std::string>> kinds{
      {"loss"},        {"loss", "--with", "state"}, {"loss", "--with", "queue"}, {"loss", "--with", "kernel"}, {"encoder"},
      {"augmentation"}};
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string folder = "made" + std::to_string(i);
    std::vector<std::string> arguments = kinds[i];
    arguments.insert(arguments.begin() + 1, {"pull_2_apart", folder});
    const foil::Outcome out = make(arguments);
    ASSERT_EQ(out.code, 0) << out.err;
    for (const char* name : {"pull_2_apart.cpp", "pull_2_apart_test.cpp", "pull_2_apart.toml", "pull_2_apart_ablation.toml",
                             "CMakeLists.txt", "Makefile", "README.md"}) {
      EXPECT_TRUE(fs::exists(place_->folder / folder / name)) << folder << "/" << name;
    }
    EXPECT_EQ(fs::exists(place_->folder / folder / "pull_2_apart.cu"), arguments.back() == "kernel");
    for (const auto& entry : fs::directory_iterator(place_->folder / folder)) {
      const std::string text = foil::slurp(entry.path());
      for (const char* left : {"my_plugin", "MyPlugin", "@KIND@", "@FOIL@"})
        EXPECT_FALSE(contains(text, left)) << entry.path() << ": " << left;
    }
    EXPECT_TRUE(contains(foil::slurp(place_->folder / folder / "pull_2_apart.cpp"), "class Pull2Apart final : public foil::"));
    EXPECT_TRUE(contains(out.out, "next: cd " + folder + " && make\n")) << out.out;
  }
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
    EXPECT_EQ(
        refused({"loss", name, "dir"}),
        "foil new: NAME = '" + name + "', allowed: lower-case letters, digits and single '_' between them, a letter first.\n");
  }
  EXPECT_EQ(refused({"loss", "options", "dir"}),
            "foil new: NAME = 'options' means something else to CMake or in the source. Choose another.\n");
  EXPECT_TRUE(contains(refused({"loss", "infonce", "dir"}), "foil new: the name 'infonce' is taken: the loss of ")) << "a loss";
  EXPECT_EQ(refused({"encoder", "mine", "dir", "--with", "state"}), "foil new: --with state is for losses only.\n");
  EXPECT_TRUE(contains(refused({"lost", "mine", "dir"}), "KIND: lost not in {loss,encoder,augmentation}"));
}

TEST(NewWithoutInstallation, SaysHowToGetOne) {
  const foil::Workplace place;
  const foil::Outcome out = place.foil({"new", "loss", "mine", "dir"});
  EXPECT_EQ(out.code, 2);
  EXPECT_TRUE(
      contains(out.err, "plugins are made by an installed foil. In the clone: make install PREFIX=DIR, then DIR/bin/foil new."))
      << out.err;
  EXPECT_FALSE(fs::exists(place.folder / "dir"));
}

}  // namespace
