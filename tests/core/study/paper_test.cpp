// SPDX-License-Identifier: BSD-3-Clause
// The tables for a paper as whole texts.
#include "study/paper.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>

using foil::Comparison;
using foil::Row;
using foil_test::Folder;

namespace {

Row row(const std::string& loss, const std::string& temperature, const foil::BySeed& knn) {
  Row made;
  made.name = loss + " temperature=" + temperature;
  made.protocol = "knn_20";
  made.config = {{"loss.name", "\"" + loss + "\""}, {"loss.temperature", temperature}};
  made.metrics = {{"knn", knn}};
  for (const auto& [seed, value] : knn) made.folders[seed] = "";
  return made;
}

Comparison grid() {
  Comparison comparison;
  comparison.rows = {
      row("infonce", "0.1", {{0, 80.10}, {1, 80.14}}), row("infonce", "0.5", {{0, 79.1}, {1, 79.16}}),
      row("dcl", "0.1", {{0, 81.25}, {1, 81.31}}), row("dcl", "0.5", {{0, 81.23}, {1, 81.31}})};
  comparison.labels.variants = {{"infonce", "InfoNCE"}, {"dcl", "DCL_2"}};
  return comparison;
}

}  // namespace

TEST(Paper, IsLatexWithAPivotAndTheDigitsOfTheSpread) {
  EXPECT_EQ(
      foil::render(grid(), foil::Format::latex),
      "% \\usepackage{booktabs}\n"
      "% Mean ± sample standard deviation over n seeds; the best mean is bold.\n"
      "% Δ: difference to InfoNCE temperature=0.1.\n"
      "% = level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
      "% Differences by seed with their 95 % interval; p: exact sign-flip test, corrected for 3 variants "
      "(Holm).\n"
      "% 2 seeds cannot reach p < 0.05 here, 7 can.\n"
      "% Protocol: knn_20\n"
      "\\begin{tabular}{lrrrr}\n\\toprule\n"
      " & kNN \\% & $\\Delta$ [95 \\%] & p & n \\\\\n\\midrule\n"
      "InfoNCE temperature=0.1 & 80.12 $\\pm$ 0.03 &  & - & 2 \\\\\n"
      "InfoNCE temperature=0.5 & 79.13 $\\pm$ 0.04 & $-$0.99 [$-$1.12, $-$0.86] & n $<$ 3 & 2 \\\\\n"
      "DCL\\_2 temperature=0.1 & \\textbf{81.28 $\\pm$ 0.04} & +1.16 [+1.03, +1.29] & n $<$ 3 & 2 \\\\\n"
      "DCL\\_2 temperature=0.5 & 81.27 $\\pm$ 0.06$^{=}$ & +1.15 [+0.90, +1.40] & n $<$ 3 & 2 \\\\\n"
      "\\bottomrule\n\\end{tabular}\n"
      "\n"
      "\\begin{tabular}{lrr}\n\\toprule\n"
      "kNN \\%: loss, temperature & 0.1 & 0.5 \\\\\n\\midrule\n"
      "InfoNCE & 80.12 $\\pm$ 0.03 & 79.13 $\\pm$ 0.04 \\\\\n"
      "DCL\\_2 & \\textbf{81.28 $\\pm$ 0.04} & 81.27 $\\pm$ 0.06$^{=}$ \\\\\n"
      "\\bottomrule\n\\end{tabular}\n");
}

TEST(Paper, IsMarkdownWithTheSameNumbers) {
  const Comparison named = foil::labelled(grid());
  const auto tables = foil::tabulate(named);
  const std::string text = foil::paper_markdown(named, tables);
  EXPECT_NE(
      text.find("| DCL\\_2 temperature=0.1 | **81.28 ± 0.04** | +1.16 [+1.03, +1.29] | n \\< 3 | 2 |\n"),
      std::string::npos)
      << text;
  const std::string pivot =
      "| kNN %: loss, temperature | 0.1 | 0.5 |\n| --- | --- | --- |\n"
      "| InfoNCE | 80.12 ± 0.03 | 79.13 ± 0.04 |\n| DCL\\_2 | **81.28 ± 0.04** | 81.27 ± 0.06 = |\n";
  EXPECT_NE(text.find("\n\n" + pivot), std::string::npos) << text;
  const std::string markdown = foil::render(grid(), foil::Format::markdown);
  EXPECT_TRUE(markdown.ends_with("\n\n" + pivot)) << markdown;
}

TEST(Paper, GivesEachOfManyMetricsATable) {
  Comparison comparison = grid();
  for (Row& row : comparison.rows) {
    for (const std::string metric : {"linear", "knn_many", "knn_few", "linear_few"})
      row.metrics[metric] = row.metrics["knn"];
  }
  const std::string text = foil::render(comparison, foil::Format::latex);
  size_t tables = 0;
  for (size_t at = text.find("\\begin{tabular}"); at != std::string::npos;
       at = text.find("\\begin{tabular}", at + 1))
    ++tables;
  EXPECT_EQ(tables, 10u) << "and as many pivots";
}

TEST(DigitsOfSpread, ShowTheFirstDigitAndTheSecondAfterAOne) {
  const auto digits = [](double spread) {
    foil::ComparisonTable table;
    table.measures["knn"] = {"kNN", "%", 1};
    for (const double one : {spread / 10, spread, spread * 10, 0.0}) {
      auto& made = table.rows.emplace_back();
      made.cells["knn"].spread = one;
    }
    return foil::digits_of_spread(table, "knn");
  };
  EXPECT_EQ(digits(0.34), 1);
  EXPECT_EQ(digits(0.134), 2);
  EXPECT_EQ(digits(3.4), 0);
  EXPECT_EQ(digits(1.34), 1);
  EXPECT_EQ(digits(0.0034), 3);
  EXPECT_EQ(digits(134), 0);
  EXPECT_EQ(digits(0), 1) << "no spread: those of the measure";
}

TEST(Labels, AreReadFromTheStudyAndRefusedWithTheFile) {
  const Folder folder;
  folder.write("report.json",
               R"({"command": "foil ablate e.toml", "variants": {"a": "A"}, "metrics": {"knn": "k-NN"}})");
  foil::Labels labels;
  foil::add_labels(labels, folder.path());
  foil::add_labels(labels, folder.at("none"));
  EXPECT_EQ(labels.commands, std::vector<std::string>{"foil ablate e.toml"});
  EXPECT_EQ(foil::label_of("a temperature=1 b", labels), "A temperature=1 b");
  EXPECT_EQ(labels.metrics.at("knn"), "k-NN");
  folder.write("report.json", R"({"command": "foil", "variants": {"a": 1}})");
  EXPECT_TRUE(foil_test::error_of<foil::Error>([&] {
                foil::add_labels(labels, folder.path());
              }).starts_with("5: " + folder.at("report.json") + ": not what a report is written with: "));
}
