// SPDX-License-Identifier: BSD-3-Clause
// foil export: what Python makes of the folder, by the lines of its own model card where it has the library,
// against foil's features of the same images.
#include "config/load.h"
#include "data/builtin.h"
#include "experiment/experiment.h"
#include "manners.h"
#include "plugins/loader.h"
#include "resume.h"
#include "run/checkpoint.h"
#include "run/safetensors.h"
#include "tests/support/run_python.h"

#include <torch/types.h>

namespace {

using foil::Tensor;

const foil::Component& find(const std::string& kind, const std::string& name, const std::string& place) {
  static foil::Registry& registry = [&]() -> foil::Registry& {
    foil::Registry& all = foil::Registry::instance();
    all.enter("built in", foil::register_builtin_data);
    foil::load_plugins(foil::plugin_folders({}), all);
    return all;
  }();
  return registry.find(kind, name, place);
}

// What the encoder of a run's newest checkpoint makes of images [B, C, H, W] in evaluation: [B, F].
Tensor features_of(const fs::path& run, const Tensor& images) {
  const torch::NoGradGuard no_grad;
  foil::Experiment experiment =
      foil::build(foil::check(foil::load_experiment(run / "config.resolved.toml"), find), at::kCPU);
  const auto newest = foil::Checkpoints(run / "checkpoints", 1).load_newest([](const std::string&) {});
  foil::restore_weights(newest.value(), experiment.modules());
  experiment.model->eval();
  return experiment.model->forward({{"image", foil::Kind::image, images, {}, {}, {}, {}}}).h.at(0);
}

// An experiment on images of channels x side x side.
std::string image_experiment(const std::string& encoder, int64_t channels, int64_t side,
                             const std::string& run = "", const std::string& augment = "") {
  return "[run]\nname = \"small\"\nsteps = 3\nthreads = 1\n" + run +
         "[data]\nname = \"synthetic\"\nsamples = 32\ntest_samples = 16\nclasses = 3\nbatch_size = 8\n"
         "channels = " +
         std::to_string(channels) + "\nsize = " + std::to_string(side) + "\n" + augment +
         "[[augment]]\nname = \"normalize\"\n[encoder]\n" + encoder +
         "[[loss]]\nname = \"infonce\"\n[optimizer]\nname = \"sgd\"\nlearning_rate = 0.05\n"
         "[evaluate]\nlinear = false\nneighbours = 3\n";
}

// A transformer on crops of 8 x 12, in double precision.
std::string transformer(const std::string& pooling) {
  return image_experiment(
      "name = \"vit\"\nwidth = 12\ndepth = 2\nheads = 3\nmlp_ratio = 2.5\npooling = \"" + pooling + "\"\n", 3,
      16, "precision = \"fp64\"\n", "[[augment]]\nname = \"random_resized_crop\"\nsize = [8, 12]\n");
}

// Runs the lines of the card in the exported folder.
constexpr const char* kByTheCard = R"(
import os, re, sys, torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
folder, images, features = sys.argv[1:]
x = load_file(images)["images"]
os.chdir(folder)
exec(re.search(r"```python\n(.*?)```", open("README.md").read(), re.S).group(1))
with torch.no_grad():
    save_file({"features": model(x).contiguous()}, features)
)";

