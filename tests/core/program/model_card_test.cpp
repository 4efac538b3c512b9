// SPDX-License-Identifier: BSD-3-Clause
// The model card as a text: what it says of a run, and what hostile records cannot make of it.
#include "program/model_card.h"

#include "config/parse.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

CardFacts facts() {
  CardFacts all;
  all.name = "small/seed0";
  all.experiment = parse_toml(
      "[run]\nsteps = 20\nseed = 3\nprecision = \"fp32\"\n[data]\nname = \"digits\"\nbatch_size = 64\n"
      "[[augment]]\nname = \"normalize\"\nmean = [0.5]\n[[loss]]\nname = \"infonce\"\ntemperature = 0.2\n"
      "[[loss]]\nname = \"vicreg\"\nweight = 0.5\n",
      "");
  all.encoder = parse_toml("name = \"mine\"\nwidth = 8\n", "");
  all.step = 20;
  all.layout = {"safetensors", {}, "tensors = 1\n"};
  all.inputs = {{"image", {{"kind", "image"}, {"shape", {3, 12, 12}}, {"preparation", "resize-none"}}}};
  all.results = nlohmann::json::parse(
      R"({"protocol": "p", "step": 20, "metrics": {"knn": 84.56, "features.std": 0.25}, "measured": {
          "features.std": {"value": 0.25, "title": "features std", "unit": "", "digits": 3, "better": "neither",
                           "protocol": "std/v1"},
          "features.knn": {"value": 84.56, "title": "kNN", "unit": "%", "digits": 1, "better": "higher",
                           "headline": true, "column": 1, "metric": "knn", "protocol": "knn-k20/v1"}}})");
  all.data = {{"train", 257}, {"test", 101}, {"identity", "crc32:1234"}};
  all.environment = {{"foil", "0.1.0"}, {"commit", "1a2b3c4"}, {"processor", "a processor"}};
  return all;
}

TEST(ModelCard, SaysWhatTheWeightsAreHowTheyWereMadeAndWhatTheyMeasured) {
  const std::string card = model_card(facts());
  for (const std::string part :
       {"# small/seed0\n", "| loss | infonce (temperature = 0.2) + vicreg (weight = 0.5) |\n",
        "| data | digits (batch\\_size = 64), 257 training samples, 101 test samples, crc32:1234 |\n",
        "| encoder | mine (width = 8) |\n", "| steps | 20 of 20 steps, 64 samples each |\n", "| seed | 3 |\n",
        "| precision | fp32 |\n", "| made by | foil 0.1.0, commit 1a2b3c4 |\n", "| on | a processor |\n",
        "| kNN % | 84.6 | knn-k20/v1 |\n| features std | 0.250 | std/v1 |\n", "```python\ntensors = 1\n```\n",
        "- image: image of shape [3,12,12], prepared by resize-none\n", "- normalize (mean = [0.5])\n",
        "\n## Licence\n", "---\n# license: yours to choose"})
    EXPECT_NE(card.find(part), std::string::npos) << part << " in\n" << card;
}

TEST(ModelCard, LeavesOutNumbersOfAnotherStepAndOfARunWithoutAny) {
  CardFacts other = facts();
  other.step = 16;
  EXPECT_EQ(model_card(other).find("84.6"), std::string::npos);
  EXPECT_NE(model_card(other).find("are of step 20, and so none of these weights"), std::string::npos);
  other.results = nullptr;
  EXPECT_NE(model_card(other).find("The run left no results."), std::string::npos);
}

TEST(ModelCard, ShowsWhatIsInTheRecordsWithoutObeyingIt) {
  CardFacts hostile = facts();
  hostile.environment["processor"] = "a | b\n# A title\x1b[2J <script> `code` [link](http://x)";
  hostile.inputs = {{"<b>", 7}, {"image", {{"shape", "`x`"}}}};
  hostile.data = 3;
  const std::string card = model_card(hostile);
  EXPECT_EQ(card.find('\x1b'), std::string::npos);
  EXPECT_EQ(card.find("\n# A title"), std::string::npos);
  EXPECT_EQ(card.find(" <script>"), std::string::npos);
  EXPECT_EQ(card.find(" <b>"), std::string::npos);
  EXPECT_NE(card.find("a \\| b # A title\\\\x1b[2J \\<script> \\`code\\` [link\\](http://x) |"),
            std::string::npos)
      << card;
}

TEST(ModelCard, RefusesResultsThatAreNone) {
  CardFacts damaged = facts();
  damaged.results = {{"step", 20}, {"measured", 7}};
  EXPECT_EQ(test::error_of([&] {
              model_card(damaged);
            }).find("5 small/seed0/results.json: not the results of a run: "),
            0u);
}

}  // namespace
}  // namespace foil
