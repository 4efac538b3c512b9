// SPDX-License-Identifier: BSD-3-Clause
// foil score: values and gradients of losses on the tensors of a file, and what it says of a file that does
// not fit. FOIL_WANTS is the folder of tests/support/plugins/wants.cpp.
#include "run/safetensors.h"
#include "tests/support/run_foil.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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
  const foil::Outcome out =
      place.foil({"score", "infonce", "two.safetensors", "--set", "temperature=0.5", "--device", "cpu"});
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
  // The tangent of z.1 at 3 e_0 points along e_1, and two anchors take e_1 of it with the softmax share 1 /
  // (exp 2 + 2).
  EXPECT_NEAR(gradients.at("grad.z.1")[0][0].item<double>(), 0, 1e-15);
  EXPECT_GT(gradients.at("grad.z.0")[0][1].item<double>(), 0);
  EXPECT_NEAR(gradients.at("grad.z.1")[0][1].item<double>() * 3,
              gradients.at("grad.z.0")[0][1].item<double>(), 1e-15);
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
  // Predictions orthogonal to their targets: 2 each way, and a gradient of minus twice the target over two
  // samples and two ways.
  const auto byol = value({"byol"});
  EXPECT_NEAR(byol.at("value").item<double>(), 2, 1e-12);
  EXPECT_NEAR(value({"byol", "--set", "directions=sum"}).at("value").item<double>(), 4, 1e-12);
  for (const char* name : {"grad.p.0", "grad.p.1"})
    EXPECT_TRUE(torch::allclose(byol.at(name), -other / 2)) << byol.at(name);
  EXPECT_EQ(byol.at("grad.z.0").abs().max().item<double>(), 0);
  // A key orthogonal to its query, and the query itself and its opposite number in the queue.
  const auto moco = value({"moco", "--set", "temperature=1", "--set", "queue_length=2"});
  EXPECT_NEAR(moco.at("value").item<double>(), std::log(2 + std::exp(1.0)), 1e-12);
  EXPECT_EQ(moco.count("grad.p.0"), 0u);
  // The neighbour of each z is the row that is its own prediction.
  EXPECT_NEAR(
      value({"nnclr", "--set", "temperature=1", "--set", "queue_length=2"}).at("value").item<double>(),
      std::log1p(std::exp(-1.0)), 1e-12);

  tensors.erase("target.1");
  foil::save_tensors((place.folder / "all.safetensors").string(), tensors);
  const foil::Outcome missing = place.foil({"score", "byol", "all.safetensors", "--device", "cpu"});
  EXPECT_EQ(missing.code, 5);
  EXPECT_EQ(missing.err,
            "all.safetensors: target.1 is missing: this loss needs z of each view by the momentum encoder, "
            "CPUDoubleType [2, 2].\n");
}

