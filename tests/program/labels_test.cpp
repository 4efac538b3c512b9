// SPDX-License-Identifier: BSD-3-Clause
// [report] of an experiment file: what a study's tables call its variants and metrics.
#include "tests/support/run_foil.h"

#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;
using foil::Outcome;
using foil::slurp;
using foil::small_experiment;
using foil::Workplace;

std::string experiment(const std::string& report) {
  return small_experiment() + "[sweep]\nseeds = 1\ngrid = { \"loss.name\" = [\"infonce\", \"dcl\"] }\n" +
         report;
}

std::string refusal(const std::string& report) {
  const Workplace place;
  place.write("e.toml", experiment(report));
  const Outcome outcome = place.foil({"ablate", "e.toml"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_FALSE(fs::exists(place.folder / "runs"));
  return outcome.err;
}

}  // namespace

TEST(Labels, NameVariantsAndMetricsForPeopleAndNotForPrograms) {
  const Workplace place;
  place.write("e.toml",
              experiment("[report]\nvariants = { infonce = \"InfoNCE\" }\nmetrics = { knn = \"k-NN\" }\n"));
  const Outcome ablate = place.foil({"ablate", "e.toml", "--set", "run.steps=2"});
  ASSERT_EQ(ablate.code, 0) << ablate.err;
  EXPECT_NE(ablate.out.find("k-NN %"), std::string::npos) << ablate.out;
  EXPECT_NE(ablate.out.find("\nInfoNCE "), std::string::npos) << ablate.out;
  EXPECT_NE(slurp(place.folder / "runs/small/report.html").find("foil ablate e.toml --set run.steps=2"),
            std::string::npos);
  const Outcome latex = place.foil({"compare", "runs/small", "--format", "latex", "--reference", "infonce"});
  EXPECT_EQ(latex.out, slurp(place.folder / "runs/small/table.tex"));
  const Outcome json = place.foil({"compare", "runs/small", "--format", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["tables"][0]["rows"][0]["variant"], "infonce");
  // Names are no part of the experiment: with others nothing runs again.
  place.write("e.toml", experiment("[report.variants]\ninfonce = \"Info\"\n"));
  const Outcome again = place.foil({"ablate", "e.toml", "--set", "run.steps=2"});
  EXPECT_NE(again.err.find("[2/2] dcl seed 0: complete already"), std::string::npos) << again.err;
  EXPECT_NE(again.out.find("\nInfo "), std::string::npos) << again.out;
}

TEST(Labels, ThatMeanNothingAreRefusedAtTheirPlace) {
  EXPECT_NE(
      refusal("[report.variants]\ninfonc = \"InfoNCE\"\n")
          .find("report.variants: no variant is or holds \"infonc\". Known names: dcl, infonce, raw pixels, "
                "untrained. Did you mean 'infonce'?"),
      std::string::npos);
  EXPECT_NE(refusal("[report.variants]\ninfonce = \"dcl\"\n")
                .find("report.variants calls both 'infonce' and 'dcl' \"dcl\", allowed: a label for each."),
            std::string::npos);
  EXPECT_NE(refusal("[report.metrics]\nknn = 1\n")
                .find(": report.metrics.\"knn\" = 1, allowed: a text that is not empty."),
            std::string::npos);
  EXPECT_NE(refusal("[report]\nvariant = { infonce = \"a\" }\n").find("unknown key report.variant."),
            std::string::npos);
}