class Export : public ::testing::Test {
 protected:
  void train(const std::string& experiment) {
    place_.write("e.toml", experiment);
    const Outcome outcome = place_.foil({"train", "e.toml", "--quiet"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  void exported(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"export", "runs/small/seed0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = place_.foil(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    ASSERT_EQ(lines(outcome.out).front(), "runs/small/seed0/export/model.safetensors");
  }
  // The features that Python gives by the lines of the card are those of foil.
  void expect_equal_features(const Tensor& images, double tolerance) {
    const foil::test::TempFolder scratch;
    foil::save_tensors(scratch / "images.safetensors", {{"images", images}});
    foil::test::run_python(
        scratch, kByTheCard,
        export_.string() + " " + (scratch / "images.safetensors") + " " + (scratch / "features.safetensors"));
    const Tensor got = foil::load_tensors(scratch / "features.safetensors").tensors.at("features"),
                 want = features_of(run_, images);
    ASSERT_EQ(got.sizes(), want.sizes());
    ASSERT_EQ(got.scalar_type(), want.scalar_type());
    EXPECT_GT(want.std().item<double>(), 0);
    EXPECT_LT((got - want).norm().item<double>() / want.norm().item<double>(), tolerance);
  }

  Workplace place_;
  const fs::path run_ = place_.folder / "runs/small/seed0", export_ = run_ / "export";
};

TEST_F(Export, OfASmallResNetLoadsIntoTorchvisionsByTheLinesOfTheCard) {
  train(image_experiment("name = \"resnet\"\nsmall_images = true\n", 3, 12));
  exported();
  EXPECT_EQ(read_json(export_ / "config.json")["architecture"], "resnet18");
  expect_equal_features(torch::rand({5, 3, 12, 12}), 1e-5);
}

TEST_F(Export, OfADeepResNetOfGreyImagesInDoublePrecisionToo) {
  train(image_experiment("name = \"resnet\"\ndepth = 50\n", 1, 24, "precision = \"fp64\"\n"));
  exported({"--layout", "torchvision"});
  EXPECT_EQ(read_json(export_ / "config.json")["architecture"], "resnet50");
  expect_equal_features(torch::rand({5, 1, 24, 24}, torch::kDouble), 1e-10);
}

TEST_F(Export, OfAVisionTransformerLoadsIntoTimms) {
  train(transformer("token"));
  exported();
  EXPECT_EQ(read_json(export_ / "config.json")["model_args"]["img_size"], nlohmann::json({8, 12}));
  expect_equal_features(torch::rand({5, 3, 8, 12}, torch::kDouble), 1e-10);
}

TEST_F(Export, OfAVisionTransformerThatTakesTheMeanOfItsPatchesToo) {
  train(transformer("mean"));
  exported();
  EXPECT_EQ(read_json(export_ / "config.json")["layout"], "timm");
  expect_equal_features(torch::rand({5, 3, 8, 12}, torch::kDouble), 1e-10);
}

TEST_F(Export, OfAnyOtherEncoderHasFoilsNamesAndIsWeightsForFoil) {
  train(small_experiment());
  exported();
  EXPECT_EQ(read_json(export_ / "config.json")["layout"], "safetensors");
  const auto all = foil::Checkpoints::load(run_ / "checkpoints/step-00000020").tensors,
             some = foil::load_tensors(export_ / "model.safetensors").tensors;
  EXPECT_GT(some.size(), 3u);
  for (const auto& [name, tensor] : some)
    EXPECT_TRUE(torch::equal(tensor, all.at("tower.encoder." + name))) << name;
  const Outcome again =
      place_.foil({"train", "e.toml", "--quiet", "--set", "run.name=again", "--set",
                   "model.weights=runs/small/seed0/export/model.safetensors", "--set", "run.steps=0"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_json(place_.folder / "runs/again/seed0/results.json")["metrics"]["knn"],
            read_json(run_ / "results.json")["metrics"]["knn"]);
}

TEST_F(Export, SaysInItsCardWhatTheRunRecordedWithoutTheFoldersOfThisMachine) {
  train(small_experiment());
  exported({"--out", "runs/small/seed0/export"});
  const std::string card = slurp(export_ / "README.md");
  const nlohmann::json knn = read_json(run_ / "results.json")["measured"]["features.knn"];
  char value[32];
  std::snprintf(value, sizeof value, "| kNN %% | %.1f | ", knn["value"].get<double>());
  for (const std::string& part :
       {std::string("# small/seed0\n"), std::string(", temperature = 0.2) |\n"), std::string(value),
        "commit " + read_json(run_ / "env.json")["commit"].get<std::string>(),
        read_json(run_ / "data.json")["identity"].get<std::string>()})
    EXPECT_NE(card.find(part), std::string::npos) << part << " in\n" << card;
  EXPECT_EQ(card.find(place_.folder), std::string::npos);
  const std::string experiment = slurp(export_ / "experiment.toml");
  EXPECT_EQ(experiment.find(place_.folder), std::string::npos) << experiment;
  place_.write("again.toml", experiment);
  EXPECT_EQ(place_.foil({"config", "again.toml"}).code, 0);
}

TEST_F(Export, OfSeveralTowersIsOfTheOneThatIsNamed) {
  train(
      "[run]\nname = \"small\"\nsteps = 2\nthreads = 1\n[data]\nname = \"synthetic\"\nsamples = "
      "32\ntest_samples = "
      "16\nsize = 8\nbatch_size = 8\nmodalities = [\"image\", \"vector\"]\nfeatures = 6\n[views]\nof = "
      "[\"image\", "
      "\"vector\"]\n[encoder]\nname = \"small_cnn\"\nwidths = [4]\n[encoder.vector]\nname = \"mlp\"\nwidths "
      "= "
      "[5]\n[[loss]]\nname = \"clip\"\n[evaluate]\nlinear = false\nneighbours = 3\n");
  const Outcome unnamed = place_.foil({"export", "runs/small/seed0"});
  EXPECT_EQ(unnamed.code, 2);
  EXPECT_EQ(unnamed.err,
            "runs/small/seed0: has several encoders: name one by --tower. Known towers: image, vector.\n");
  exported({"--tower", "vector"});
  EXPECT_EQ(read_json(export_ / "config.json")["encoder"]["name"], "mlp");
  for (const auto& [name, tensor] : foil::load_tensors(export_ / "model.safetensors").tensors)
    EXPECT_TRUE(name.starts_with("layers.")) << name;
}

TEST_F(Export, IsRefusedBeforeAnythingIsMade) {
  train(small_experiment());
  const auto refused = [&](const std::vector<std::string>& arguments, int code, const std::string& text) {
    const Outcome outcome = place_.foil(arguments);
    EXPECT_EQ(outcome.code, code);
    EXPECT_EQ(outcome.err, text + "\n");
    EXPECT_EQ(outcome.out, "");
    EXPECT_FALSE(fs::exists(export_));
  };
  const std::string run = "runs/small/seed0";
  refused({"export", run, "--layout", "timm"}, 2,
          "--layout timm: the encoder is none of that: it has no tensor patch_embed.proj.weight. Layouts "
          "that fit: "
          "safetensors.");
  refused({"export", "runs/small"}, 2,
          "runs/small: holds the runs seed0: name one, such as runs/small/seed0.");
  refused({"export", "runs/none"}, 5,
          "runs/none/config.resolved.toml: cannot read: No such file or directory");
  refused({"export", run, "--out", "runs"}, 2, "runs: exists already, allowed: a folder that does not.");
  place_.write(run + "/results.json", "{\"metrics\": 7}");
  EXPECT_EQ(place_.foil({"export", run}).code, 5);
  EXPECT_FALSE(fs::exists(export_));
  fs::remove_all(run_ / "checkpoints");
  refused({"export", run}, 5, run + ": has no checkpoint.");
}

}  // namespace