TEST(Score, SaysWhatIsMissingOrDoesNotFit) {
  const foil::Workplace place;
  const auto refused = [&](std::map<std::string, at::Tensor> tensors, int code,
                           std::vector<std::string> more = {}) {
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
  EXPECT_EQ(refused({{"z.0", tensors["z.0"]}}, 5), "in.safetensors: z: 1 view, allowed: 2 or more views.\n");
  EXPECT_EQ(refused({{"z.0", tensors["z.0"]}, {"z.2", tensors["z.1"]}}, 5),
            "in.safetensors: z.2 is there, but z.1 is missing.\n");
  EXPECT_EQ(
      refused({{"z.0", tensors["z.0"]}, {"z.1", tensors["z.1"]}, {"targets.0", tensors["z.1"]}}, 5),
      "in.safetensors: the tensor 'targets.0' is none of a loss's input. Known tensors: h.0, decoded.0, "
      "z.0, p.0, target.0, queue.0, queue_label.0, queue_index.0, label, index, x.0, edges.0, "
      "edge_weight.0, params.0, weight.NAME. Did you mean 'target.0'?\n");
  tensors["z.1"] = torch::zeros({3, 2}, torch::kDouble);
  EXPECT_EQ(
      refused(tensors, 5),
      "in.safetensors: z.1 is CPUDoubleType [3, 2] but z.0 is CPUDoubleType [2, 2]; all views must agree.\n");
  tensors = two_samples();
  tensors["label"] = torch::zeros({2, 1}, torch::kLong);
  EXPECT_EQ(refused(tensors, 5),
            "in.safetensors: label is CPULongType [2, 1], allowed: int64 [2], one a sample.\n");
  EXPECT_EQ(refused(two_samples(), 2, {"--set", "temperature=-1"}),
            "--set temperature=-1: loss.temperature = -1, allowed: a number > 0.\n");
  EXPECT_TRUE(contains(refused(two_samples(), 2, {"--set", "temprature=1"}),
                       "unknown key loss.temprature. Known keys: temperature. Did you mean 'temperature'?"));
  const foil::Outcome unknown = place.foil({"score", "infonse", "in.safetensors"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(contains(unknown.err, "Did you mean 'infonce'?")) << unknown.err;
}

// A place with a file of tensors, and the program's words on it.
class Scoring {
 public:
  foil::Outcome operator()(const std::string& loss, const std::map<std::string, at::Tensor>& tensors,
                           std::vector<std::string> more = {}) const {
    foil::save_tensors((place_.folder / "in.safetensors").string(), tensors);
    fs::remove(place_.folder / "in.gradients.safetensors");
    more.insert(more.begin(), {"score", loss, "in.safetensors", "--device", "cpu"});
    return place_.foil(more, {std::string("FOIL_PLUGIN_PATH=") + FOIL_WANTS});
  }
  std::map<std::string, at::Tensor> written() const {
    return foil::load_tensors((place_.folder / "in.gradients.safetensors").string()).tensors;
  }
  // What it says, with this exit code, when it writes nothing.
  std::string refused(int code, const std::string& loss, const std::map<std::string, at::Tensor>& tensors,
                      std::vector<std::string> more = {}) const {
    const foil::Outcome out = (*this)(loss, tensors, std::move(more));
    EXPECT_EQ(out.code, code) << out.out << out.err;
    EXPECT_EQ(out.out, "");
    EXPECT_FALSE(fs::exists(place_.folder / "in.gradients.safetensors"));
    EXPECT_LE(std::count(out.err.begin(), out.err.end(), '\n'), 1) << out.err;
    return out.err;
  }

 private:
  foil::Workplace place_;
};

at::Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

TEST(Score, GivesFeaturesAndTheLabelsAndIndicesOfAQueue) {
  const Scoring score;
  auto tensors = two_samples();
  const at::Tensor one = torch::eye(2, torch::kDouble);
  tensors["h.0"] = torch::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, torch::kDouble);
  tensors["h.1"] = 2 * torch::ones({2, 3}, torch::kDouble);
  tensors["label"] = ids({1, -1});
  tensors["index"] = ids({7, 8});
  tensors["queue.0"] = torch::cat({one, one.slice(0, 0, 1)});
  tensors["queue_label.0"] = ids({1, -1, 1});
  tensors["queue_index.0"] = ids({9, 3, 7});
  // h: (2 (1 + 2 + 3) + 2 (4 + 5 + 6)) / 2. Of the queue only its first row is of the first sample's class
  // and not of the sample.
  const foil::Outcome out = score("wants", tensors);
  ASSERT_EQ(out.code, 0) << out.err;
  const auto written = score.written();
  const double near = tensors["z.0"][0][0].item<double>() / tensors["z.0"][0].norm().item<double>();
  EXPECT_NEAR(written.at("value").item<double>(), 21 + near / 2, 1e-12);
  EXPECT_TRUE(torch::allclose(written.at("grad.h.1"), tensors["h.0"] / 2));

  for (const auto& [name, words] : std::map<std::string, std::string>{
           {"h.1", "h.1 is missing: this loss needs features before the head, CPUDoubleType [2, 3]."},
           {"queue_label.0",
            "queue_label.0 is missing: this loss needs the label of each row of queue.0, int64 [3]."},
           {"queue_index.0",
            "queue_index.0 is missing: this loss needs the index of each row of queue.0, int64 [3]."},
           {"label", "label is missing: this loss needs labels, int64 [2]."},
           {"index",
            "index is missing: this loss keeps state per sample, int64 [2], rows of the data set."}}) {
    auto less = tensors;
    less.erase(name);
    EXPECT_EQ(score.refused(5, "wants", less), "in.safetensors: " + words + "\n");
  }
  tensors["h.1"] = tensors["h.1"].slice(1, 0, 2).contiguous();
  EXPECT_EQ(score.refused(5, "wants", tensors),
            "in.safetensors: h.1 is CPUDoubleType [2, 2], allowed: "
            "CPUDoubleType [2, 3], features before the head.\n");
}

// Two nodes and an edge from the first to the second.
std::map<std::string, at::Tensor> two_nodes() {
  auto tensors = two_samples();
  tensors["z.1"] = torch::ones({2, 2}, torch::kDouble);
  tensors["decoded.0"] = tensors["decoded.1"] =
      torch::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, torch::kDouble);
  tensors["x.0"] = tensors["x.1"] = torch::ones({2, 3}, torch::kDouble);
  tensors["edges.0"] = tensors["edges.1"] = ids({0, 1}).view({2, 1});
  tensors["edge_weight.0"] = torch::full({1}, 2.0, torch::kDouble);
  tensors["weight.encoder.scale"] = torch::tensor({1.0, 2.0}, torch::kDouble);
  return tensors;
}

TEST(Score, GivesAGraphWhatADecoderMakesOfItAndAWeight) {
  const Scoring score;
  const foil::Outcome out = score("wants_graph", two_nodes());
  ASSERT_EQ(out.code, 0) << out.err;
  // (1 + 2 + 3 + 4 + 5 + 6 + (1 + 2) 2 <z_21, z_12>) / 2
  const auto written = score.written();
  EXPECT_NEAR(written.at("value").item<double>(), 13.5, 1e-12);
  EXPECT_TRUE(torch::allclose(written.at("grad.decoded.0"), torch::full({2, 3}, 0.5, torch::kDouble)));
  EXPECT_TRUE(torch::allclose(written.at("grad.weight.encoder.scale"), torch::ones({2}, torch::kDouble)));
  EXPECT_EQ(written.count("grad.x.0"), 0u);
}

TEST(Score, SaysWhatOfAGraphIsMissingOrDoesNotFit) {
  const Scoring score;
  const auto expect_said = [&](const std::map<std::string, at::Tensor>& tensors, const std::string& words) {
    EXPECT_EQ(score.refused(5, "wants_graph", tensors), "in.safetensors: " + words + "\n");
  };
  for (const auto& [name, words] : std::map<std::string, std::string>{
           {"decoded.1", "what the encoder's decoder gives, CPUDoubleType [2, ...]."},
           {"x.1", "the views as the encoders see them, CPUDoubleType [2, F]."},
           {"edges.1", "the edges of each view, int64 [2, E], from and to."},
           {"weight.encoder.scale", "this parameter of the encoder, CPUDoubleType of its shape."}}) {
    auto less = two_nodes();
    less.erase(name);
    expect_said(less, name + " is missing: this loss needs " + words);
  }
  const auto with = [](const std::string& name, const at::Tensor& tensor) {
    auto tensors = two_nodes();
    tensors[name] = tensor;
    return tensors;
  };
  expect_said(with("edges.0", ids({0, 2}).view({2, 1})), "edges.0[1, 0] is 2, allowed: a node, 0 to 1.");
  expect_said(with("index", ids({1, 0})),
              "index: this loss takes all nodes of a graph in their order, allowed: 0 to 1, or no index.");
  expect_said(with("x.2", torch::ones({2, 3}, torch::kDouble)), "x.2 is one too many, allowed: x.0 to x.1.");
  expect_said(with("edge_weight.1", torch::ones({3}, torch::kDouble)),
              "edge_weight.1 is CPUDoubleType [3], allowed: CPUDoubleType [1], the weight of each edge.");
}

TEST(Score, RefusesIdsOutOfRangeBeforeAnythingIsMadeForThem) {
  const Scoring score;
  auto tensors = two_samples();
  EXPECT_EQ(score.refused(5, "sogclr", tensors),
            "in.safetensors: index is missing: "
            "this loss keeps state per sample, int64 [2], rows of the data set.\n");
  tensors["index"] = ids({0, -1});
  EXPECT_EQ(
      score.refused(5, "sogclr", tensors),
      "in.safetensors: index is -1 in row 1, allowed: 0 to 16777215, unless the dataset_size is given.\n");
  for (const int64_t large : {int64_t{1} << 31, int64_t{4'000'000'000'000}}) {
    tensors["index"] = ids({large, 0});
    EXPECT_TRUE(contains(score.refused(5, "isogclr", tensors),
                         "index is " + std::to_string(large) + " in row 0, allowed: 0 to "));
  }
  tensors["index"] = ids({5, 6});
  EXPECT_EQ(score.refused(5, "sogclr", tensors, {"--dataset-size", "6"}),
            "in.safetensors: index is 6 in row 1, allowed: 0 to 5.\n");
  EXPECT_EQ(score("sogclr", tensors, {"--dataset-size", "7"}).code, 0);
  tensors.erase("index");
  for (const int64_t wrong : {int64_t{-2}, int64_t{4'000'000'000'000}}) {
    tensors["label"] = ids({0, wrong});
    EXPECT_EQ(score.refused(5, "supcon", tensors),
              "in.safetensors: label is " + std::to_string(wrong) + " in row 1, allowed: -1 to 16777215.\n");
  }
}

TEST(Score, CountsSamplesWithoutALabelAsAlone) {
  const Scoring score;
  auto tensors = two_samples();
  const auto value = [&](const std::vector<int64_t>& label) {
    tensors["label"] = ids(label);
    const foil::Outcome out = score("supcon", tensors);
    EXPECT_EQ(out.code, 0) << out.err;
    return score.written().at("value").item<double>();
  };
  EXPECT_EQ(value({-1, -1}), value({0, 1}));
  EXPECT_NE(value({-1, -1}), value({0, 0}));
}

TEST(Score, RefusesTensorsWithoutRowsOrColumns) {
  const Scoring score;
  for (const char* loss : {"multiview", "infonce", "sogclr", "barlow"}) {
    const at::Tensor no_rows = torch::zeros({0, 3}, torch::kDouble),
                     no_columns = torch::zeros({3, 0}, torch::kDouble);
    EXPECT_EQ(score.refused(5, loss, {{"z.0", no_rows}, {"z.1", no_rows}, {"index", ids({})}}),
              "in.safetensors: z.0 has no rows: it is CPUDoubleType [0, 3].\n");
    EXPECT_EQ(score.refused(5, loss, {{"z.0", no_columns}, {"z.1", no_columns}}),
              "in.safetensors: z.0 has no columns: it is CPUDoubleType [3, 0].\n");
  }
}

TEST(Score, EndsWithFourWhereSomethingIsNotFinite) {
  const Scoring score;
  auto tensors = two_samples();
  tensors["z.1"][1][0] = std::nan("");
  EXPECT_EQ(score.refused(4, "infonce", tensors), "in.safetensors: z.1[1, 0] is nan.\n");
  tensors["z.1"][1][0] = -INFINITY;
  EXPECT_EQ(score.refused(4, "barlow", tensors), "in.safetensors: z.1[1, 0] is -inf.\n");
  tensors = two_samples();
  for (const char* name : {"z.0", "z.1"}) tensors[name] = tensors[name].to(torch::kFloat) * 1e30;
  tensors["z.1"] = -tensors["z.1"];  // finite, but their squares are not
  EXPECT_TRUE(contains(score.refused(4, "vicreg", tensors), "in.safetensors: the value of vicreg is "));
}

TEST(Score, SeesHalfPrecisionAsFloat) {
  const Scoring score;
  auto tensors = two_samples();
  tensors["z.0"] = tensors["z.0"].to(torch::kBFloat16);
  tensors["z.1"] = tensors["z.1"].to(torch::kBFloat16);
  const foil::Outcome out = score("infonce", tensors, {"--set", "temperature=0.01"});
  EXPECT_EQ(out.code, 0) << out.err;
  EXPECT_EQ(score.written().at("value").scalar_type(), torch::kFloat);
  EXPECT_EQ(score.written().at("grad.z.0").scalar_type(), torch::kBFloat16);
}

TEST(Score, MovesParametersToTheTypeOfZ) {
  const Scoring score;
  const foil::Outcome out = score("swav", two_samples(), {"--set", "prototypes=4"});
  EXPECT_EQ(out.code, 0) << out.err;
  EXPECT_EQ(score.written().at("grad.prototypes").scalar_type(), torch::kDouble);
}

TEST(Score, SaysWhatDidNotFitIntoMemoryWithoutATrace) {
  const Scoring score;
  const at::Tensor wide = torch::ones({2, 100'000});
  const std::string words =
      score.refused(1, "swav", {{"z.0", wide}, {"z.1", wide}}, {"--set", "prototypes=1000000000"});
  EXPECT_TRUE(contains(words, "the set-up of the loss failed for z_dim = 100000, ")) << words;
  EXPECT_TRUE(contains(words, "out of memory: ")) << words;
}

}  // namespace
